"""Taking a snapshot: the light network file, the fixed-z sample grid, the evaluation row.

`evaluations/<snapshot>.npy` holds KID's pseudo-values. All snapshots render the same codes, so differences of snapshots
are judged in pairs: which may be the lowest, and when the lowest is surely past.
"""

import datetime
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from ..data import PictureDataset, image_grid, save_jpeg, to_uint8
from ..errors import UserError
from ..fetch import WeightsFolder
from ..files import atomic_write
from ..group import ALONE, Group
from ..metrics import (
    KID_MEASURE,
    Evaluation,
    Evaluator,
    FeatureExtractor,
    MetricsSettings,
    error_of,
    get_extractor,
    lowest,
)
from ..networks import Generator
from ..runs import find_snapshots
from ..tracking import Tracker, read_rows
from ..weights import read_meta, save_network
from .schedule import mark_name
from .seeds import seeded_generator

GRID_COLUMNS, GRID_ROWS = 8, 4
CHUNK = 32
BYTES_PER_GB = 2**30


def configured_extractor(
    metrics: MetricsSettings, weights_folder: WeightsFolder, device: torch.device | str = "cpu"
) -> FeatureExtractor | None:
    """The extractor that the `metrics` group asks for, None for no evaluation.

    Raises:
        UserError: when its weights cannot be had.
    """
    if metrics.extractor is None:
        return None
    assert metrics.extractor != "auto"
    weights = {"weights": metrics.weights, "weights_sha256": metrics.weights_sha256}
    return get_extractor(metrics.extractor, device=device, weights_folder=weights_folder, **weights)


