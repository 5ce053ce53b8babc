"""The pictures of a sweep's cells, with what cells share computed once.

All cells see the same codes. The original network's pictures are made once a sweep; the low network's layers once a
snapshot: its state is kept at every switch, and only the layers above are run for each resolution.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from ..data import to_uint8
from ..networks import Generator, blend
from .grid import BlendSettings

CHUNK = 32


@dataclass(frozen=True)
class SnapshotPictures:
    """Pictures of one snapshot on the common codes, uint8 `[N, 3, H, W]`.

    Attributes:
        finetuned: of the snapshot itself.
        blended: of the blend at each resolution.
    """

    finetuned: Tensor
    blended: dict[int, Tensor]


@torch.inference_mode()
def common_codes(base: Generator, num_latents: int, psi: float, seed: int) -> Tensor:
    """Style codes `[N, L, w_dim]` that every cell renders, from the base network's mapping.

    The fine-tuned mapping has moved; codes in the base's W are what photographs are projected to, and make pictures of
    different snapshots pairs.
    """
    z = torch.randn([num_latents, base.z_dim], generator=torch.Generator().manual_seed(seed))
    c = None
    if base.c_dim:
        c = torch.eye(base.c_dim)[torch.arange(num_latents) % base.c_dim]
    return base.mapping(z, c, psi=psi)


@torch.inference_mode()
def render(G: Generator, ws: Tensor) -> Tensor:
    """Render codes `[N, L, w_dim]` as uint8 `[N, 3, H, W]`."""
    return torch.cat([to_uint8(G.synthesis(part)) for part in ws.split(CHUNK)])


@torch.inference_mode()
def render_snapshot(snapshot: Generator, base: Generator, ws: Tensor, settings: BlendSettings) -> SnapshotPictures:
    """Render a snapshot and its blends at every resolution.

    Args:
        snapshot: the fine-tuned generator.
        base: the network it was fine-tuned from.
        ws: common codes `[N, L, w_dim]`.
        settings: how to blend.

    Returns:
        The pictures; equal to rendering each blended generator whole, up to rounding.

    Raises:
        UserError: when the networks do not fit together.
    """
    low, high = (snapshot, base) if settings.direction == "cartoon_low" else (base, snapshot)
    blends = {
        r: blend(low, high, r, level=settings.level, width=settings.width) for r in settings.resolutions
    }
    if not settings.shares_prefix:
        return SnapshotPictures(render(snapshot, ws), {r: render(G, ws) for r, G in blends.items()})
    parts: dict[int, list[Tensor]] = {r: [] for r in settings.resolutions}
    whole = []
    for codes in ws.split(CHUNK):
        for r, image in _shared_prefix(low, blends, codes):
            (whole if r == low.resolution else parts[r]).append(to_uint8(image))
    finetuned = torch.cat(whole) if low is snapshot else render(snapshot, ws)
    return SnapshotPictures(finetuned, {r: torch.cat(images) for r, images in parts.items()})


def _shared_prefix(low: Generator, blends: dict[int, Generator], ws: Tensor) -> Iterator[tuple[int, Tensor]]:
    """Yield (resolution of the switch, image) for each blend, and last (full resolution, the low network's image)."""
    state = None
    for r in low.synthesis.resolutions:
        state = low.synthesis.run_blocks(ws, r, r, state)
        if r == low.resolution:
            assert state.rgb is not None
            yield r, state.rgb
        elif r in blends:
            image = blends[r].synthesis.run_blocks(ws, 2 * r, None, state).rgb
            assert image is not None
            yield r, image
