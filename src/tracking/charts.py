"""Charts of the report as inline SVG: curves over kimg, the sweep's heat map, one axis of the score against another.

Colours are the page's CSS variables, so that charts follow light and dark; every mark has a <title> with its value.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any

WIDTH, HEIGHT = 460, 220
MAX_POINTS = 1000  # of a curve
LEFT, RIGHT, TOP, BOTTOM = 52, 12, 12, 30
COLOURS = ("var(--c1)", "var(--c2)", "var(--c3)", "var(--c4)")
WIDE_FROM = 7  # snapshots in a heat map
WIDE_PX, NARROW_PX = 960, 430
WIDE_CELL_PX, CELL_PX = 92, 72
Point = tuple[float, float]
Scale = Callable[[float], float]


def line_chart(
    series: Mapping[str, Sequence[Point]], *, bands: Mapping[str, Sequence[tuple[float, float, float]]] | None = None
) -> str:
    """SVG of curves over kimg, (kimg, value) by name, with bands (kimg, low, high) behind them; empty without."""
    bands = bands or {}
    points = [p for curve in series.values() for p in curve if math.isfinite(p[1])]
    if not points:
        return ""
    edges = [v for band in bands.values() for _, low, high in band for v in (low, high)]
    x, x_ticks = _scale([p[0] for p in points], LEFT, WIDTH - RIGHT)
    y, y_ticks = _scale([p[1] for p in points] + edges, HEIGHT - BOTTOM, TOP)
    parts = [_axes(x, x_ticks, y, y_ticks)]
    for i, (name, curve) in enumerate(series.items()):
        colour = COLOURS[i % len(COLOURS)]
        if name in bands:
            outline = [(k, high) for k, _, high in bands[name]] + [(k, low) for k, low, _ in reversed(bands[name])]
            parts.append(f'<path d="{_path(outline, x, y)}Z" fill="{colour}" opacity=".16"/>')
        finite = _thinned([p for p in curve if math.isfinite(p[1])])
        parts.append(f'<path d="{_path(finite, x, y)}" fill="none" stroke="{colour}" stroke-width="2"/>')
        for k, value in finite if len(finite) <= 60 else []:
            title = f"{escape(name)}: {value:.4g} at {k:g} kimg"
            parts.append(
                f'<circle cx="{x(k):.1f}" cy="{y(value):.1f}" r="3" fill="{colour}"><title>{title}</title></circle>'
            )
    legend = "".join(
        f'<span class="key"><i style="background:{COLOURS[i % len(COLOURS)]}"></i>{escape(name)}</span>'
        for i, name in enumerate(series)
    )
    return f'<figure class="chart">{_svg(parts)}<figcaption>{legend}</figcaption></figure>'


def heat_map(rows: Sequence[Mapping[str, Any]], ranking: Mapping[str, Any], page: str = "") -> str:
    """CariScore of each snapshot (column) and resolution (row), with links to the cells' pictures on `page`."""
    kimgs = sorted({row["kimg"] for row in rows})
    resolutions = sorted({row["resolution"] for row in rows}, reverse=True)
    room, most = (WIDE_PX, WIDE_CELL_PX) if is_wide(rows) else (NARROW_PX, CELL_PX)
    cell_w, cell_h = max(min(most, room // max(len(kimgs), 1)), 56), 46
    width, height = 64 + cell_w * len(kimgs) + 8, cell_h * len(resolutions) + 40
    recommended = (ranking.get("recommended") or {}).get("label")
    candidates = set(ranking["candidates"])
    parts = [_HATCH]
    for row in rows:
        left, top = 64 + cell_w * kimgs.index(row["kimg"]), cell_h * resolutions.index(row["resolution"])
        kind = (row["label"] == recommended, row["label"] in candidates)
        cell = _heat_cell(row, left, top, cell_w, cell_h, *kind)
        parts.append(_link(row, ranking, f"<g>{cell}</g>", page))
    for i, r in enumerate(resolutions):
        parts.append(f'<text x="56" y="{cell_h * (i + 0.5) + 5:.0f}" text-anchor="end">{r} px</text>')
    for i, k in enumerate(kimgs):
        middle = 64 + cell_w * (i + 0.5)
        parts.append(f'<text x="{middle:.0f}" y="{cell_h * len(resolutions) + 18}" text-anchor="middle">{k:g}</text>')
    parts.append(f'<text x="{width / 2:.0f}" y="{height - 4}" text-anchor="middle" class="axis">snapshot, kimg</text>')
    return f'<figure class="chart wide">{_svg(parts, width, height)}</figure>'


def is_wide(rows: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the heat map of these rows wants a line of its own."""
    return len({row["kimg"] for row in rows}) > WIDE_FROM


def shape_rendering(rows: Sequence[Mapping[str, Any]], ranking: Mapping[str, Any], page: str = "") -> str:
    """The score's first axis (shape) against its second (rendering), with curves of equal score and the Pareto front.

    Links go to the cells' pictures, which are on `page`.
    """
    size, margin = 360, 44
    across, up = ranking["axes"][:2]
    place = lambda s, r: (margin + s * (size - margin - 12), (1 - r) * (size - margin - 12) + 12)  # noqa: E731
    alpha = across["exponent"] / (across["exponent"] + up["exponent"])
    points = [tuple(min(max(row[axis["name"]], 0.0), 1.0) for axis in (across, up)) for row in rows]
    parts = []
    for level in (0.2, 0.4, 0.6, 0.8):
        inside = [place(s, r) for s, r in _equal_score(level, alpha) if r <= 1]
        if inside:
            path = "M" + "L".join(f"{a:.1f},{b:.1f}" for a, b in inside)
            parts.append(f'<path d="{path}" class="iso"/>')
            x, y = inside[-1][0] - 4, inside[-1][1] - 4
            parts.append(f'<text x="{x:.0f}" y="{y:.0f}" class="small" text-anchor="end">{level}</text>')
    front = _pareto([(s, r) for s, r in points])
    if len(front) > 1:
        path = "L".join(f"{a:.1f},{b:.1f}" for a, b in (place(*p) for p in front))
        parts.append(f'<path d="M{path}" class="front"/>')
    recommended = (ranking.get("recommended") or {}).get("label")
    for row, point in zip(rows, points, strict=True):
        x, y = place(*point)
        radius, kind = (8, "star") if row["label"] == recommended else (5, "dot" if row.get("eligible") else "out")
        dot = f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}" class="{kind}"/>'
        parts.append(_link(row, ranking, dot, page))
    for value in (0, 0.5, 1):
        (x, _), (_, y) = place(value, 0), place(0, value)
        parts.append(f'<text x="{x:.0f}" y="{size - margin + 32}" text-anchor="middle">{value:g}</text>')
        parts.append(f'<text x="{margin - 8}" y="{y + 4:.0f}" text-anchor="end">{value:g}</text>')
    (x0, y0), (x1, y1) = place(0, 0), place(1, 1)
    parts.append(f'<path d="M{x0},{y1}V{y0}H{x1}" class="frame"/>')
    parts.append(f'<text x="{(x0 + x1) / 2:.0f}" y="{size}" text-anchor="middle" class="axis">{_titled(across)}</text>')
    middle = (y0 + y1) / 2
    parts.append(
        f'<text x="12" y="{middle:.0f}" text-anchor="middle" class="axis" transform="rotate(-90 12 {middle:.0f})">'
        f"{_titled(up)}</text>"
    )
    return f'<figure class="chart">{_svg(parts, size, size + 6)}</figure>'


_HATCH = (
    '<defs><pattern id="hatch" width="7" height="7" patternTransform="rotate(45)" patternUnits="userSpaceOnUse">'
    '<line x1="0" y1="0" x2="0" y2="7" stroke="var(--muted)" stroke-width="2"/></pattern></defs>'
)


def _described(row: Mapping[str, Any], ranking: Mapping[str, Any]) -> str:
    """A blend in one line: score, axes, share of the draws in which it is the best, gates that it fails."""
    axes = ", ".join(f"{axis['name'].upper()} {round(row[axis['name']], 2) + 0:.2f}" for axis in ranking["axes"])
    failed = [name for name, gate in row["gates"].items() if gate["passed"] is False]
    fails = f"; fails {', '.join(failed)}" if failed else ""
    return f"{row['label']}: CariScore {row['cari']:.3f}, {axes}, best in {row['share']:.0%}{fails}"


def cell_id(row: Mapping[str, Any]) -> str:
    """Name of a blend's place in a page."""
    return f"cell-{row['label']}".replace("/", "-")


def _link(row: Mapping[str, Any], ranking: Mapping[str, Any], mark: str, page: str) -> str:
    """A mark that leads to the blend's picture and says its numbers."""
    kind = "" if row.get("eligible") else ' class="fails"'
    address = escape(f"{page}#{cell_id(row)}", quote=True)
    return f'<a href="{address}"{kind}>{mark}<title>{escape(_described(row, ranking))}</title></a>'


def _titled(axis: Mapping[str, Any]) -> str:
    return escape(f"{axis['name'].upper()}, {axis['title']}")


def _heat_cell(
    row: Mapping[str, Any], left: float, top: float, width: float, height: float, recommended: bool, candidate: bool
) -> str:
    value = min(float(row["cari"]), 1.0)
    box = f'x="{left + 2}" y="{top + 2}" width="{width - 4}" height="{height - 4}" rx="5"'
    parts = [f'<rect {box} fill="var(--heat)" opacity="{0.08 + 0.92 * value:.3f}"/>']
    if not row.get("eligible"):
        parts.append(f'<rect {box} fill="url(#hatch)" opacity=".55"/>')
    if candidate or recommended:
        parts.append(f'<rect {box} fill="none" stroke="var(--text)" stroke-width="{3 if recommended else 1.5}"/>')
    mark = "★ " if recommended else ""
    colour = "var(--on-heat)" if value > 0.5 else "var(--text)"
    parts.append(
        f'<text x="{left + width / 2:.0f}" y="{top + height / 2 + 5:.0f}" text-anchor="middle" style="fill:{colour}">'
        f"{mark}{value:.2f}</text>"
    )
    return "".join(parts)


def _equal_score(level: float, alpha: float) -> list[tuple[float, float]]:
    """Points (S, R) where S^alpha R^(1-alpha) is `level`."""
    return [(s / 100, (level / (s / 100) ** alpha) ** (1 / (1 - alpha))) for s in range(2, 101)]


def _pareto(points: Sequence[Point]) -> list[Point]:
    best, front = -1.0, []
    for s, r in sorted(points, key=lambda p: (-p[0], -p[1])):
        if r > best:
            best = r
            front.append((s, r))
    return front


def _scale(values: Sequence[float], start: float, end: float) -> tuple[Scale, list[float]]:
    low, high = min(values), max(values)
    if high - low < 1e-9 * max(abs(high), 1.0):
        low, high = low - 0.5, high + 0.5
    step = 10 ** math.floor(math.log10((high - low) / 4))
    step *= next(m for m in (1, 2, 5, 10) if (high - low) / (step * m) <= 5)
    ticks = [i * step for i in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]
    return (lambda v: start + (v - low) / (high - low) * (end - start)), ticks


def _axes(x: Scale, x_ticks: list[float], y: Scale, y_ticks: list[float]) -> str:
    parts = []
    for tick in y_ticks:
        parts.append(f'<path d="M{LEFT},{y(tick):.1f}H{WIDTH - RIGHT}" class="grid"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y(tick) + 4:.1f}" text-anchor="end">{tick:.4g}</text>')
    for tick in x_ticks:
        parts.append(f'<text x="{x(tick):.1f}" y="{HEIGHT - 12}" text-anchor="middle">{tick:g}</text>')
    parts.append(f'<text x="{WIDTH - RIGHT}" y="{HEIGHT}" text-anchor="end" class="axis">kimg</text>')
    return "".join(parts)


def _thinned(points: Sequence[Point]) -> list[Point]:
    """Means of neighbours, where a curve has more points than a chart can show."""
    step = math.ceil(len(points) / MAX_POINTS) or 1
    parts = [points[i : i + step] for i in range(0, len(points), step)]
    return [(sum(p[0] for p in part) / len(part), sum(p[1] for p in part) / len(part)) for part in parts]


def _path(points: Sequence[Point], x: Scale, y: Scale) -> str:
    return "M" + "L".join(f"{x(a):.1f},{y(b):.1f}" for a, b in points) if points else ""


def _svg(parts: Sequence[str], width: float = WIDTH, height: float = HEIGHT) -> str:
    return f'<svg viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" role="img">{"".join(parts)}</svg>'
