"""The page: each face with sliders over strength and resolution of the blend. One file, nothing from elsewhere."""

import json
from collections.abc import Mapping, Sequence
from html import escape

import numpy as np
from torch import Tensor

from ..tracking import facts, page, panel, section, table
from .encode import face_text, jpeg_text
from .gather import Subject
from .render import Grid

PHOTO_PX = 900
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
const D=JSON.parse(document.getElementById('data').textContent),R=D.resolutions;
const uri=b=>'data:image/jpeg;base64,'+b;
function show(p){const n=+p.dataset.face,f=D.faces[n],S=D.stops[n],q=+p.querySelector('.s').value,
 v=S.find(x=>Math.abs(x-q)<.006)??q;
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
    notes: Sequence[str] = (),
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
        notes: what the page does not show, sentences.

    Returns:
        HTML.
    """
    cards = [_card(i, subject, reconstructions[i], grid, strengths[i]) for i, subject in enumerate(subjects)]
    stored = json.dumps({"stops": grid.stops, "resolutions": grid.resolutions, "faces": grid.pictures})
    everywhere = sorted({stop for stops in grid.stops for stop in stops})
    first = strengths[0] if len(set(strengths)) == 1 else 1.0
    shown = [
        f"<figure>{_image(jpeg_text(image, PHOTO_PX), name)}<figcaption>{escape(name)}</figcaption></figure>"
        for name, image in (pasted or {}).items()
    ]
    further = "".join(f'<p class="note">{escape(note)}</p>' for note in notes)
    body = [
        STYLE,
        f"<h1>{escape(title)}</h1>",
        panel(f'<div id="all"><b>All faces</b>{_dials(grid, everywhere, first)}</div>{further}', kind="dials"),
        f'<div class="faces">{"".join(cards)}</div>',
        section("In the photographs", f'<div class="cards">{"".join(shown)}</div>' if shown else ""),
        section("Photographs", panel(table(("photograph", "faces used", "left out"), photos)) if photos else ""),
        section("How they were made", panel(facts(description))),
        f'<script type="application/json" id="data">{stored.replace("<", chr(92) + "u003c")}</script>',
        f"<script>{SCRIPT}</script>",
    ]
    return page(title, body)


def _card(index: int, subject: Subject, reconstruction: Tensor, grid: Grid, strength: float) -> str:
    figures = []
    if subject.picture is not None:
        figures.append(("picture", _image(face_text(subject.picture), f"{subject.name}, the picture")))
    figures.append(("reconstruction", _image(face_text(reconstruction), f"{subject.name}, reconstructed")))
    now = grid.pictures[index][grid.chosen][grid.stops[index].index(strength)]
    shown = f"{_image(now, f'{subject.name}, caricature')}{_image(now, '')}"
    figures.append(("caricature", f'<div class="stack">{shown}</div>'))
    inner = "".join(f"<figure>{image}<figcaption>{name}</figcaption></figure>" for name, image in figures)
    measured = [("quality", subject.facts.get("quality")), ("SSIM", subject.facts.get("ssim"))]
    words = ", ".join(f"{name} {value:.2f}" for name, value in measured if value is not None)
    known = f"<p class='note'>projection: {words}</p>" if words else ""
    return (
        f'<div class="panel one" data-face="{index}"><h3>{escape(subject.name)}</h3><div class="face">{inner}</div>'
        f"{_dials(grid, grid.stops[index], strength)}{known}</div>"
    )


def _dials(grid: Grid, stops: Sequence[float], strength: float) -> str:
    low, high = stops[0], stops[-1]
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
