"""The mapping network z, c -> w with its running average w_avg and truncation (arXiv 1812.04948, Sec. 2 and App. B)."""

import torch
from torch import Tensor, nn

from .layers import FullyConnectedLayer, normalize_2nd_moment

LABEL_LAYOUTS = ("embed", "matrix")


class LabelMatrix(nn.Module):
    """One row a class, without gain or bias: how StyleGAN2 on TensorFlow knows its classes."""

    def __init__(self, c_dim: int, features: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn([features, c_dim]))

    def forward(self, c: Tensor) -> Tensor:
        """Map one-hot `[N, c_dim]` to `[N, features]`."""
        return c @ self.weight.t()


class MappingNetwork(nn.Module):
    """Fully connected layers from latent (and class) to style code.

    Args:
        z_dim: length of z; 0 for a network of the class alone.
        c_dim: number of classes; 0 for none.
        w_dim: length of w.
        num_ws: how many copies of w a generator takes; None returns a single w (the discriminator's use).
        num_layers: depth (8 in StyleGAN2; ADA's `auto` uses 2; 0 for a discriminator's bare class embedding).
        layer_features: width of the hidden layers; None for `w_dim`.
        lr_multiplier: learning-rate multiplier of the layers.
        track_w_avg: keep the running average of w, needed for truncation.
        embed_features: width of the embedded class; None for `w_dim` (`z_dim` with the matrix layout).
        label_layout: `"embed"` (StyleGAN2-ADA: the class is embedded and normalised by itself) or `"matrix"` (StyleGAN2
            on TensorFlow: a row of a matrix, normalised together with z).

    Raises:
        ValueError: when there is neither latent nor class, or the layout is unknown.
    """

    w_avg: Tensor

    def __init__(
        self,
        z_dim: int,
        c_dim: int,
        w_dim: int,
        *,
        num_ws: int | None,
        num_layers: int = 8,
        layer_features: int | None = None,
        lr_multiplier: float = 0.01,
        track_w_avg: bool = True,
        embed_features: int | None = None,
        label_layout: str = "embed",
    ) -> None:
        super().__init__()
        if label_layout not in LABEL_LAYOUTS:
            raise ValueError(f"label_layout is {' or '.join(LABEL_LAYOUTS)}, not {label_layout!r}")
        self.z_dim, self.c_dim, self.w_dim = z_dim, c_dim, w_dim
        self.num_ws, self.num_layers = num_ws, num_layers
        if z_dim + c_dim == 0:
            raise ValueError("a mapping network needs a latent or a class: z_dim and c_dim are both 0")
        self.label_layout = label_layout
        default_features = z_dim if label_layout == "matrix" else w_dim
        features = 0 if c_dim == 0 else embed_features or default_features
        self.embed: FullyConnectedLayer | LabelMatrix | None = None
        if c_dim > 0:
            self.embed = (
                LabelMatrix(c_dim, features) if label_layout == "matrix" else FullyConnectedLayer(c_dim, features)
            )
        hidden = layer_features or w_dim
        widths = [z_dim + features, *[hidden] * (num_layers - 1), w_dim]
        for i in range(num_layers):
            layer = FullyConnectedLayer(widths[i], widths[i + 1], activation="lrelu", lr_multiplier=lr_multiplier)
            self.add_module(f"fc{i}", layer)
        if track_w_avg:
            self.register_buffer("w_avg", torch.zeros([w_dim]))

    def forward(
        self, z: Tensor | None, c: Tensor | None = None, *, psi: float = 1.0, cutoff: int | None = None
    ) -> Tensor:
        """Map latents to style codes, optionally truncated towards w_avg.

        Args:
            z: `[N, z_dim]` float32, standard normal; None when `z_dim` is 0.
            c: `[N, c_dim]` one-hot; None when `c_dim` is 0.
            psi: truncation; 1 leaves w, 0 gives w_avg.
            cutoff: truncate only the first `cutoff` of the L codes; None for all.

        Returns:
            `[N, L, w_dim]`, or `[N, w_dim]` when `num_ws` is None.

        Raises:
            ValueError: when a class is missing or of another width, or psi is asked of a network without w_avg.
        """
        w = self.map(z, c)
        if self.num_ws is None:
            return w
        ws = w[:, None].expand(-1, self.num_ws, -1)
        if psi == 1.0:
            return ws
        cutoff = self.num_ws if cutoff is None else cutoff
        return torch.cat([self.w_avg.lerp(ws[:, :cutoff], psi), ws[:, cutoff:]], dim=1)

    def map(self, z: Tensor | None, c: Tensor | None = None) -> Tensor:
        """Map to a single `[N, w_dim]` w a sample: no truncation, no repetition."""
        parts = []
        if self.z_dim > 0:
            if z is None or z.ndim != 2 or z.shape[1] != self.z_dim:
                raise ValueError(f"z must be [N, {self.z_dim}], not {None if z is None else list(z.shape)}")
            parts.append(z.float())
        if self.embed is not None:
            if c is None or c.ndim != 2 or c.shape[1] != self.c_dim:
                raise ValueError(f"c must be one-hot [N, {self.c_dim}], not {None if c is None else list(c.shape)}")
            parts.append(self.embed(c.float()))
        if self.label_layout == "matrix":
            x = normalize_2nd_moment(torch.cat(parts, dim=1))
        else:
            x = torch.cat([normalize_2nd_moment(part) for part in parts], dim=1)
        for i in range(self.num_layers):
            x = getattr(self, f"fc{i}")(x)
        return x

    @torch.no_grad()
    def update_w_avg(self, w: Tensor, beta: float) -> None:
        """Move w_avg towards the mean of `w` `[N, w_dim]`: w_avg = mean + beta·(w_avg - mean)."""
        self.w_avg.copy_(w.detach().mean(dim=0).lerp(self.w_avg, beta))
