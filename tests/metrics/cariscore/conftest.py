"""Portraits of known shape and rendering, with exact landmarks: the score's ground truth, drawn once."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from experiments.cariscore.factorial import portrait_set
from src.metrics.cariscore.comparison import combine
from src.metrics.cariscore.faces import Faces
from src.metrics.cariscore.score import CariScore

CODES = range(10_000, 10_060)
TRAINING = range(5_000, 5_150)
SETS = {
    "base": (0, 0),
    "cartoon": (1, 1),
    "hybrid": (1, 0),
    "inverse": (0, 1),
    "shape 1/2": (0.5, 0),
    "rendering 1/2": (0, 0.5),
}


def faces_of(images: Tensor, marks: Tensor) -> Faces:
    return Faces(images, marks, torch.ones(len(images), dtype=torch.bool))


def drawn(seeds: range, shape: float, rendering: float, px: int = 64) -> Faces:
    return faces_of(*portrait_set(seeds, shape, rendering, px))


class World:
    """A score between people and training cartoons, and sets of the same codes."""

    def __init__(self, sets: dict[str, Faces], training: Faces, direction: str = "cartoon_low") -> None:
        self.sets, self.training = sets, training
        self.score = CariScore.between(sets["base"], training, direction)

    def cari(self, faces: Faces) -> float:
        return float(combine(self.score.of(faces).values, (0.5, 0.5)))


def draw_all(path: Path) -> None:
    sets = {name: portrait_set(CODES, *mix) for name, mix in SETS.items()}
    torch.save({**sets, "training": portrait_set(TRAINING, 1, 1)}, path)


@pytest.fixture(scope="session")
def all_drawn(made_once: Callable[..., Path]) -> dict[str, Faces]:
    found = torch.load(made_once("portraits.pt", draw_all), weights_only=True)
    return {name: faces_of(*both) for name, both in found.items()}


@pytest.fixture(scope="session")
def portraits(all_drawn: dict[str, Faces]) -> dict[str, Faces]:
    return {name: all_drawn[name] for name in SETS}


@pytest.fixture(scope="session")
def training(all_drawn: dict[str, Faces]) -> Faces:
    return all_drawn["training"]


@pytest.fixture(scope="session")
def world(portraits: dict[str, Faces], training: Faces) -> World:
    return World(portraits, training)
