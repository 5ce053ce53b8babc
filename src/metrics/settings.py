"""How good a snapshot is, and by which features: the group of options `metrics`."""

from dataclasses import dataclass
from typing import Annotated, Literal

from ..options import Count, Options, Range, matching
from .published import INCEPTION_NVIDIA

Features = Literal["embedded", "inception", "dinov2"]
#: The Fréchet distances on features, by what a row of `metrics.jsonl` calls them.
FRECHET_NAMES = {"fid": "FID", "fd_dinov2": "FD-DINOv2", "frechet": "Fréchet (embedded)"}
#: Of each choice.
EXTRACTORS = {"auto": "auto", "fid": "inception", "dinov2": "dinov2", "embedded": "embedded", "none": None}


@dataclass(frozen=True, kw_only=True)
class MetricsSettings(Options):
    """The group `metrics`."""

    name: str = "auto"  # of the choice
    # of features; auto is decided when the network is known (`choice.py`), None for no evaluation
    extractor: Literal["auto"] | Features | None = "auto"
    # pictures that are compared with the data set; None for what is usual with the features
    num_fakes: Annotated[int, Range(8)] | None = None
    psi: Annotated[float, Range(0, 2)] = 1.0  # their truncation
    patience: Count = 4  # evaluations that are all surely above the lowest KID (95 %) before it is past
    # of Inception: the published state dict, or NVIDIA's TorchScript, which runs the program in the file
    weights: Literal["published", "nvidia"] = "published"
    # of NVIDIA's file, for which nobody publishes one
    weights_sha256: Annotated[str, matching("[0-9a-fA-F]{64}", "64 hexadecimal digits")] | None = None

    def check(self) -> None:
        """Refuse the features of another choice, and a checksum where there is none to give or none given."""
        usual = EXTRACTORS.get(self.name, self.extractor)
        if self.extractor != usual:
            raise self.wrong("extractor", f"metrics={self.name} measures on {usual}: leave it")
        if self.weights != "published" and self.extractor not in ("auto", "inception"):
            raise self.wrong("weights", f"has no effect with metrics={self.name}: they are of Inception")
        if self.weights == "published" and self.weights_sha256 is not None:
            raise self.wrong("weights_sha256", "has no effect with metrics.weights=published: its sha256 is known")
        if self.weights == "nvidia" and self.weights_sha256 is None:
            raise self.wrong(
                "weights",
                f"runs the program in {INCEPTION_NVIDIA.name}, whose sha256 nobody publishes: get it from "
                f"{INCEPTION_NVIDIA.urls[0]} and give the sha256 of the one you trust as metrics.weights_sha256",
            )
