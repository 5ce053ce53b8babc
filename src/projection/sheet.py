"""The caricature sheet: pictures, their reconstructions by the base network, their caricatures by the blend."""

import json
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..data import save_jpeg, to_uint8
from ..networks import Generator
from .projector import Projection, ProjectionSettings, project

GUTTER_PX, GROUP_GUTTER_PX, SCALE = 2, 10, 2
PER_ROW = 4
BACKGROUND = 245


def caricature_sheet(
    pictures: Tensor,
    base: Generator,
    blended: Generator,
    folder: Path,
    *,
    names: list[str] | None = None,
    settings: ProjectionSettings | None = None,
    seed: int = 0,
    progress: bool = True,
) -> Path:
    """Project pictures into the base network, render their codes in the blend, and show both.

    Args:
        pictures: aligned, uint8 `[N, 3, H, W]` at the networks' resolution.
        base: network to project into.
        blended: network to render with.
        folder: gets `sheet.jpg`, `<name>.npy` (codes `[L, w_dim]` float32) and `distances.json`.
        names: of the pictures; None numbers them.
        settings: of the projection.
        seed: of the projection.
        progress: show a bar.

    Returns:
        Path of the sheet: for each picture the picture, its reconstruction, its caricature.

    Raises:
        UserError: for pictures of another size.
    """
    projection = project(base, pictures, settings=settings, seed=seed, progress=progress)
    with torch.inference_mode():
        caricatures = to_uint8(blended.synthesis(projection.codes))
    names = names or [f"portrait-{i:02d}" for i in range(len(pictures))]
    _save_codes(folder, names, projection)
    return save_jpeg(folder / "sheet.jpg", arrange(pictures, projection.images, caricatures), quality=92)


def arrange(pictures: Tensor, reconstructions: Tensor, caricatures: Tensor) -> np.ndarray:
    """Lay out triples, four a row, on a light ground: uint8 `[H, W, 3]`; small pictures are doubled."""
    scale = SCALE if pictures.shape[-1] < 128 else 1
    triples = torch.stack([pictures, reconstructions, caricatures], dim=1).cpu()
    triples = triples.repeat_interleave(scale, dim=3).repeat_interleave(scale, dim=4)
    side = triples.shape[-1]
    rows = -(-len(triples) // PER_ROW)
    group = 3 * side + 2 * GUTTER_PX
    width = PER_ROW * group + (PER_ROW + 1) * GROUP_GUTTER_PX
    height = rows * side + (rows + 1) * GROUP_GUTTER_PX
    sheet = np.full([height, width, 3], BACKGROUND, np.uint8)
    for i, triple in enumerate(triples.permute(0, 1, 3, 4, 2).numpy()):
        top = GROUP_GUTTER_PX + (i // PER_ROW) * (side + GROUP_GUTTER_PX)
        for j, picture in enumerate(triple):
            left = GROUP_GUTTER_PX + (i % PER_ROW) * (group + GROUP_GUTTER_PX) + j * (side + GUTTER_PX)
            sheet[top : top + side, left : left + side] = picture
    return sheet


def _save_codes(folder: Path, names: list[str], projection: Projection) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, codes in zip(names, projection.codes, strict=True):
        np.save(folder / f"{name}.npy", codes.cpu().numpy())
    columns = zip(names, projection.distances.tolist(), projection.start_distances.tolist(), strict=True)
    facts = {
        name: {"distance": round(d, 5), "average_face": round(s, 5), "measure": projection.measure}
        for name, d, s in columns
    }
    (folder / "distances.json").write_text(json.dumps(facts, indent=2) + "\n")
