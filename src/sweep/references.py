"""What a sweep's cells are measured against: base pictures and training cartoons, with the landmarks that serve."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..data import DatasetSettings, open_configured_dataset
from ..errors import UserError
from ..faces import FaceRecogniser
from ..fetch import WeightsFolder
from ..metrics import Axis, References, choose_detector, open_axes, shrunk
from ..networks import Generator
from ..options import read
from ..runs import Snapshot, find_snapshots, run_config, run_json
from ..weights import load_network
from .features import save_arrays, show
from .pictures import common_codes, render

MAX_CARTOONS = 500
#: Codes of the base's pictures that fix the score's frame and whitening, whichever codes a sweep has.
OTHER_CODES, OTHER_SEED = 256, 2**32 - 1
FACTS = "facts"


@dataclass(frozen=True)
class SweepReferences:
    """References, and what is to be told of them."""

    measured: References  # their features
    # `identity` (of all that decides a cell besides its own pictures), `landmarks` (which detector, what it found,
    # its own 2 x 2, and a warning), `cartoons` (which pictures they are)
    facts: dict[str, Any]

    @property
    def axes(self) -> tuple[Axis, ...]:
        """Of the score."""
        return open_axes(self.measured.frame, self.measured.direction)

    @property
    def has_cartoons(self) -> bool:
        """Whether the training pictures themselves could be read."""
        return self.facts["cartoons"]["reason"] is None

    def save(self, path: Path) -> None:
        """Write them, whole or not at all."""
        save_arrays(path, **self.measured.arrays(), **{FACTS: np.array(json.dumps(self.facts))})

    @classmethod
    def load(cls, path: Path) -> "SweepReferences":
        """Read what `save` wrote."""
        with np.load(path) as file:
            arrays = {name: file[name] for name in file.files}
        return cls(References.from_arrays(arrays), json.loads(str(arrays[FACTS])))


@dataclass(frozen=True)
class Cartoons:
    """The pictures that stand for the cartoons."""

    images: Tensor  # uint8 `[M, 3, H, W]`
    name: str  # the data set's, or the snapshot's whose pictures take their place
    reason: str | None = None  # why they do; None where they do not


def measure_references(
    base: Tensor,
    others: Tensor,
    cartoons: Cartoons,
    landmarks: str,
    direction: str,
    recogniser: FaceRecogniser | None,
    weights_folder: WeightsFolder,
) -> SweepReferences:
    """Choose a detector and measure both references.

    Args:
        base: the base's pictures of the common codes, uint8 `[N, 3, H, W]`.
        others: its pictures of `OTHER_CODES` codes that are the same in every sweep.
        cartoons: see `find_cartoons`.
        landmarks, direction, recogniser: as the sweep's settings name them.
        weights_folder: of published networks.
    """
    detector = choose_detector(landmarks, base, cartoons.images, weights_folder=weights_folder)
    trust = detector.trust
    identity = detector.provider.identity("")
    digest = hashlib.sha256(identity.encode() + cartoons.images.numpy().tobytes())
    facts = {
        "identity": digest.hexdigest()[:16],
        "landmarks": {
            "name": detector.name,
            "identity": identity,
            "found": {"base": detector.base.share_found, "cartoons": detector.cartoons.share_found},
            "shape": trust.shape,
            "leak": trust.leak,
            "warning": trust.warning(detector.name),
        },
        "cartoons": {"name": cartoons.name, "count": len(cartoons.images), "reason": cartoons.reason},
    }
    readable = cartoons.reason is None
    measured = References.of(
        detector.base,
        detector.cartoons,
        detector.locate(others),
        direction,
        trained_on=readable,
        recogniser=recogniser,
    )
    return SweepReferences(measured, facts)


def find_cartoons(run_dir: Path, G: Generator, num_codes: int, psi: float, seed: int) -> Cartoons:
    """The run's training pictures; where they cannot be read, pictures of its last snapshot of other codes."""
    found, reason = training_pictures(run_dir)
    if found is not None:
        return found
    last: Snapshot = find_snapshots(run_dir)[-1]
    snapshot = load_network(last.path, device=G.mapping.w_avg.device, parts=("G_ema",)).G_ema
    codes = common_codes(G, num_codes, psi, seed + 1)
    return Cartoons(torch.cat([shrunk(part).cpu() for part in render(snapshot, codes)]), last.name, reason)


def training_pictures(run_dir: Path) -> tuple[Cartoons | None, str]:
    """At most 500 of the run's training pictures, evenly spread, or None and the reason."""
    facts, settings = run_json(run_dir).get("dataset"), run_config(run_dir).get("dataset")
    if not facts or not settings:
        return None, f"{run_dir} does not say which pictures it was trained on"
    try:
        dataset = open_configured_dataset(read(DatasetSettings, {**settings, "resolution": facts["resolution"]}))
    except UserError as error:
        return None, f"the training pictures cannot be read ({error})"
    if dataset.fingerprint != str(facts["fingerprint"]):
        return None, "the data set has changed since the run was trained"
    count = min(len(dataset), MAX_CARTOONS)
    images = [shrunk(dataset[i * len(dataset) // count][0][None]) for i in range(count)]
    return Cartoons(torch.cat(images), "training pictures"), ""


def write_references(path: Path, picture_path: Path, references: SweepReferences, base: Tensor) -> None:
    """Write references and the picture of the base, each whole or not at all."""
    show(picture_path, base)
    references.save(path)
