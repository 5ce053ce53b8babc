"""Which snapshots stay on disk: the best few by KID, within a budget."""

from collections.abc import Mapping
from pathlib import Path

BYTES_PER_GB = 2**30


def prune_snapshots(
    folder: Path, kids: Mapping[str, float], *, keep_best: int | None, max_gb: float | None, newest: str
) -> list[str]:
    """Delete snapshots that are not to be kept.

    The first (the original network, which every blend needs) and the newest always stay. Of the others the `keep_best`
    with the lowest KID stay; then the worst go until the folder is within `max_gb`. Without a KID the older goes first.

    Args:
        folder: `runs/<name>/snapshots`.
        kids: KID by file name; a file without one counts as worst.
        keep_best: how many besides the first and the newest; None for all.
        max_gb: size of the folder in GiB; None for no limit.
        newest: file name of the snapshot just taken.

    Returns:
        Names of the deleted files.
    """
    files = {path.name: path.stat().st_size for path in sorted(folder.glob("kimg-*.safetensors"))}
    fixed = {min(files, default=newest), newest}
    worst_first = sorted((name for name in files if name not in fixed), key=lambda n: (-kids.get(n, float("inf")), n))
    doomed = worst_first[: max(len(worst_first) - keep_best, 0)] if keep_best is not None else []
    if max_gb is not None:
        size = sum(files[name] for name in files if name not in doomed)
        for name in worst_first[len(doomed) :]:
            if size <= max_gb * BYTES_PER_GB:
                break
            doomed.append(name)
            size -= files[name]
    for name in doomed:
        (folder / name).unlink(missing_ok=True)
    return doomed
