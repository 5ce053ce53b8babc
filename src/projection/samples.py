"""Random faces of a generator, with the nearest of which a projection can begin.

From the average face a descent seldom arrives at what few faces have, such as glasses or a beard: it has to pass faces
that look less like the picture. A random face that has them is on the other side already. Faces are compared by the
middle of the picture, where an aligned one has its features: hair and background are found from anywhere.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from ..networks import Generator

LOOK_PX = 64  # at which faces are compared
BATCH = 64  # faces at a time
SEED = 123
ROWS, COLUMNS = (0.28, 0.91), (0.22, 0.78)  # of the middle, in parts of the side


class Samples:
    """Faces of `count` random codes, the same for every picture."""

    def __init__(self, G: Generator, count: int) -> None:
        self.codes = random_codes(G, count, SEED)
        with torch.no_grad():
            parts = [
                _middle(G.synthesis(w[:, None].expand(-1, G.num_ws, -1), noise="const").float().clamp(-1, 1))
                for w in self.codes.split(BATCH)
            ]
        self._middles = torch.cat(parts)

    def nearest(self, targets: Tensor) -> Tensor:
        """Codes `[N, w_dim]` of the faces nearest to float targets `[N, 3, H, W]` in [-1, 1]: by mean |difference|."""
        chosen = [(self._middles - target).abs().mean(dim=(1, 2, 3)).argmin() for target in _middle(targets)]
        return self.codes[torch.stack(chosen)]


@torch.no_grad()
def random_codes(G: Generator, count: int, seed: int) -> Tensor:
    """Codes `[count, w_dim]` of W, not truncated, of all classes in turn."""
    device = G.mapping.w_avg.device
    z = torch.randn([count, G.z_dim], generator=torch.Generator().manual_seed(seed)).to(device)
    c = torch.eye(G.c_dim, device=device)[torch.arange(count, device=device) % G.c_dim] if G.c_dim else None
    return G.mapping.map(z, c)


def _middle(images: Tensor) -> Tensor:
    """The middle of square images, which are averaged down to `LOOK_PX` where they are larger."""
    if images.shape[-1] > LOOK_PX:
        images = F.interpolate(images, (LOOK_PX, LOOK_PX), mode="area")
    rows, columns = (slice(*(round(part * images.shape[-1]) for part in parts)) for parts in (ROWS, COLUMNS))
    return images[:, :, rows, columns]
