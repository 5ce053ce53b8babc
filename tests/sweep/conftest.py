"""A run folder with a tiny base network and snapshots that drift from it, and a sweep of it, made once."""

import copy
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from omegaconf import OmegaConf

from src.cli import CONF
from src.data import save_png
from src.faces import Face, detectors as opened
from src.metrics.cariscore import detectors, faces
from src.networks import Generator
from src.options import read
from src.portraits import render_portrait
from src.sweep import SweepSettings
from src.sweep.pictures import common_codes, render
from src.sweep.run import run_sweep
from src.weights import save_network

from ..tiny import make_tiny

RESOLUTION = 32
FAST = {"n_latents": 16, "gates": False}
ENOUGH = {"n_latents": 64}  # codes for a recommendation
USUAL = render_portrait("people", 0, 64).landmarks / 64
DATASET = {
    "name": "demo",
    "kind": "portraits",
    "domain": "cartoons",
    "num_images": 24,
    "resolution": RESOLUTION,
    "mirror": False,
}


@pytest.fixture(scope="session", autouse=True)
def _small_scale():
    """Fewer pictures fix the scale of the sweeps here, to save time; scripts have as many as outside."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("src.sweep.run.OTHER_CODES", 32)
        yield


def make_network(seed: int, resolution: int = RESOLUTION) -> Generator:
    G, _ = make_tiny(seed, resolution, z_dim=16, w_dim=16, channel_base=512, channel_max=16, noise=0.3)
    return G.eval().requires_grad_(False)


def drifted(base: Generator, amount: float) -> Generator:
    """A stand-in for fine-tuning: every weight moved in a fixed direction."""
    G, generator = copy.deepcopy(base), torch.Generator().manual_seed(7)
    with torch.no_grad():
        for parameter in G.parameters():
            parameter += amount * parameter.std(correction=0) * torch.randn(parameter.shape, generator=generator)
        for buffer in (G.mapping.w_avg, *(m.noise_const for m in G.modules() if hasattr(m, "noise_const"))):
            buffer += 0.5 * torch.randn(buffer.shape, generator=generator)
    return G


def write_run(
    folder: Path, base: Generator, amounts: dict[float, float], settings: dict[str, Any] = DATASET, *, seed: int = 0
) -> Path:
    from src.data import DatasetSettings, open_configured_dataset

    for kimg, amount in amounts.items():
        G = base if kimg == 0 else drifted(base, amount)
        save_network(folder / "snapshots" / f"kimg-{kimg:09.2f}.safetensors", G_ema=G, meta={"kimg": kimg})
    dataset = open_configured_dataset(read(DatasetSettings, settings))
    facts = {
        "name": folder.name,
        "identity": {"seed": seed, "batch": 16, "dataset.fingerprint": dataset.fingerprint},
        "dataset": {"fingerprint": dataset.fingerprint, "resolution": base.resolution},
    }
    (folder / "run.json").write_text(json.dumps(facts))
    config = {"dataset": settings, "pretrained": {"name": "file", "source": "base.safetensors"}}
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    return folder


def settings_of(resolutions, *, blend=None, **options) -> SweepSettings:
    """Settings of a sweep by the names of the options; `blend` are those of the group."""
    return read(SweepSettings, {"blend": {"res": resolutions, **(blend or {})}, **options})


def config_of(run_dir, resolutions, *, blend=None, **options) -> dict[str, Any]:
    """The plain configuration of such a sweep."""
    file = OmegaConf.to_container(OmegaConf.load(CONF / "sweep.yaml"), resolve=False)
    blend = {**file["blend"], "res": resolutions if resolutions == "all" else list(resolutions), **(blend or {})}
    file = {key: value for key, value in file.items() if key not in ("defaults", "hydra")}
    tracker = {"mode": "disabled", "project": None}
    return {**file, **FAST, **options, "blend": blend, "run": str(run_dir), "tracker": tracker}


def sweep(run_dir, resolutions=(8, 16), **options) -> dict[str, Any]:
    """Sweep a run; the ranking."""
    folder, ranking = run_sweep(run_dir, resolutions, **{**FAST, **options})
    assert folder.parent == run_dir / "sweeps"
    return ranking


@pytest.fixture(scope="session")
def base() -> Generator:
    return make_network(0)


class PlainLandmarks:
    """A face in every picture, its landmarks moved by the picture's coarse luminance: pictures without faces have
    shapes that can be told apart, and the same ones always."""

    def __init__(self, device="cpu"): ...

    MOVES = np.random.default_rng(0).standard_normal([68 * 2, 16]) / 400

    def find(self, image, name):
        coarse = image.mean(axis=2).reshape(4, image.shape[0] // 4, 4, -1).mean(axis=(1, 3)).ravel() / 255
        points = USUAL + (self.MOVES @ coarse).reshape(68, 2)
        return [Face(points * image.shape[0] - 0.5)]

    def knows(self, images):
        return True

    def identity(self, name):
        return "plain"


def take_plain_landmarks(patch: pytest.MonkeyPatch) -> None:
    """Random networks draw no faces that a detector would find."""
    for module in (detectors, opened):
        patch.setattr(module, "NetworkLandmarks", PlainLandmarks)
    patch.setattr(faces, "DETECTOR_PX", RESOLUTION)  # no need to enlarge pictures for it


@pytest.fixture(scope="package", autouse=True)
def plain_landmarks():
    with pytest.MonkeyPatch.context() as patch:
        take_plain_landmarks(patch)
        yield


@pytest.fixture(scope="session")
def trained_run(base, tmp_path_factory) -> Path:
    """Cartoons are pictures of a network that has drifted farther than the snapshots."""
    folder = tmp_path_factory.mktemp("runs")
    target = drifted(base, 0.6)
    for i, picture in enumerate(next(render(target, common_codes(base, 24, 0.7, 5)))):
        save_png(folder / "cartoons" / f"{i:02d}.png", picture.permute(1, 2, 0).numpy())
    dataset = {
        "name": "folder",
        "kind": "pictures",
        "path": str(folder / "cartoons"),
        "resolution": RESOLUTION,
        "mirror": False,
    }
    return write_run(folder / "first", base, {0: 0.0, 1: 0.3, 2: 0.5}, dataset)


@pytest.fixture
def run_dir(trained_run, tmp_path) -> Path:
    return Path(shutil.copytree(trained_run, tmp_path / "runs" / "first"))


@pytest.fixture(scope="package")
def swept(trained_run, plain_landmarks, tmp_path_factory) -> tuple[Path, dict[str, Any]]:
    """A run with a finished sweep, and its ranking; not to be changed."""
    run_dir = shutil.copytree(trained_run, tmp_path_factory.mktemp("swept") / "first")
    return run_dir, sweep(run_dir, **ENOUGH)
