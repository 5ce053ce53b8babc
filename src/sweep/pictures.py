"""The pictures of a sweep's cells, with what cells share computed once.

All cells see the same codes. The base network's pictures are made once a sweep; the low network's layers once a
snapshot: its state is kept at every switch, and only the layers above it are run for each resolution. Pictures come in
chunks, so that memory does not grow with their number.
"""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from ..data import to_uint8
from ..networks import FP32, Generator, Precision, computing_in
from ..runs import Recipe

UNBLENDED = 0  # stands for the snapshot itself where blends go by their resolution


@torch.inference_mode()
def common_codes(base: Generator, num_codes: int, psi: float, seed: int) -> Tensor:
    """Style codes `[num_codes, L, w_dim]` that every cell renders, from the base network's mapping.

    The fine-tuned mapping has moved; photographs are projected to the base's W, and only codes of one mapping make
    pictures of different snapshots and of the base pairs. A conditional network's classes take turns.
    """
    device = base.mapping.w_avg.device
    z = torch.randn([num_codes, base.z_dim], generator=torch.Generator().manual_seed(seed)).to(device)
    c = None
    if base.c_dim:
        c = torch.eye(base.c_dim, device=device)[torch.arange(num_codes, device=device) % base.c_dim]
    return base.mapping(z, c, psi=psi)


def render(G: Generator, ws: Tensor, precision: Precision = FP32) -> Iterator[Tensor]:
    """Render codes `[N, L, w_dim]`: chunks of uint8 `[n, 3, H, W]` on its device."""
    for codes in ws.split(G.chunk_size):
        with torch.inference_mode(), computing_in(precision, G.synthesis):
            images = G.synthesis(codes)
        yield to_uint8(images)


def render_snapshot(
    snapshot: Generator, base: Generator, ws: Tensor, recipes: Sequence[Recipe], precision: Precision = FP32
) -> Iterator[tuple[int, Tensor]]:
    """Render a snapshot and its blends, whose recipes are alike but for their resolutions.

    Yields:
        (resolution, uint8 `[n, 3, H, W]` on the device): each blend's pictures in the order of the codes `ws`
        `[N, L, w_dim]`, and the snapshot's own under `UNBLENDED`. They equal those of whole blended generators up to
        rounding.
    """
    shared = [recipe.resolution for recipe in recipes if recipe.shares_prefix]
    low = snapshot
    if shared:
        low, _ = recipes[0].ordered(snapshot, base)
        tail = recipes[0].at(low.synthesis.resolutions[0]).blend(snapshot, base)
        for codes in ws.split(low.chunk_size):
            with computing_in(precision, low.synthesis, tail.synthesis):
                images = shared_prefix(low, tail, codes, shared, whole=low is snapshot)
            for r, image in images.items():
                yield (UNBLENDED if r == low.resolution else r), to_uint8(image)
    else:
        for recipe in recipes:
            G = recipe.blend(snapshot, base)
            yield from ((recipe.resolution, pictures) for pictures in render(G, ws, precision))
    if not shared or low is not snapshot:
        yield from ((UNBLENDED, pictures) for pictures in render(snapshot, ws, precision))


@torch.inference_mode()
def shared_prefix(
    low: Generator, tail: Generator, ws: Tensor, resolutions: Sequence[int], *, whole: bool
) -> dict[int, Tensor]:
    """Render hard blends of one pair with the low network's blocks run once.

    Args:
        low: the low network.
        tail: the pair's blend at 4: its blocks above 4 are the high network's with the low one's noise maps, as in
            every hard blend of level 0.
        ws: `[N, L, w_dim]`.
        resolutions: of the switch, below the image's.
        whole: run the low network to its end as well.

    Returns:
        float32 images `[N, 3, H, W]` by resolution; the low network's own under the full resolution.
    """
    images: dict[int, Tensor] = {}
    state = None
    for r in low.synthesis.resolutions:
        if r > max(resolutions, default=0) and not whole:
            break
        state = low.synthesis.run_blocks(ws, r, r, state)
        if r == low.resolution:
            assert state.rgb is not None
            images[r] = state.rgb
        elif r in resolutions:
            image = tail.synthesis.run_blocks(ws, 2 * r, None, state).rgb
            assert image is not None
            images[r] = image
    return images