class Snapshotter:
    """Writes snapshots and evaluates them.

    Args:
        run_dir: the run's folder.
        G_ema: the averaged generator, read at each snapshot.
        dataset: reals to compare with.
        tracker: where rows and pictures go.
        meta: header facts shared by all snapshots of the run (dataset, parent, …).
        metrics: how snapshots are evaluated, with nothing left to `auto`.
        measures: the same in words, for the protocol.
        weights_folder: where the extractor's weights lie and come from.
        dtype: of the stored tensors.
        grid_psi: truncation of the sample grids.
        seed: of grids and evaluation latents.
        keep_best: how many snapshots of lowest KID stay on disk (see `prune_snapshots`).
        max_gb: how much they and the checkpoints may take.
        group: the processes that train together; all of them measure, the first one writes.
    """

    def __init__(
        self,
        run_dir: Path,
        G_ema: Generator,
        dataset: PictureDataset,
        tracker: Tracker,
        *,
        meta: Mapping[str, Any],
        metrics: MetricsSettings,
        measures: str = "",
        weights_folder: WeightsFolder,
        dtype: torch.dtype,
        grid_psi: float,
        seed: int,
        keep_best: int | None = None,
        max_gb: float | None = None,
        group: Group = ALONE,
    ) -> None:
        self.group = group
        self.run_dir, self.G_ema, self.dataset, self.tracker = run_dir, G_ema, dataset, tracker
        self.meta, self.metrics, self.dtype, self.grid_psi, self.seed = dict(meta), metrics, dtype, grid_psi, seed
        self.measures, self.weights_folder = measures, weights_folder
        self.evaluator: Evaluator | None = None
        self.history: dict[str, NDArray[np.float64]] = {}  # pseudo-values of KID by name of the snapshot
        self.keep_best, self.max_gb = keep_best, max_gb
        self._kids: dict[str, float] = {}
        self._prunes = keep_best is not None or max_gb is not None
        self._waiting: list[dict[str, Any]] = []  # rows of snapshots that are not stored yet

    def restore(self, rows: list[dict[str, Any]], *, unstored: Sequence[dict[str, Any]] = ()) -> None:
        """Take up the evaluations made before a resume, as far as they were measured in the same way.

        Args:
            rows: they.
            unstored: those of snapshots that may not be stored as artifacts.

        Raises:
            UserError: when `keep_best` would have to compare KIDs of different measures.
        """
        scored = [row for row in rows if row.get("kid") is not None]
        extractor = configured_extractor(self.metrics, self.weights_folder)
        if extractor is not None:
            ours = {
                "extractor": extractor.name,
                "extractor_sha256": extractor.sha256,
                "resizer": extractor.resizer,
                "psi": float(self.metrics.psi),
            }
            others = [row for row in scored if _measure(row) != _measure({"protocol": ours})]
            if others and self.keep_best is not None:
                raise UserError(
                    f"snapshot.keep_best={self.keep_best} compares KIDs, and {others[-1].get('snapshot')} was measured "
                    "with other features, weights or psi: set metrics as before, or snapshot.keep_best=null"
                )
            scored = [row for row in scored if row not in others]
        self._kids = {row["snapshot"]: float(row["kid"]) for row in scored}
        known = {Path(name).stem: self._pseudo_values(Path(name).stem, kid) for name, kid in self._kids.items()}
        self.history = {name: kid for name, kid in known.items() if kid is not None}
        for row in unstored:
            self._store(row)

    def take(self, kimg: float, nimg: int, name: str) -> None:
        """Write `snapshots/<name>.safetensors`, `samples/<name>.jpg`, and one metrics row."""
        found = None if self.metrics.extractor is None else self._measure()
        if not self.group.is_first:
            return
        row: dict[str, Any] = {} if found is None else self._compared(name, found)
        meta = {**self.meta, "kimg": kimg, "nimg": nimg, "metrics": _numbers(row)}
        path = self.run_dir / "snapshots" / f"{name}.safetensors"
        save_network(path, G_ema=self.G_ema, meta=meta, dtype=self.dtype)
        sample = self.run_dir / "samples" / f"{name}.jpg"
        save_jpeg(sample, self.sample_grid())
        row = {**row, "snapshot": path.name, "sample": f"samples/{sample.name}", "time": _now()}
        self.tracker.snapshot(row, kimg, nimg)
        if "kid" in row:
            self._kids[path.name] = row["kid"]
        self._store({**row, "kimg": kimg})
        beside = self.run_dir / "checkpoints"
        prune_snapshots(path.parent, self._kids, keep_best=self.keep_best, max_gb=self.max_gb, beside=beside)

    def finish(self) -> None:
        """Where snapshots are pruned, store those that have stayed, and have no others stored."""
        self._store_waiting()
        if self._prunes:
            with suppress(UserError):  # a damaged file: what it is of is not known, so nothing is deleted
                self.tracker.keep_only([snapshot.kimg for snapshot in find_snapshots(self.run_dir)])

    def _store_waiting(self) -> None:
        for row in self._waiting:
            path = self.run_dir / "snapshots" / row["snapshot"]
            if path.is_file():
                self.tracker.store(path, row, metadata=read_meta(path))
        self._waiting = []

    def _store(self, row: dict[str, Any]) -> None:
        """Store a snapshot as an artifact; one that may be pruned while it is uploaded waits for the end."""
        self._waiting.append(row)
        if not self._prunes:
            self._store_waiting()

    @torch.inference_mode()
    def sample_grid(self) -> Tensor:
        """Draw the fixed-z grid as uint8 `[H, W, 3]`."""
        images = torch.cat(list(self._fakes(GRID_COLUMNS * GRID_ROWS, self.grid_psi, "grid"))).cpu()
        return image_grid(images, GRID_COLUMNS)

    @torch.inference_mode()
    def _measure(self) -> Evaluation:
        if self.evaluator is None:
            extractor = configured_extractor(self.metrics, self.weights_folder, self.G_ema.mapping.w_avg.device)
            assert extractor is not None
            self.evaluator = Evaluator(extractor, self.dataset, seed=self.seed, group=self.group)
        psi, count = float(self.metrics.psi), self.metrics.num_fakes
        assert count is not None
        return self.evaluator.evaluate(self._fakes(count, psi, "evaluation", self.group), psi=psi)

    def _compared(self, name: str, found: Evaluation) -> dict[str, Any]:
        """The row of an evaluation, beside those before it."""
        path = self._pseudo_path(name)
        with atomic_write(path) as partial, open(partial, "wb") as file:
            np.save(file, found.kid)
        self.history = {key: kid for key, kid in self.history.items() if key != name} | {name: found.kid}
        found.row["protocol"]["chosen"] = self.measures
        return found.row | compared(list(self.history.values()), patience=self.metrics.patience, seed=self.seed)

    def _pseudo_values(self, name: str, kid: float) -> NDArray[np.float64] | None:
        """Of an earlier evaluation; None where they are not there, or are not those of its row."""
        path = self._pseudo_path(name)
        if not path.is_file():
            return None
        try:
            values = np.load(path, allow_pickle=False)
            if np.isclose(values.mean(), kid, rtol=1e-9, atol=0):
                return values if len(values) == self.metrics.num_fakes else None
        except (OSError, ValueError, EOFError, TypeError):
            pass
        print(f"note       {path} is damaged: later snapshots are not compared with {name}", flush=True)
        return None

    def _pseudo_path(self, name: str) -> Path:
        return self.run_dir / "evaluations" / f"{name}.npy"

    def _fakes(self, count: int, psi: float, stream: str, group: Group = ALONE) -> Iterator[Tensor]:
        """Yield a process's share of pictures of latents that are the same at every snapshot, uint8 `[n, 3, H, W]`."""
        device = self.G_ema.mapping.w_avg.device
        generator = seeded_generator(self.seed, 0, stream)
        latents = torch.randn([count, self.G_ema.z_dim], generator=generator)
        classes = torch.randint(max(self.G_ema.c_dim, 1), [count], generator=generator)
        mine = group.share(count)
        for i in range(mine.start, mine.stop, CHUNK):
            chosen = slice(i, min(i + CHUNK, mine.stop))
            c = F.one_hot(classes[chosen], self.G_ema.c_dim).float().to(device) if self.G_ema.c_dim else None
            yield to_uint8(self.G_ema(latents[chosen].to(device), c, psi=psi))


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def is_taken(run_dir: Path, kimg: float, *, measured: bool) -> bool:
    """Whether a snapshot is complete: its row is written last, or, where none is measured, its file alone."""
    name = f"{mark_name(kimg)}.safetensors"
    if not measured:
        return (run_dir / "snapshots" / name).is_file()
    return any(row.get("snapshot") == name for row in read_rows(run_dir / "metrics.jsonl"))


