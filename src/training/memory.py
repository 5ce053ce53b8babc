"""What to lower when a training run needs more memory than there is."""

from dataclasses import replace

from ..networks import Discriminator
from ..options import OptionError
from .settings import TrainSettings
from .setup import rounds_of


def what_to_lower(settings: TrainSettings, D: Discriminator, world: int, share: float | None) -> str:
    """The largest `batch_gpu` that can fit, in words; without one, what else there is.

    An iteration's activations grow with the pictures at once. How many bytes they would have taken is known as far as
    memory has reached, so a larger `batch_gpu` cannot fit, and this one may still not. `share` is what there is, at the
    most, of the memory that an iteration needs beyond the networks; None where nobody has counted.
    """
    part = settings.batch // world
    at_once = min(settings.batch_gpu or part, part)
    smaller = [n for n in range(1, at_once) if part % n == 0 and _divides(settings, D, world, n)]
    if not smaller:
        return (
            f"batch_gpu cannot be below {at_once}, since D compares the pictures of a group; trainer.precision=bf16 or "
            "smaller networks need less"
        )
    fit = [n for n in smaller if share is None or n <= share * at_once] or smaller[:1]
    return f"batch_gpu={fit[-1]} is the same training with {fit[-1]} pictures at once instead of {at_once}"


def _divides(settings: TrainSettings, D: Discriminator, world: int, at_once: int) -> bool:
    try:
        rounds_of(replace(settings, batch_gpu=at_once), D, world)
    except OptionError:
        return False
    return True
