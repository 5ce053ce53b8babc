"""Are the stated errors those of new codes, and does a race find what the whole grid does? Disjoint sets of codes.

    python -m experiments.cariscore.calibration runs/NAME --kimg 2 4 6 8 --features FILE.npz

Features of all codes are measured once, and kept in FILE. For each number of codes: stated over empirical standard
deviation of gaps; how often the candidates hold the best of all codes together (by places averaged over sets of 1,024);
how often the pick is that of a disjoint set of 1,024 codes, and how often the stated regret holds for the gap between
the pick and the best of all.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import astuple
from pathlib import Path

import numpy as np
import torch

from experiments.cariscore.ground_truth import WEIGHTS
from experiments.cariscore.networks import Run, asked, label, opened
from src.metrics.cariscore import (
    CariScore,
    Cell,
    Decision,
    combine,
    compare,
    decide,
    looks,
    measure,
    open_axes,
    prices,
    race,
)
from src.metrics.cariscore.axis import Features, Floats
from src.metrics.cariscore.frame import Frame
from src.sweep.pictures import common_codes

LARGE = 1024


class Measured:
    """Features of base, training cartoons and blends of the same codes on each axis.

    Args:
        base: features of the base's pictures on each axis.
        target: of the training cartoons.
        others: of the base's pictures of the codes that fix the scale in a sweep.
        blends: of each blend.
        cells: they.
    """

    def __init__(
        self,
        base: list[Features],
        target: list[Features],
        others: list[Features],
        blends: list[list[Features]],
        cells: list[Cell],
    ):
        self.base, self.target, self.others, self.blends, self.cells = base, target, others, blends, cells
        nowhere = Frame(
            32, torch.rand(68, 2), torch.rand(68, 2)
        )  # features are there: where they came from is not asked
        self._axes = open_axes(nowhere)

    @property
    def codes(self) -> int:
        """How many codes there are."""
        return len(self.base[0])

    def pseudo(self, rows: slice, chosen: Sequence[int] | None = None) -> Floats:
        """Pseudo-values `[N, C, A]` of some codes alone, of all blends or those chosen."""
        score = CariScore(self._axes, [x[rows] for x in self.base], self.target, self.others)
        wanted = self.blends if chosen is None else [self.blends[i] for i in chosen]
        return np.stack([score.places([x[rows] for x in blend]).pseudo for blend in wanted], axis=1)

    def save(self, path: Path) -> None:
        """Write everything."""
        references = {"base": self.base, "target": self.target, "others": self.others}
        sets = {**references, **dict(zip(self._labels, self.blends, strict=True))}
        arrays = {f"{name}|{i}": rows for name, found in sets.items() for i, rows in enumerate(found)}
        np.savez(path, **arrays, cells=np.array(json.dumps([astuple(cell) for cell in self.cells])))

    @classmethod
    def load(cls, path: Path) -> "Measured":
        """Read what `save` wrote."""
        with np.load(path) as file:
            cells = [Cell(*cell) for cell in json.loads(str(file["cells"]))]
            names = ("base", "target", "others", *(c.label for c in cells))
            sets = [[file[f"{name}|{i}"] for i in (0, 1)] for name in names]
        return cls(*sets[:3], sets[3:], cells)

    @property
    def _labels(self) -> list[str]:
        return [cell.label for cell in self.cells]


def measured(run: Run, codes: int, options: object) -> Measured:
    """Render and measure everything."""
    ws = common_codes(run.base, codes, 0.7, 0)
    detector = opened(run, ws, options)  # type: ignore[arg-type]
    others = run.others(detector)
    axes = open_axes(Frame.of(others))
    blends, cells = [], [Cell(label(key), *key) for key in run.keys if key[1]]
    for key in [key for key in run.keys if key[1]]:
        blends.append(measure(axes, detector.locate(run.pictures(run.network(key), ws))))
        print(f"measured {label(key)}: {codes} pictures", flush=True)
    base, target = measure(axes, detector.base), measure(axes, detector.cartoons.seen())
    return Measured(base, target, measure(axes, others), blends, cells)


def calibrate(data: Measured, codes: int, truth: Floats, large: list[int]) -> str:
    """One row of the table.

    Args:
        data: everything.
        codes: of a set.
        truth: scores of all codes `[C]`.
        large: picks of disjoint sets of `LARGE` codes, in order.
    """
    sets = [data.pseudo(slice(k, k + codes)) for k in range(0, data.codes, codes)]
    found = [compare(rows) for rows in sets]
    means = np.stack([f.mean for f in found])
    top = np.argsort(-truth)[: max(len(truth) // 2, 2)].tolist()
    ratios = [
        np.sqrt(np.mean([f.gap_error[i, j] ** 2 for f in found])) / (means[:, i] - means[:, j]).std(ddof=1)
        for i, j in pairs(top)
    ]
    decisions: list[Decision] = [d for rows in sets if (d := decide(rows, data.cells)) is not None]
    value = truth - prices(data.cells)
    gap = np.array([value.max() - value[d.pick] for d in decisions])
    bound = np.array([d.regret for d in decisions])
    others = [large[(k * codes // LARGE + 1) % len(large)] for k in range(len(sets))]  # of codes that the set has not
    same = np.array([d.pick == other for d, other in zip(decisions, others, strict=True)])
    held = np.mean([f.candidate[truth.argmax()] for f in found])
    size = np.mean([f.candidate.sum() for f in found])
    return (
        f"| {codes} | {len(sets)} | {np.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}) | {held:.2f} | "
        f"{size:.1f} | {same.mean():.2f} | {np.mean(gap <= bound):.2f} ({np.median(bound):.3f}) | {gap.max():.3f} |"
    )


def raced(data: Measured, codes: int, truth: Floats) -> str:
    """A race in each disjoint set of codes, beside the whole grid of the same codes."""
    value, same, close, saved = truth - prices(data.cells), [], [], []
    for start in range(0, data.codes, codes):
        whole = decide(data.pseudo(slice(start, start + codes)), data.cells)
        rendered = before = 0
        for look, racing in race(
            data.cells, looks(codes), lambda n, i, start=start: data.pseudo(slice(start, start + n), i)
        ):
            rendered, before = rendered + (look - before) * len(racing), look
        found = decide(data.pseudo(slice(start, start + look), racing), [data.cells[i] for i in racing])
        assert whole is not None and found is not None
        pick = racing[found.pick]
        same.append(pick == whole.pick)
        close.append(value.max() - value[pick] <= 0.01)
        saved.append(rendered / (codes * len(data.cells)))
    return f"| {codes} | {len(same)} | {np.mean(same):.2f} | {np.mean(close):.2f} | {np.mean(saved):.2f} |"


def pairs(items: list[int]) -> Iterator[tuple[int, int]]:
    """All pairs."""
    return ((a, b) for k, a in enumerate(items) for b in items[k + 1 :])


def main() -> None:
    """Run."""
    parser = asked(__doc__)
    parser.add_argument("--total", type=int, default=8192)
    parser.add_argument("--codes", type=int, nargs="*", default=[64, 128, 256])
    parser.add_argument("--features", type=Path, required=True)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if not options.features.exists():
        measured(Run(options.run, options.kimg, options.res), options.total, options).save(options.features)
    data = Measured.load(options.features)
    parts = [data.pseudo(slice(k, k + LARGE)) for k in range(0, data.codes, LARGE)]
    truth = combine(np.mean([part.mean(axis=0) for part in parts], axis=0), WEIGHTS)
    large = [decide(part, data.cells) for part in parts]
    print(f"\n{len(data.cells)} cells, {data.codes} codes")
    for cell, score in zip(data.cells, truth, strict=True):
        print(f"{cell.label}: {score:.4f}, less its price {score - prices([cell])[0]:.4f}")
    columns = ("codes", "sets", "stated / empirical error of gaps", "candidates hold the best", "candidates")
    columns += ("pick as of 1,024 others", "regret holds (median bound)", "largest gap")
    print(f"\n| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
    for codes in options.codes:
        print(calibrate(data, codes, truth, [d.pick for d in large if d is not None]), flush=True)
    print("\n| budget | races | pick as of the whole grid | within .01 of the best | pictures |\n|---|---|---|---|---|")
    for codes in (256, 512, LARGE):
        print(raced(data, codes, truth), flush=True)
    print(f"looks of {LARGE}: {looks(LARGE)}")


if __name__ == "__main__":
    main()