def measured_on(run_dir: Path) -> str | None:
    """Extractor of a run's newest evaluation; None where there is none."""
    protocols = (row.get("protocol") or {} for row in reversed(read_rows(run_dir / "metrics.jsonl")))
    return next((protocol.get("extractor") for protocol in protocols), None)


def compared(history: Sequence[NDArray[np.float64]], *, patience: int, seed: int) -> dict[str, Any]:
    """What the newest snapshot's KID says beside those before it, from pseudo-values of common codes.

    Args:
        history: pseudo-values `[N]` of each evaluation, the newest last.
        patience: evaluations that are all surely above the lowest KID before it is past.
        seed: of the draws.

    Returns:
        `best` (lowest so far), `kid_change` to the lowest of those before with `kid_change_error`, its paired standard
        error (None for the first), `past_best`.
    """
    *before, newest = history
    first = min(before, key=np.mean, default=None)
    change = None if first is None else newest - first
    candidates = np.flatnonzero(lowest(np.stack(history, axis=1), seed=seed).candidate)
    return {
        "kid_change": None if change is None else float(change.mean()),
        "kid_change_error": None if change is None else error_of(change),
        "best": change is None or bool(change.mean() < 0),
        "past_best": bool(len(history) - 1 - candidates.max() >= patience),
    }


def _measure(row: Mapping[str, Any]) -> tuple[Any, ...]:
    protocol = row.get("protocol") or {}
    return tuple(protocol.get(key) for key in KID_MEASURE)


def _numbers(row: Mapping[str, Any]) -> dict[str, float]:
    return {k: v for k, v in row.items() if isinstance(v, int | float) and not isinstance(v, bool)}


def prune_snapshots(
    folder: Path, kids: Mapping[str, float], *, keep_best: int | None, max_gb: float | None, beside: Path | None = None
) -> list[str]:
    """Delete snapshots that are not to be kept.

    The first (the original network, which every blend needs), the last two and the one with the lowest KID always stay.
    Of the others the `keep_best` with the lowest KID of all stay; then the worst go until there is room. Without a KID
    the older goes first.

    Args:
        folder: `runs/<name>/snapshots`.
        kids: KID by file name; a file without one counts as worst.
        keep_best: how many of lowest KID stay; None for all.
        max_gb: what snapshots and checkpoints may take in GiB; None for no limit.
        beside: folder of the checkpoints.

    Returns:
        Names of the deleted files.
    """
    files = {path.name: path.stat().st_size for path in sorted(folder.glob("kimg-*.safetensors"))}
    names = sorted(files)
    worst_first = sorted(names, key=lambda n: (-kids.get(n, float("inf")), n))
    best = [name for name in reversed(worst_first) if name in kids]
    fixed = {*names[:1], *names[-2:], *best[:1]}
    loose = [name for name in worst_first if name not in fixed]
    doomed = [] if keep_best is None else [name for name in loose if name not in worst_first[-keep_best:]]
    if max_gb is not None:
        checkpoints = beside.glob("*.ckpt") if beside is not None else ()
        size = sum(path.stat().st_size for path in checkpoints)
        size += sum(files[name] for name in names if name not in doomed)
        for name in [name for name in loose if name not in doomed]:
            if size <= max_gb * BYTES_PER_GB:
                break
            doomed.append(name)
            size -= files[name]
    for name in doomed:
        (folder / name).unlink(missing_ok=True)
    return doomed
