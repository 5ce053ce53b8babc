"""When snapshots are taken: marks in kimg, dense early, because the best caricature model comes early."""

import math
from collections.abc import Sequence

from ..errors import UserError

EARLY_KIMG = (0, 1, 2, 3, 4, 6, 8, 10, 12, 14, 16, 20, 24, 28, 32, 40, 48, 64, 80, 100)
LATER_EVERY_KIMG = 20
MIN_EVERY_KIMG = 0.01  # names of snapshots have two digits
DEFAULT_TOTAL_KIMG = 32.0


def snapshot_marks(kimg: str | float | Sequence[float], total_kimg: float | None) -> list[float]:
    """List the snapshot marks of a run: increasing, in kimg, none after its end.

    Args:
        kimg: `"early"` (0, 1, 2, 3, 4, 6, … 100, then every 20), a number N (every N kimg), or an explicit list.
        total_kimg: end of the run; None for the last mark of a list, or 32.

    Raises:
        UserError: for anything else, negative or repeated marks, or marks after the end.
    """
    end = run_length(kimg, total_kimg)
    if kimg == "early":
        marks = [float(k) for k in EARLY_KIMG if k <= end]
        last = EARLY_KIMG[-1]
        while last + LATER_EVERY_KIMG <= end:
            last += LATER_EVERY_KIMG
            marks.append(float(last))
        return marks
    if isinstance(kimg, int | float) and not isinstance(kimg, bool):
        if not kimg >= MIN_EVERY_KIMG or not math.isfinite(kimg):
            raise UserError(f"snapshot.kimg={kimg}: a number means every so many kimg, from {MIN_EVERY_KIMG} up")
        return [round(i * float(kimg), 6) for i in range(int(end / kimg + 1e-9) + 1)]
    marks = _explicit(kimg)
    if marks[-1] > end:
        raise UserError(f"snapshot.kimg: the mark {marks[-1]:g} lies after the end of the run, total_kimg={end:g}")
    return marks


def run_length(kimg: str | float | Sequence[float], total_kimg: float | None) -> float:
    """Return the end of the run in kimg (see `snapshot_marks`)."""
    if total_kimg is not None:
        if isinstance(total_kimg, str | bool) or not total_kimg >= 0 or not math.isfinite(total_kimg):
            raise UserError(f"total_kimg={total_kimg}: must be a number of thousand images, at least 0")
        return float(total_kimg)
    if isinstance(kimg, str | int | float):
        return DEFAULT_TOTAL_KIMG
    return _explicit(kimg)[-1]


def passed_marks(marks: Sequence[float], nimg: int, batch: int) -> list[float]:
    """The marks that the iteration of `batch` images passed which ended at `nimg`; at 0 the mark 0."""
    return [mark for mark in marks if nimg - batch < mark * 1000 <= nimg]


def mark_name(kimg: float) -> str:
    """Name of a snapshot: `kimg-000016.00`."""
    return f"kimg-{kimg:09.2f}"


def _explicit(kimg: object) -> list[float]:
    what = "snapshot.kimg is early, a number of kimg, or a list of increasing marks such as [0,1,2,4]"
    if isinstance(kimg, str) or not isinstance(kimg, Sequence) or not kimg:
        raise UserError(f"{what}, not {kimg!r}")
    if any(isinstance(k, bool) or not isinstance(k, int | float) or not 0 <= k < math.inf for k in kimg):
        raise UserError(f"{what}, not {list(kimg)!r}")
    marks = [float(k) for k in kimg]
    if marks != sorted(set(marks)) or len({mark_name(k) for k in marks}) != len(marks):
        raise UserError(f"{what} that differ by 0.01 at least, not {list(kimg)!r}")
    return marks
