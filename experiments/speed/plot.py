"""The ratios of one or more results as an SVG picture: a bar from 1, a whisker from the smallest to the largest round.

python -m experiments.speed.plot RESULT.json [RESULT.json ...] --out ratios.svg
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

WIDTH, LABELS, MARGIN, BAR, TOP = 860, 400, 60, 22, 44
PALETTE = ("#3b6ea8", "#c2703d", "#4d8b57", "#8a5a9e", "#a39435", "#5f6b77")


class Bar(NamedTuple):
    """One ratio: its label, whose it is, and the median, smallest and largest of the rounds."""

    label: str
    contender: str
    ratio: float
    low: float
    high: float


def bars_of(result: Mapping[str, Any], *, prefix: str = "") -> list[Bar]:
    """The rows of a result that compare with a peer, in their order."""
    return [
        Bar(
            f"{prefix}{row['part']}: {row['contender']} / {row['against']}",
            row["contender"],
            row["ratio"],
            row["ratio_min"],
            row["ratio_max"],
        )
        for row in result["rows"]
        if row.get("against")
    ]


def draw(bars: Sequence[Bar], *, title: str) -> str:
    """Draw bars; each has a title with its numbers."""
    height = TOP + BAR * len(bars) + 34
    largest = max([bar.high for bar in bars] + [1.0])
    step = next(s for s in (0.25, 0.5, 1, 2, 5, 10, 20, 50, 100, 1000) if largest / s <= 8 or s == 1000)
    end = step * (int(largest / step) + 1)
    room = WIDTH - LABELS - MARGIN
    x = lambda value: LABELS + room * value / end  # noqa: E731
    colours = {name: PALETTE[i % len(PALETTE)] for i, name in enumerate(dict.fromkeys(b.contender for b in bars))}
    bottom = TOP + BAR * len(bars)
    parts = [f'<text x="12" y="24" font-size="15">{escape(title)}: time of the peer over ours</text>']
    for i in range(round(end / step) + 1):
        value = i * step
        parts.append(f'<path d="M{x(value):.1f},{TOP - 6}V{bottom}" stroke="#ddd"/>')
        parts.append(f'<text x="{x(value):.1f}" y="{bottom + 18}" text-anchor="middle">{value:g}</text>')
    for i, bar in enumerate(bars):
        parts += _bar(bar, TOP + BAR * i, x, colours[bar.contender])
    parts.append(f'<path d="M{x(1):.1f},{TOP - 6}V{bottom}" stroke="#222" stroke-width="1.5"/>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        f'font-family="sans-serif" font-size="12" fill="#222"><rect width="100%" height="100%" fill="#fff"/>'
        + "".join(parts)
        + "</svg>\n"
    )


def _bar(bar: Bar, top: float, x: Any, colour: str) -> list[str]:
    """A bar from 1 to the median, the whisker over it, its label and its number."""
    left, right = sorted((x(1), x(bar.ratio)))
    middle = top + BAR / 2 - 2
    words = f"{bar.label}: {bar.ratio:.3f} ({bar.low:.3f} to {bar.high:.3f})"
    return [
        f'<rect x="{left:.1f}" y="{top}" width="{max(right - left, 0.5):.1f}" height="{BAR - 6}" fill="{colour}" '
        f'data-ratio="{bar.ratio:.4f}"><title>{escape(words)}</title></rect>',
        f'<path d="M{x(bar.low):.1f},{middle:.1f}H{x(bar.high):.1f}" stroke="#222" stroke-width="1.5"/>',
        f'<text x="{LABELS - 8}" y="{middle + 4:.1f}" text-anchor="end">{escape(bar.label)}</text>',
        f'<text x="{max(x(bar.high), x(1)) + 6:.1f}" y="{middle + 4:.1f}">{bar.ratio:.2f}</text>',
    ]


def main(argv: Sequence[str] | None = None) -> None:
    """Draw the results named on the command line in one picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args(argv)
    bars: list[Bar] = []
    for path in args.results:
        result = json.loads(path.read_text())
        bars += bars_of(result, prefix=f"{result['table']} {result['settings']['preset']}, ")
    if not bars:
        raise SystemExit("no ratios in these results: they have no peer")
    args.out.write_text(draw(bars, title="Speed"))


if __name__ == "__main__":
    main()
