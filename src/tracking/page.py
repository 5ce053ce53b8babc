"""The report's page: style, sections, tables, pictures as data URIs."""

import base64
import io
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

from PIL import Image

JPEG_QUALITY = 82

STYLE = """
:root{--bg:#fbfaf8;--panel:#fff;--text:#1f2328;--muted:#6b7280;--line:#e4e2dd;--accent:#b4441f;--heat:#c2541f;
--on-heat:#fff;--c1:#c2541f;--c2:#2f6f9f;--c3:#5b8c3a;--c4:#8457a8}
@media(prefers-color-scheme:dark){:root{--bg:#16181b;--panel:#1e2125;--text:#e8e6e1;--muted:#9aa0a8;--line:#33373d;
--accent:#f0895c;--heat:#e8763f;--on-heat:#16181b;--c1:#f0895c;--c2:#6fb1e0;--c3:#9ccb78;--c4:#bf9be0}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--text);font:16px/1.5 system-ui,-apple-system,"Segoe UI",sans-serif}
main{max-width:1120px;margin:0 auto;padding:28px 20px 60px}
h1{font-size:1.7rem;line-height:1.2;margin:.2em 0}h2{font-size:1.15rem;margin:2.4em 0 .7em}
.lead{font-size:1.12rem;max-width:52em}.note{color:var(--muted);font-size:.88rem;max-width:62em}
.panel{background:var(--panel);border:1px solid var(--line);border-radius:10px;padding:16px;margin:14px 0}
.hero{border-left:5px solid var(--accent)}
.row{display:flex;flex-wrap:wrap;gap:14px;align-items:flex-start}
.row>.panel{margin:0;flex:1 1 320px;min-width:0}.row>.panel.wide{flex-basis:100%}
.trio{display:flex;flex-wrap:wrap;gap:14px}.trio figure{margin:0;flex:0 1 256px;min-width:150px}
.scroll{overflow-x:auto}.sheet img{min-width:900px}
.chart{margin:0;overflow-x:auto}.chart svg{display:block;max-width:100%;height:auto}
.chart.wide svg{max-width:none}
svg text{font:12px system-ui,sans-serif;fill:var(--muted)}svg .axis{fill:var(--text)}svg .small{font-size:10px}
svg a text{font-weight:600}svg .grid{stroke:var(--line)}svg .frame{stroke:var(--muted);fill:none}
svg .iso{stroke:var(--line);fill:none;stroke-dasharray:4 4}svg .front{stroke:var(--c2);fill:none;stroke-width:2}
svg .dot{fill:var(--c2)}svg .out{fill:none;stroke:var(--muted);stroke-width:2}
svg .star{fill:var(--accent);stroke:var(--panel);stroke-width:2}
.key{margin-right:14px;font-size:.85rem;color:var(--muted);white-space:nowrap}
.key i{display:inline-block;width:14px;height:3px;margin-right:5px;vertical-align:middle}
table{border-collapse:collapse;font-size:.9rem;width:100%}th,td{padding:7px 10px;border-bottom:1px solid var(--line);
text-align:left;vertical-align:middle;white-space:nowrap}td.wrap{white-space:normal;overflow-wrap:anywhere}
th{font-weight:600;color:var(--muted)}td.num{text-align:right;font-variant-numeric:tabular-nums}
img{max-width:100%;border-radius:6px;display:block;height:auto}td img{max-width:260px;min-width:150px}
.tag{display:inline-block;border-radius:99px;padding:1px 9px;font-size:.78rem;border:1px solid var(--line)}
.tag.best{background:var(--accent);color:var(--panel);border-color:var(--accent)}
.cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(320px,100%),1fr));gap:14px}
.cards figure{margin:0}.cards figcaption{font-size:.85rem;color:var(--muted);margin-top:4px}
.cards .chosen img{outline:3px solid var(--accent);outline-offset:2px}code{font-size:.88em;overflow-wrap:anywhere}
"""


def page(title: str, body: Iterable[str]) -> str:
    """A whole HTML document; nothing in it refers to another file or server."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body><main>{''.join(body)}</main></body></html>\n"
    )


def section(title: str, *content: str) -> str:
    """A headed section, or nothing when it has no content."""
    inner = "".join(content)
    return f"<section><h2>{escape(title)}</h2>{inner}</section>" if inner else ""


def panel(*content: str, kind: str = "") -> str:
    """A framed box, or nothing when it has no content."""
    inner = "".join(content)
    return f'<div class="panel {kind}">{inner}</div>' if inner else ""


def picture(path: Path, *, width: int, alt: str) -> str:
    """A picture file as an <img> with a data URI, at most `width` px wide; a missing or broken file gives nothing."""
    try:
        with Image.open(path) as file:
            image = file.convert("RGB")
            if image.width > width:
                image = image.resize(
                    (width, max(round(image.height * width / image.width), 1)), Image.Resampling.LANCZOS
                )
            buffer = io.BytesIO()
            image.save(buffer, "JPEG", quality=JPEG_QUALITY)
            size = image.size
    except OSError:
        return ""
    data = base64.b64encode(buffer.getvalue()).decode()
    shape = f'width="{size[0]}" height="{size[1]}" alt="{escape(alt, quote=True)}"'
    return f'<img src="data:image/jpeg;base64,{data}" {shape}>'


def table(columns: Sequence[str], rows: Sequence[Sequence[str]], *, numeric: Iterable[int] = ()) -> str:
    """A table of cells that are HTML already; `numeric` columns are aligned right."""
    if not rows:
        return ""
    right = set(numeric)
    head = "".join(f"<th>{escape(c)}</th>" for c in columns)
    lines = [
        "<tr>"
        + "".join(f'<td class="{"num" if i in right else ""}">{cell}</td>' for i, cell in enumerate(row))
        + "</tr>"
        for row in rows
    ]
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{"".join(lines)}</tbody></table></div>'


def facts(pairs: Iterable[tuple[str, object]]) -> str:
    """Names and values as a two-column table; empty values are left out."""
    rows = [
        f'<tr><th>{escape(name)}</th><td class="wrap">{escape(str(value))}</td></tr>'
        for name, value in pairs
        if value not in (None, "", {}, [])
    ]
    return f"<table>{''.join(rows)}</table>" if rows else ""
