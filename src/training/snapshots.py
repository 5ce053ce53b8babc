"""Taking a snapshot: the light network file, the fixed-z sample grid, the evaluation row."""

import datetime
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ..cuda_graphs import Recorder, RepeatedOn
from ..data import PictureDataset, image_grid, save_jpeg, to_uint8
from ..device import send
from ..errors import UserError
from ..fetch import WeightsFolder
from ..group import ALONE, Group
from ..metrics import Evaluation, Evaluator, FeatureExtractor, MetricsSettings, get_extractor
from ..networks import Generator
from ..runs import find_snapshots
from ..tracking import Tracker, read_rows
from ..weights import read_meta, save_network
from .evaluations import Evaluations
from .schedule import mark_name
from .seeds import seeded_generator

GRID_COLUMNS, GRID_ROWS = 8, 4
BYTES_PER_GB = 2**30


def configured_extractor(
    metrics: MetricsSettings, weights_folder: WeightsFolder, device: torch.device | str = "cpu"
) -> FeatureExtractor | None:
    """The extractor that the `metrics` group asks for, None for no evaluation."""
    if metrics.extractor is None:
        return None
    assert metrics.extractor != "auto"
    weights = {"weights": metrics.weights, "weights_sha256": metrics.weights_sha256}
    return get_extractor(metrics.extractor, device=device, weights_folder=weights_folder, **weights)


