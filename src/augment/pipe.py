"""The adaptive discriminator augmentation pipe: what D sees of reals and fakes alike.

Karras et al., "Training Generative Adversarial Networks with Limited Data" (arXiv 2006.06676), Sec. 2.1 and
Appendix B, Algorithm 1. Eighteen augmentations in six groups (pixel blitting, geometry, colour, band filter,
noise, cutout); each happens with probability (its multiplier x p), where p is set by `AdaController`. The
pipe is differentiable twice with respect to the images, so that G learns through it and R1 can be taken
through it.
"""

import dataclasses
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..draws import Draws
from ..options import NotNegative, OptionError, Options, read
from .color import ColorDraws, apply_color, color_affine
from .draws import AugmentDraws
from .filter import add_noise, band_gains, cut_out, filter_bands
from .geometry import GeometryDraws, inverse_affine, warp
from .settings import GROUPS, PIPES


@dataclass(frozen=True)
class PipeSettings(Options):
    """Probability multiplier (0 = off) of every augmentation, and the width of its distribution."""

    xflip: NotNegative = 0.0
    rotate90: NotNegative = 0.0
    xint: NotNegative = 0.0
    xint_max: NotNegative = 0.125  # largest whole-pixel shift, fraction of the picture
    scale: NotNegative = 0.0
    rotate: NotNegative = 0.0
    aniso: NotNegative = 0.0
    xfrac: NotNegative = 0.0
    scale_std: NotNegative = 0.2  # log2
    rotate_max: NotNegative = 1.0  # half turns either way
    aniso_std: NotNegative = 0.2  # log2
    xfrac_std: NotNegative = 0.125  # fraction of the picture
    brightness: NotNegative = 0.0
    contrast: NotNegative = 0.0
    lumaflip: NotNegative = 0.0
    hue: NotNegative = 0.0
    saturation: NotNegative = 0.0
    brightness_std: NotNegative = 0.2  # in units of the [-1, 1] range
    contrast_std: NotNegative = 0.5  # log2
    hue_max: NotNegative = 1.0  # half turns either way
    saturation_std: NotNegative = 1.0  # log2
    imgfilter: NotNegative = 0.0
    imgfilter_bands: tuple[NotNegative, ...] = (1.0, 1.0, 1.0, 1.0)  # further multiplier of each band, low to high
    imgfilter_std: NotNegative = 1.0  # log2
    noise: NotNegative = 0.0
    noise_std: NotNegative = 0.1
    cutout: NotNegative = 0.0
    cutout_size: NotNegative = 0.5  # side, fraction of the picture

    def check(self) -> None:
        """Refuse another number of bands."""
        if len(self.imgfilter_bands) != 4:
            raise self.wrong("imgfilter_bands", "give 4 numbers, one a band, low to high")


class AugmentPipe(nn.Module):
    """Augment a batch with probability `p`.

    Args:
        settings: multipliers and widths.
        static: shapes never depend on data and nothing is read back from the device (needed for CUDA graphs). The
            result is the same; by default False on a CPU, where only the images and the area that a batch needs are
            computed, and True elsewhere.
    """

    p: Tensor  # scalar float32 buffer in [0, 1], whose state is `AdaController`'s; starts at 0. Set it in place

    def __init__(self, settings: PipeSettings, *, static: bool | None = None) -> None:
        super().__init__()
        self.settings = settings
        self.static = static
        values = dataclasses.asdict(settings)
        bands = {f"imgfilter{i}": settings.imgfilter * band for i, band in enumerate(settings.imgfilter_bands)}
        rotations = {"rotate_pre": settings.rotate, "rotate_post": settings.rotate}
        del values["imgfilter_bands"]
        self.draws = AugmentDraws(values | bands | rotations, values)
        self.register_buffer("p", torch.zeros([]), persistent=False)
        self.active = {group for group, names in GROUPS.items() if any(values[name] > 0 for name in names)}

    @classmethod
    def preset(cls, pipe: str, *, static: bool | None = None, **overrides: float) -> "AugmentPipe":
        """Make one of the published pipes.

        Args:
            pipe: a key of PIPES, e.g. "bgc".
            static: see the class.
            **overrides: values of PipeSettings to change.

        Raises:
            OptionError: for an unknown pipe or setting.
        """
        if pipe not in PIPES:
            raise OptionError("pipe", pipe, f"choose one of {', '.join(PIPES)}")
        return cls(read(PipeSettings, PIPES[pipe] | overrides), static=static)

    def forward(
        self, images: Tensor, *, generator: torch.Generator | Draws, fixed_percentile: float | None = None
    ) -> Tensor:
        """Augment images `[N, 3, H, W]` float32 (or float64) in [-1, 1]; a ValueError for others.

        Args:
            generator: source of every random number; `Draws` where the images are a part of a batch.
            fixed_percentile: for tests and pictures: every augmentation whose multiplier is above 0 happens,
                at this percentile of its distribution (see `AugmentDraws`).

        Returns:
            Like `images`, not clamped. At p = 0 on a CPU the input itself.
        """
        if images.ndim != 4 or images.shape[1] != 3 or images.dtype not in (torch.float32, torch.float64):
            raise ValueError(f"expected float32 images [N, 3, H, W], got {images.dtype} {list(images.shape)}")
        static = images.device.type != "cpu" if self.static is None else self.static
        if not self.active or (not static and fixed_percentile is None and float(self.p) == 0):
            return images
        draws = generator if isinstance(generator, Draws) else Draws(generator)
        drawn = self.draws(len(images), self.p, draws, fixed_percentile)
        if self.active & {"blit", "geom"}:
            images = self._geometry(images, drawn, static)
        if "color" in self.active:
            images = apply_color(images, *color_affine(ColorDraws(*(drawn[name] for name in ColorDraws._fields))))
        if "filter" in self.active:
            gains = band_gains(torch.stack([drawn[f"log2_band{i}"] for i in range(4)], dim=1))
            images = filter_bands(images, gains)
        if "noise" in self.active:
            field = draws.normal(images.shape).to(images.device)
            images = add_noise(images, drawn["noise_sigma"], field)
        if "cutout" in self.active:
            images = cut_out(images, drawn["cutout_size"], drawn["cutout_x"], drawn["cutout_y"])
        return images

    def _geometry(self, images: Tensor, drawn: dict[str, Tensor], static: bool) -> Tensor:
        """Warp the images that drew a geometric transformation; the others would come out as they are."""
        draws = GeometryDraws(*(drawn[name] for name in GeometryDraws._fields))
        affine = inverse_affine(draws, images.shape[2], images.shape[3])
        if static:
            return warp(images, affine, static=True)
        chosen = (torch.stack(draws) != 0).any(dim=0).nonzero().squeeze(1)
        if len(chosen) == 0:
            return images
        if len(chosen) == len(images):
            return warp(images, affine)
        return images.index_copy(0, chosen, warp(images[chosen], affine[chosen]))
