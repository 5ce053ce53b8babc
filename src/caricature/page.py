"""The page: each face with sliders over strength and resolution of the blend. One file, nothing from elsewhere."""

import base64
import io
import json
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor

from ..tracking.page import facts, page, panel, section, table
from .gather import Subject
from .render import Grid

FACE_PX, PHOTO_PX, QUALITY = 256, 900, 84
STYLE = """<style>
.dials{position:sticky;top:0;z-index:2;background:var(--panel)}
.dial{display:flex;gap:10px;align-items:center;flex-wrap:wrap;font-size:.9rem}
.dial input{flex:1 1 160px;accent-color:var(--accent);min-width:0}
.dial output{min-width:4.5em;font-variant-numeric:tabular-nums}
.dial label{min-width:5.5em;color:var(--muted)}
.face{display:grid;grid-template-columns:repeat(auto-fit,minmax(110px,1fr));gap:8px}.face figure{margin:0}
.face img{width:100%}figcaption{font-size:.8rem;color:var(--muted)}
.stack{position:relative}.stack img+img{position:absolute;left:0;top:0}
.faces{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(430px,100%),1fr));gap:14px}.faces .panel{margin:0}
.faces h3{margin:.1em 0 .5em;font-size:1rem;overflow-wrap:anywhere}
</style>"""
SCRIPT = """
const D=JSON.parse(document.getElementById('data').textContent),S=D.strengths,R=D.resolutions;
const uri=b=>'data:image/jpeg;base64,'+b;
function show(p){const f=D.faces[+p.dataset.face],v=+p.querySelector('.s').value;
 const r=p.querySelector('.r')?+p.querySelector('.r').value:0;
 let i=S.length-1;while(i>0&&S[i]>v)i--;
 const j=Math.min(i+1,S.length-1),t=j>i?(v-S[i])/(S[j]-S[i]):0,im=p.querySelectorAll('.stack img');
 im[0].src=uri(f[r][i]);im[1].src=uri(f[r][j]);im[1].style.opacity=t;
 p.querySelector('.so').value=v.toFixed(2);if(R.length)p.querySelector('.ro').value=R[r]+' px'}
document.querySelectorAll('.one').forEach(p=>{p.addEventListener('input',()=>show(p));show(p)});
const all=document.getElementById('all');
all.addEventListener('input',e=>{const c=e.target.className;
 all.querySelector('.'+c+'o').value=c=='s'?(+e.target.value).toFixed(2):R[+e.target.value]+' px';
 document.querySelectorAll('.one').forEach(p=>{p.querySelector('.'+c).value=e.target.value;show(p)})});
"""


def write_page(
    title: str,
    description: Sequence[tuple[str, object]],
    subjects: Sequence[Subject],
    reconstructions: Tensor,
    grid: Grid,
    strengths: Sequence[float],
    *,
    pasted: Mapping[str, np.ndarray] | None = None,
    photos: Sequence[Sequence[str]] = (),
) -> str:
    """Make the page.

    Args:
        title: of it.
        description: names and values: which networks, which settings.
        subjects: the faces.
        reconstructions: of their codes by the base network, uint8 `[N, 3, r, r]`.
        grid: pictures behind the sliders.
        strengths: of each face, where its slider stands at first.
        pasted: photographs with caricatures, by name.
        photos: rows (photograph, faces, why not) of the report.

    Returns:
        HTML.
    """
    cards, data = [], []
    for i, subject in enumerate(subjects):
        rows = [[_jpeg(grid.pictures[r, s, i]) for s in range(len(grid.strengths))] for r in range(len(grid.pictures))]
        data.append(rows)
        cards.append(_card(i, subject, reconstructions[i], grid, strengths[i], rows))
    stored = json.dumps({"strengths": grid.strengths, "resolutions": grid.resolutions, "faces": data})
    first = strengths[0] if len(set(strengths)) == 1 else 1.0
    shown = [
        f"<figure>{_image(_jpeg_array(image, PHOTO_PX), name)}<figcaption>{escape(name)}</figcaption></figure>"
        for name, image in (pasted or {}).items()
    ]
    body = [
        STYLE,
        f"<h1>{escape(title)}</h1>",
        panel(f'<div id="all"><b>All faces</b>{_dials(grid, first)}</div>', kind="dials"),
        f'<div class="faces">{"".join(cards)}</div>',
        section("In the photographs", f'<div class="cards">{"".join(shown)}</div>' if shown else ""),
        section("Photographs", panel(table(("photograph", "faces used", "left out"), photos)) if photos else ""),
        section("How they were made", panel(facts(description))),
        f'<script type="application/json" id="data">{stored.replace("<", chr(92) + "u003c")}</script>',
        f"<script>{SCRIPT}</script>",
    ]
    return page(title, body)


def _card(index: int, subject: Subject, reconstruction: Tensor, grid: Grid, strength: float, rows: Any) -> str:
    figures = []
    if subject.picture is not None:
        figures.append(("picture", _image(_jpeg(subject.picture), f"{subject.name}, the picture")))
    figures.append(("reconstruction", _image(_jpeg(reconstruction), f"{subject.name}, reconstructed")))
    nearest = min(range(len(grid.strengths)), key=lambda s: abs(grid.strengths[s] - strength))
    shown = _image(rows[grid.chosen][nearest], f"{subject.name}, caricature")
    figures.append(("caricature", f'<div class="stack">{shown}{_image(rows[grid.chosen][nearest], "")}</div>'))
    inner = "".join(f"<figure>{image}<figcaption>{name}</figcaption></figure>" for name, image in figures)
    quality = subject.facts.get("quality")
    known = "" if quality is None else f"<p class='note'>projection quality {quality:.2f}</p>"
    return (
        f'<div class="panel one" data-face="{index}"><h3>{escape(subject.name)}</h3><div class="face">{inner}</div>'
        f"{_dials(grid, strength)}{known}</div>"
    )


def _dials(grid: Grid, strength: float) -> str:
    low, high = min(grid.strengths), max(grid.strengths)
    value = min(max(strength, low), high)
    dials = ""
    if high > low:
        dials = _dial("strength", "s", f'min="{low:g}" max="{high:g}" step="0.01" value="{value:g}"', f"{value:.2f}")
    else:
        dials = f'<input type="hidden" class="s" value="{value:g}"><output class="so" hidden></output>'
    if grid.resolutions:
        last, now = len(grid.resolutions) - 1, grid.chosen
        shape = f'min="0" max="{last}" step="1" value="{now}"'
        dials += _dial("blended at", "r", shape, f"{grid.resolutions[now]} px")
    return dials


def _dial(name: str, kind: str, shape: str, shown: str) -> str:
    return (
        f'<div class="dial"><label>{name}</label><input type="range" class="{kind}" aria-label="{name}" {shape}>'
        f'<output class="{kind}o">{shown}</output></div>'
    )


def _image(data: str, alt: str) -> str:
    return f'<img src="data:image/jpeg;base64,{data}" alt="{escape(alt, quote=True)}">'


def _jpeg(picture: Tensor) -> str:
    return _jpeg_array(picture.permute(1, 2, 0).numpy(), FACE_PX)


def _jpeg_array(pixels: np.ndarray, width: int) -> str:
    image = Image.fromarray(np.ascontiguousarray(pixels))
    if image.width > width:
        image = image.resize((width, max(round(image.height * width / image.width), 1)), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=QUALITY)
    return base64.b64encode(buffer.getvalue()).decode()