class Snapshotter:
    """Writes snapshots and evaluates them."""

    def __init__(
        self,
        run_dir: Path,
        G_ema: Generator,  # read at each snapshot
        dataset: PictureDataset,  # reals to compare with
        tracker: Tracker,  # where rows and pictures go
        *,
        meta: Mapping[str, Any],  # header facts shared by all snapshots of the run (dataset, parent, …)
        metrics: MetricsSettings,  # with nothing left to `auto`
        measures: str = "",  # which features these are and why, for the protocol
        weights_folder: WeightsFolder,  # where the extractor's weights lie and come from
        dtype: torch.dtype,  # of the stored tensors
        grid_psi: float,  # truncation of the sample grids
        seed: int,  # of grids and evaluation latents
        keep_best: int | None = None,  # how many snapshots of lowest KID stay on disk (see `prune_snapshots`)
        max_gb: float | None = None,  # how much they and the checkpoints may take
        group: Group = ALONE,  # all measure, the first one writes
        recorder: Recorder | None = None,  # captures the rendering of an evaluation; None renders op by op
    ) -> None:
        self.group = group
        self.run_dir, self.G_ema, self.dataset, self.tracker = run_dir, G_ema, dataset, tracker
        self.meta, self.metrics, self.dtype, self.grid_psi, self.seed = dict(meta), metrics, dtype, grid_psi, seed
        self.measures, self.weights_folder = measures, weights_folder
        self.evaluator: Evaluator | None = None
        self.recorder = recorder
        self.evaluations = Evaluations(run_dir, metrics, seed=seed)
        self.keep_best, self.max_gb = keep_best, max_gb
        self.chosen: Callable[[], str | None] = lambda: None  # name of a snapshot that is not to be pruned
        self._prunes = keep_best is not None or max_gb is not None
        self._waiting: list[dict[str, Any]] = []  # rows of snapshots that are not stored yet

    def restore(self, rows: list[dict[str, Any]], *, unstored: Sequence[dict[str, Any]] = ()) -> None:
        """Take up the evaluations made before a resume, measured as those to come.

        `unstored` are those of snapshots that may not be stored as artifacts.
        """
        self.evaluations.restore({row["snapshot"]: float(row["kid"]) for row in rows if row.get("kid") is not None})
        for row in unstored:
            self._store(row)

    def take(self, kimg: float, nimg: int, name: str) -> None:
        """Write `snapshots/<name>.safetensors`, `samples/<name>.jpg`, and one metrics row."""
        found = None if self.metrics.extractor is None else self._measure()
        if not self.group.is_first:
            return
        path = self.run_dir / "snapshots" / f"{name}.safetensors"
        row: dict[str, Any] = {} if found is None else self._row(path.name, found)
        meta = {**self.meta, "kimg": kimg, "nimg": nimg, "metrics": _numbers(row)}
        save_network(path, G_ema=self.G_ema, meta=meta, dtype=self.dtype)
        sample = self.run_dir / "samples" / f"{name}.jpg"
        save_jpeg(sample, self.sample_grid())
        row = {**row, "snapshot": path.name, "sample": f"samples/{sample.name}", "time": _now()}
        self.tracker.snapshot(row, kimg, nimg)
        self._store({**row, "kimg": kimg})
        if self._prunes:
            prune_snapshots(
                path.parent,
                self.evaluations.kids,
                keep_best=self.keep_best,
                max_gb=self.max_gb,
                beside=self.run_dir / "checkpoints",
                chosen=self.chosen(),
            )

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
        codes = self._codes(GRID_COLUMNS * GRID_ROWS, "grid")
        images = torch.cat([to_uint8(self.G_ema(*chunk, psi=self.grid_psi)) for chunk in codes]).cpu()
        return image_grid(images, GRID_COLUMNS)

    @torch.inference_mode()
    def _measure(self) -> Evaluation:
        if self.evaluator is None:
            extractor = configured_extractor(self.metrics, self.weights_folder, self.G_ema.mapping.w_avg.device)
            assert extractor is not None
            self.evaluator = Evaluator(extractor, self.dataset, seed=self.seed, group=self.group)
        assert self.metrics.num_fakes is not None
        codes = self._codes(self.metrics.num_fakes, "evaluation", self.group)
        # a new graph each time: the networks may have been moved
        render = self._rendered if self.recorder is None else RepeatedOn(self.recorder, self._rendered)
        return self.evaluator.evaluate((render(*chunk) for chunk in codes), psi=float(self.metrics.psi))

    def _rendered(self, z: Tensor, c: Tensor | None = None) -> Tensor:
        return to_uint8(self.G_ema(z, c, psi=float(self.metrics.psi)))

    def _row(self, snapshot: str, found: Evaluation) -> dict[str, Any]:
        """The row of an evaluation: what was found, beside those before it, and why it was measured so."""
        protocol = {**found.row["protocol"], "chosen": self.measures}
        return {**found.row, "protocol": protocol, **self.evaluations.add(snapshot, found.kid)}

    def _codes(self, count: int, stream: str, group: Group = ALONE) -> Iterator[list[Tensor]]:
        """Yield a process's share of latents `[n, z_dim]`, and of classes if there are any: alike at every snapshot."""
        device = self.G_ema.mapping.w_avg.device
        generator = seeded_generator(self.seed, 0, stream)
        latents = torch.randn([count, self.G_ema.z_dim], generator=generator)
        classes = torch.randint(max(self.G_ema.c_dim, 1), [count], generator=generator)
        mine = group.share(count)
        for i in range(mine.start, mine.stop, self.G_ema.chunk_size):
            chosen = slice(i, min(i + self.G_ema.chunk_size, mine.stop))
            known = [F.one_hot(classes[chosen], self.G_ema.c_dim).float()] if self.G_ema.c_dim else []
            yield [*map(partial(send, device=device), (latents[chosen], *known))]


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def is_taken(run_dir: Path, kimg: float, *, measured: bool) -> bool:
    """Whether a snapshot is complete: its row is written last, or, where none is measured, its file alone."""
    name = f"{mark_name(kimg)}.safetensors"
    if not measured:
        return (run_dir / "snapshots" / name).is_file()
    return any(row.get("snapshot") == name for row in read_rows(run_dir / "metrics.jsonl"))


def _numbers(row: Mapping[str, Any]) -> dict[str, float]:
    return {k: v for k, v in row.items() if isinstance(v, int | float) and not isinstance(v, bool)}


def prune_snapshots(
    folder: Path,
    kids: Mapping[str, float],
    *,
    keep_best: int | None,
    max_gb: float | None,
    beside: Path | None = None,
    chosen: str | None = None,
) -> list[str]:
    """Delete snapshots that are not to be kept, and return their names.

    The first (the original network, which every blend needs), the last two, the one with the lowest KID and the chosen
    one always stay. Of the others the `keep_best` with the lowest KID of all stay (None: all); then the worst go until
    snapshots and checkpoints (in `beside`) take no more than `max_gb` GiB. A file without a KID counts as worst, the
    older first.
    """
    files = {path.name: path.stat().st_size for path in sorted(folder.glob("kimg-*.safetensors"))}
    names = sorted(files)
    worst_first = sorted(names, key=lambda n: (-kids.get(n, float("inf")), n))
    best = [name for name in reversed(worst_first) if name in kids]
    fixed = {*names[:1], *names[-2:], *best[:1], f"{chosen}.safetensors"}
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
