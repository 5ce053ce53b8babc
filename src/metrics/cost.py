"""What an evaluation costs, as far as it is known beforehand: the features of so many pictures."""

import torch

from .evaluator import MAX_REALS
from .settings import Features, MetricsSettings

#: Seconds of one core of a processor for the features of a picture of 256 px, as measured (experiments/fid).
CORE_SEC: dict[Features, float] = {"inception": 0.13, "dinov2": 1.3, "embedded": 0.0018}


def evaluation_cost(settings: MetricsSettings, num_reals: int, device: torch.device) -> str:
    """Say of how many pictures evaluations take the features, and how long that takes a processor.

    Args:
        settings: of one extractor, with its number of pictures (`choose_metrics`).
        num_reals: pictures of the data set.
        device: where pictures are measured.
    """
    assert settings.num_fakes is not None and settings.extractor in CORE_SEC
    per_picture = CORE_SEC[settings.extractor] if device.type == "cpu" else None
    fakes, reals = settings.num_fakes, 2 * min(num_reals, MAX_REALS)
    return (
        f"an evaluation: features of {_pictures(fakes, per_picture)}, and rendering them; the first: also "
        f"{_pictures(reals, per_picture)} of the data set, mirrored too"
    )


def _pictures(count: int, per_picture: float | None) -> str:
    if per_picture is None:
        return f"{count} pictures"
    seconds = count * per_picture
    time = f"{seconds:.2g} s" if seconds < 60 else f"{seconds / 60:.1f} min"
    return f"{count} pictures ({time} of one core)"
