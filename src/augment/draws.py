"""The random numbers of the augmentation pipe: every parameter of every image in two calls of the generator.

Karras et al., "Training Generative Adversarial Networks with Limited Data" (arXiv 2006.06676), Appendix B,
Algorithm 1: each augmentation happens with probability (multiplier x p), with a strength from its own
distribution. All parameters are written so that 0 means "unchanged" (scales and gains as log2), so a
parameter is number x spread x (happens or not).
"""

import math
from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ..draws import Draws


class Parameter(NamedTuple):
    """One row of the table of draws."""

    name: str
    kind: str  # coin {0, 1} | quarter {0..3} | signed (-1, 1) | unit (0, 1) | normal | halfnormal | one
    gate: str  # the decision, shared by all rows that name it, which switches this row on
    spread: str = ""  # the setting that scales it; "" = 1


# Grouped by kind in this order, which `AugmentDraws.forward` relies on.
PARAMETERS = (
    Parameter("flip", "coin", "xflip"),
    Parameter("luma_flip", "coin", "lumaflip"),
    Parameter("quarter_turns", "quarter", "rotate90"),
    Parameter("shift_x", "signed", "xint", "xint_max"),
    Parameter("shift_y", "signed", "xint", "xint_max"),
    Parameter("pre_angle", "signed", "rotate_pre", "rotate_max"),
    Parameter("post_angle", "signed", "rotate_post", "rotate_max"),
    Parameter("hue_angle", "signed", "hue", "hue_max"),
    Parameter("cutout_x", "unit", "cutout"),
    Parameter("cutout_y", "unit", "cutout"),
    Parameter("log2_scale", "normal", "scale", "scale_std"),
    Parameter("log2_aniso", "normal", "aniso", "aniso_std"),
    Parameter("move_x", "normal", "xfrac", "xfrac_std"),
    Parameter("move_y", "normal", "xfrac", "xfrac_std"),
    Parameter("brightness", "normal", "brightness", "brightness_std"),
    Parameter("log2_contrast", "normal", "contrast", "contrast_std"),
    Parameter("log2_saturation", "normal", "saturation", "saturation_std"),
    Parameter("log2_band0", "normal", "imgfilter0", "imgfilter_std"),
    Parameter("log2_band1", "normal", "imgfilter1", "imgfilter_std"),
    Parameter("log2_band2", "normal", "imgfilter2", "imgfilter_std"),
    Parameter("log2_band3", "normal", "imgfilter3", "imgfilter_std"),
    Parameter("noise_sigma", "halfnormal", "noise", "noise_std"),
    Parameter("cutout_size", "one", "cutout", "cutout_size"),
)
_ANGLES = ("rotate_max", "hue_max")  # settings in half turns


class AugmentDraws(nn.Module):
    """Draws the parameters of a batch; multipliers are of the gates, spreads of the settings that PARAMETERS names."""

    multiplier: Tensor
    is_rotation: Tensor
    levels: Tensor
    spread: Tensor
    gate_of: Tensor

    def __init__(self, multipliers: Mapping[str, float], spreads: Mapping[str, float]) -> None:
        super().__init__()
        gates = list(dict.fromkeys(row.gate for row in PARAMETERS))
        kinds = [row.kind for row in PARAMETERS]
        units = {"": 1.0} | {name: value * (math.pi if name in _ANGLES else 1) for name, value in spreads.items()}
        levels = [[{"coin": 2.0, "quarter": 4.0}[kind]] for kind in kinds if kind in ("coin", "quarter")]
        self.counts = (len(levels), kinds.count("signed"), kinds.count("unit"))
        self.num_normal = kinds.count("normal") + kinds.count("halfnormal")
        for name, value in {
            "multiplier": torch.tensor([[multipliers[gate]] for gate in gates], dtype=torch.float32),
            "is_rotation": torch.tensor([[gate.startswith("rotate_")] for gate in gates]),
            "levels": torch.tensor(levels),
            "spread": torch.tensor([[units[row.spread]] for row in PARAMETERS], dtype=torch.float32),
            "gate_of": torch.tensor([gates.index(row.gate) for row in PARAMETERS]),
        }.items():
            self.register_buffer(name, value, persistent=False)
        self.post_gate = gates.index("rotate_post")

    def forward(self, num: int, p: Tensor, draws: Draws, fixed_percentile: float | None = None) -> dict[str, Tensor]:
        """Draw one float tensor `[N]` per name in PARAMETERS, on p's device.

        Args:
            num: number of images N.
            p: scalar tensor, overall probability.
            draws: source of all numbers; its generator always advances by the same amount for the same N (not at all
                when `fixed_percentile` is given).
            fixed_percentile: in (0, 1): every augmentation with a multiplier above 0 happens, with this
                percentile of its distribution. Normal numbers follow the convention of the published
                implementation, erfinv(2q - 1), which is the percentile divided by sqrt 2; the second of the
                two rotations stays 0, as there.
        """
        if fixed_percentile is not None:
            q = torch.tensor(float(fixed_percentile), device=p.device)
            uniform = q.expand(sum(self.counts), num)
            normal = torch.cat([(2 * q - 1).erfinv().expand(self.num_normal - 1, num), q.erfinv().expand(1, num)])
            happens = (self.multiplier > 0).to(torch.float32)
            happens[self.post_gate] = 0
        else:
            uniform = draws.uniform((sum(self.counts) + len(self.multiplier), num), dim=1).to(p.device)
            normal = draws.normal((self.num_normal, num), dim=1).to(p.device)
            happens = (uniform[sum(self.counts) :] < self._thresholds(p)).to(torch.float32)
            normal = torch.cat([normal[:-1], normal[-1:].abs()])
        discrete, signed, unit = uniform[: sum(self.counts)].split(self.counts)
        numbers = torch.cat([(discrete * self.levels).floor(), 2 * signed - 1, unit, normal, torch.ones_like(unit[:1])])
        rows = numbers * self.spread * happens[self.gate_of]
        return {row.name: values for row, values in zip(PARAMETERS, rows.unbind(), strict=True)}

    def _thresholds(self, p: Tensor) -> Tensor:
        """Probability of every gate [G, 1]; a rotation has 1 - sqrt(1 - p): one of the two has p."""
        prob = self.multiplier * p
        return torch.where(self.is_rotation, 1 - (1 - prob).clamp(0, 1).sqrt(), prob)
