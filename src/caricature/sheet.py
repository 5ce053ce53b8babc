"""The caricature sheet: pictures, their reconstructions by the base network, their caricatures at two strengths."""

import numpy as np
import torch
from torch import Tensor

GUTTER_PX, GROUP_GUTTER_PX = 2, 14
PER_ROW = 2
MIN_PX, MAX_PX = 192, 256  # of a picture
BACKGROUND = 245


def arrange(columns: list[Tensor]) -> np.ndarray:
    """Lay out groups of pictures, two a row, on a light ground: uint8 `[H, W, 3]`.

    Given are the first pictures of the groups, the second ones, …, uint8 `[N, 3, r, r]` each; those below 192 px are
    enlarged to it, those above 256 px reduced.
    """
    groups = torch.stack([_sized(pictures) for pictures in columns], dim=1)
    count, side = groups.shape[1], groups.shape[-1]
    rows = -(-len(groups) // PER_ROW)
    in_row = min(PER_ROW, len(groups))
    group_px = count * side + (count - 1) * GUTTER_PX
    width = in_row * group_px + (in_row + 1) * GROUP_GUTTER_PX
    height = rows * side + (rows + 1) * GROUP_GUTTER_PX
    sheet = np.full([height, width, 3], BACKGROUND, np.uint8)
    for i, group in enumerate(groups.permute(0, 1, 3, 4, 2).numpy()):
        top = GROUP_GUTTER_PX + (i // PER_ROW) * (side + GROUP_GUTTER_PX)
        for j, picture in enumerate(group):
            left = GROUP_GUTTER_PX + (i % PER_ROW) * (group_px + GROUP_GUTTER_PX) + j * (side + GUTTER_PX)
            sheet[top : top + side, left : left + side] = picture
    return sheet


def _sized(pictures: Tensor) -> Tensor:
    side = pictures.shape[-1]
    shown = min(max(side, MIN_PX), MAX_PX)
    if side == shown:
        return pictures
    sized = torch.nn.functional.interpolate(pictures.float(), (shown, shown), mode="bicubic", antialias=True)
    return sized.round().clamp(0, 255).to(torch.uint8)
