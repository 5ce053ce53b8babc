"""How pictures are augmented before D sees them: the group of options `augment`."""

from dataclasses import dataclass
from typing import Annotated

from ..options import Count, Options, Positive, Range, Share, choice

#: Augmentations by group (arXiv 2006.06676, Appendix B).
GROUPS = {
    "blit": ("xflip", "rotate90", "xint"),
    "geom": ("scale", "rotate", "aniso", "xfrac"),
    "color": ("brightness", "contrast", "lumaflip", "hue", "saturation"),
    "filter": ("imgfilter",),
    "noise": ("noise",),
    "cutout": ("cutout",),
}
_COMBINED = {
    "bg": ("blit", "geom"),
    "bgc": ("blit", "geom", "color"),
    "bgcf": ("blit", "geom", "color", "filter"),
    "bgcfn": ("blit", "geom", "color", "filter", "noise"),
    "bgcfnc": ("blit", "geom", "color", "filter", "noise", "cutout"),
}
#: Probability multipliers of each pipe.
PIPES: dict[str, dict[str, float]] = {
    pipe: {name: 1.0 for group in groups for name in GROUPS[group]}
    for pipe, groups in ({group: (group,) for group in GROUPS} | _COMBINED).items()
}


@dataclass(frozen=True, kw_only=True)
class AdaSettings(Options):
    """How often pictures are augmented."""

    augment_p: Share = 0.0  # initial (with a target) or fixed probability of augmentation
    # wanted sign(D(real)) of adaptive augmentation, None for a fixed probability
    ada_target: Annotated[float, Range(-1, 1)] | None = 0.6
    ada_kimg: Positive | None = None  # kimg for p to go from 0 to 1; None for 100 when fine-tuning, 500 from scratch
    ada_interval: Count = 4  # iterations between adjustments of p


@dataclass(frozen=True, kw_only=True)
class AugmentSettings(AdaSettings):
    """The group `augment`."""

    name: str  # of the choice
    pipe: Annotated[str, choice(*PIPES)] | None  # which augmentations, None for none

    def check(self) -> None:
        """Refuse what would never augment, or never adapt."""
        adaptive = self.ada_target is not None
        if self.pipe is None and (self.augment_p or adaptive):
            name = "augment_p" if self.augment_p else "ada_target"
            raise self.wrong(name, "has no effect without a pipe: choose augment=ada or fixed")
        if self.pipe is not None and not adaptive and self.augment_p == 0:
            raise self.wrong("augment_p", "a fixed probability of 0 never augments: set it, or choose augment=none")
        if not adaptive and self.ada_kimg is not None:
            raise self.wrong("ada_kimg", "has no effect without augment.ada_target: choose augment=ada")
