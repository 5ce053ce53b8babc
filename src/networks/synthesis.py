"""The skip synthesis network (StyleGAN2, arXiv 1912.04958, Fig. 2 and 7b): style codes to images."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ..ops import modulate, setup_filter, upsample2d
from .architecture import ARCHITECTURES, MIN_RESOLUTION
from .layers import RESAMPLE_TAPS
from .precision import FP32, Precision
from .synthesis_layers import Noise, SkipLayer, SynthesisLayer, ToRGBLayer

NOISE_MODES = ("const", "random", "none")


class SynthesisState(NamedTuple):
    """What one block hands to the next: features `x` `[N, C, r, r]` and the RGB sum `rgb` `[N, 3, r, r]`."""

    x: Tensor
    rgb: Tensor | None
    styled: tuple[Tensor, Tensor] | None = None  # x times the next block's style, and that `[N, C]`


class SynthesisBlock(nn.Module):
    """One resolution: conv0 (upsampling; not at 4x4), conv1, torgb added to the upsampled RGB of the block before.

    With `architecture="orig"` or `"resnet"` only the last block has a torgb; `"resnet"` adds a residual branch.
    """

    resample_filter: Tensor

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        w_dim: int,
        resolution: int,
        *,
        conv_clamp: float | None,
        architecture: str = "skip",
        is_last: bool = False,
    ) -> None:
        super().__init__()
        self.resolution = resolution
        self.num_conv = 1 if in_channels == 0 else 2
        self.num_torgb = 1 if architecture == "skip" or is_last else 0
        if in_channels == 0:
            self.const = nn.Parameter(torch.randn([out_channels, resolution, resolution]))
        else:
            self.conv0 = SynthesisLayer(in_channels, out_channels, w_dim, resolution, up=2, conv_clamp=conv_clamp)
        self.conv1 = SynthesisLayer(out_channels, out_channels, w_dim, resolution, up=1, conv_clamp=conv_clamp)
        self.torgb = ToRGBLayer(out_channels, 3, w_dim, conv_clamp=conv_clamp) if self.num_torgb else None
        self.skip = None
        if architecture == "resnet" and in_channels > 0:
            self.skip = SkipLayer(in_channels, out_channels)
        self.register_buffer("resample_filter", setup_filter(RESAMPLE_TAPS), persistent=False)

    def forward(
        self,
        state: SynthesisState | None,
        codes: Sequence[Tensor],
        noise: str | Sequence[Tensor],
        generator: torch.Generator | None,
        dtype: torch.dtype = torch.float32,
        onward: Tensor | None = None,
    ) -> SynthesisState:
        """Run the block in `dtype` on the first of `codes`, each `[N, w_dim]`: one a convolution, one for torgb.

        `onward` is the style `[N, C]` of the next block's first convolution, where that follows at once.
        """
        maps = [noise, noise] if isinstance(noise, str) else noise
        last, skipped = self.conv1.style(codes[self.num_conv - 1], dtype), None
        if self.num_conv == 1:
            x = self.const[None].expand(len(codes[0]), -1, -1, -1).to(dtype)
            x = x.contiguous(memory_format=torch.channels_last)  # every later layer keeps it: the faster layout
            styled: Tensor | None = modulate(x, last)
        else:
            assert state is not None
            skipped = None if self.skip is None else self.skip(state.x.to(dtype), math.sqrt(0.5))
            styled = self._begun(state, codes[0], maps[0], generator, dtype, last)
        assert styled is not None
        if skipped is None:
            y, styled = self.conv1(styled, last, maps[-1], generator, onward=onward)
        else:
            y, styled = self.conv1(styled, last, maps[-1], generator, math.sqrt(0.5))
            y = None if y is None else y + skipped
        assert y is not None
        rgb = None if self.torgb is None else self.torgb(y, codes[self.num_conv])
        if state is not None and state.rgb is not None:
            rgb = upsample2d(state.rgb, self.resample_filter, add=rgb)
        return SynthesisState(y, rgb, None if styled is None or onward is None else (styled, onward))

    def _begun(
        self,
        state: SynthesisState,
        w: Tensor,
        noise: Noise,
        generator: torch.Generator | None,
        dtype: torch.dtype,
        onward: Tensor,
    ) -> Tensor | None:
        """The first convolution, up to the style of the second."""
        if state.styled is None:
            style = self.conv0.style(w, dtype)
            x = modulate(state.x.to(dtype), style)
        else:
            x, style = state.styled
        return self.conv0(x.to(dtype), style, noise, generator, onward=onward, keep=False)[1]


class SynthesisNetwork(nn.Module):
    """Blocks `b4`, `b8`, … up to the image resolution.

    Args:
        w_dim: length of a style code.
        channels: feature maps of each resolution, `{4: …, 8: …, …}`.
        conv_clamp: bound on the absolute output of each convolution (256 in mixed precision), or None.
        architecture: `"skip"`, `"resnet"` or `"orig"` (Fig. 7).

    Raises:
        ValueError: for another architecture.
    """

    def __init__(
        self,
        w_dim: int,
        channels: Mapping[int, int],
        *,
        conv_clamp: float | None = None,
        architecture: str = "skip",
    ) -> None:
        super().__init__()
        if architecture not in ARCHITECTURES:
            raise ValueError(f"architecture is one of {', '.join(ARCHITECTURES)}, not {architecture!r}")
        self.architecture = architecture
        self.precision: Precision = FP32  # set for a while by `computing_in`
        self.w_dim = w_dim
        self.resolutions = sorted(channels)
        self.resolution = self.resolutions[-1]
        self.num_ws = 2 * len(self.resolutions)
        for r in self.resolutions:
            below = 0 if r == MIN_RESOLUTION else channels[r // 2]
            block = SynthesisBlock(
                below,
                channels[r],
                w_dim,
                r,
                conv_clamp=conv_clamp,
                architecture=architecture,
                is_last=r == self.resolution,
            )
            self.add_module(f"b{r}", block)

    def forward(
        self, ws: Tensor, *, noise: str | Sequence[Tensor] = "const", generator: torch.Generator | None = None
    ) -> Tensor:
        """Synthesise images.

        Args:
            ws: `[N, L, w_dim]` style codes, one a convolution; ToRGB shares the next block's first.
            noise: `"const"` (the stored maps), `"random"`, `"none"`, or maps `[N or 1, 1, r, r]`, one a convolution.
            generator: source of random noise; None for torch's default.

        Returns:
            float32 `[N, 3, H, W]`, about [-1, 1], not clamped.

        Raises:
            ValueError: for codes of another shape, an unknown noise mode, or maps of another number or shape.
        """
        state = self.run_blocks(ws, noise=noise, generator=generator)
        assert state.rgb is not None
        return state.rgb

    def run_blocks(
        self,
        ws: Tensor,
        start: int = MIN_RESOLUTION,
        stop: int | None = None,
        state: SynthesisState | None = None,
        *,
        noise: str | Sequence[Tensor] = "const",
        generator: torch.Generator | None = None,
    ) -> SynthesisState:
        """Run the blocks of resolutions `start` … `stop` (both included), from `state` on.

        Args:
            ws: `[N, L, w_dim]`, the codes of the whole network.
            start: first resolution; above 4 it needs the `state` left by the block below.
            stop: last resolution; None for the image's.
            state: result of an earlier call that stopped at `start / 2`.
            noise: as in `forward`.
            generator: as in `forward`.

        Returns:
            The state after block `stop`; its `rgb` is the image at that resolution (a skip network's; others have
            None below the last block).
        """
        if ws.ndim != 3 or ws.shape[1:] != (self.num_ws, self.w_dim):
            raise ValueError(f"ws must be [N, {self.num_ws}, {self.w_dim}], not {list(ws.shape)}")
        if isinstance(noise, str) and noise not in NOISE_MODES:
            raise ValueError(f"noise is one of {', '.join(NOISE_MODES)}, not {noise!r}")
        if not isinstance(noise, str):
            self._check_maps(noise, len(ws))
        if (state is None) != (start == MIN_RESOLUTION):
            raise ValueError("run_blocks starts at 4 without a state, or above it with the state of the block below")
        run = [r for r in self.resolutions if start <= r <= (stop or self.resolution)]
        codes = ws.unbind(1)  # at once: their gradients are put together in one pass
        for r in run:
            block, first = self.block(r), _first_code(r)
            maps = noise if isinstance(noise, str) else noise[first : first + block.num_conv]
            onward = None
            if 2 * r in run and self.block(2 * r).skip is None:  # its branch takes the features as they are
                onward = self.block(2 * r).conv0.style(codes[_first_code(2 * r)], self.precision.at(2 * r))
            state = block(state, codes[first:], maps, generator, self.precision.at(r), onward)
        assert state is not None
        return state

    def layers(self) -> list[SynthesisLayer]:
        """The convolutions in the order in which they run: those that have noise maps."""
        blocks = [self.block(r) for r in self.resolutions]
        return [layer for b in blocks for layer in ([b.conv1] if b.num_conv == 1 else [b.conv0, b.conv1])]

    def _check_maps(self, noise: Sequence[Tensor], n: int) -> None:
        if len(noise) != self.num_ws - 1:
            raise ValueError(f"a noise map for each of {self.num_ws - 1} convolutions is needed, not {len(noise)}")
        for i, (given, layer) in enumerate(zip(noise, self.layers(), strict=True)):
            size = [layer.resolution] * 2
            if list(given.shape) not in ([n, 1, *size], [1, 1, *size]):
                raise ValueError(f"noise map {i} must be [{n} or 1, 1, {size[0]}, {size[1]}], not {list(given.shape)}")

    def block(self, resolution: int) -> SynthesisBlock:
        """Return the block of a resolution."""
        module = self.get_submodule(f"b{resolution}")
        assert isinstance(module, SynthesisBlock)
        return module


def _first_code(resolution: int) -> int:
    """Index of a block's first code: b4 takes code 0, b8 codes 1 and 2, …"""
    return max(2 * int(math.log2(resolution)) - 5, 0)
