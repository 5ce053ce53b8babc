"""Which parameters are trained (FreezeD, FreezeG, frozen mapping), and whether settings and networks fit."""

from torch import nn

from ..errors import UserError
from ..networks import Discriminator, Generator
from .settings import BLUR_REACH, StepSettings


def trained_generator(G: Generator, settings: StepSettings) -> list[nn.Parameter]:
    """Parameters of G without the frozen ones: the mapping network, the synthesis blocks up to a resolution (FreezeG).

    All are set to need no gradient; a phase asks for those that it trains.
    """
    frozen: set[nn.Parameter] = set()
    if settings.freeze_mapping:
        frozen.update(G.mapping.parameters())
    for r in G.synthesis.resolutions:
        if r <= settings.freeze_g_resolution:
            frozen.update(G.synthesis.block(r).parameters())
    G.requires_grad_(False)
    return [p for p in G.parameters() if p not in frozen]


def trained_discriminator(D: Discriminator, settings: StepSettings) -> list[nn.Parameter]:
    """Parameters of D without the `freeze_d` layers nearest to the image (FreezeD, arXiv 2002.10964).

    All are set to need no gradient; a phase asks for those that it trains.
    """
    layers = [m for r in D.block_resolutions for m in D.get_submodule(f"b{r}").children()]
    if settings.freeze_d > len(layers):
        raise UserError(f"loss.freeze_d={settings.freeze_d}: this discriminator has {len(layers)} layers to freeze")
    frozen = {p for layer in layers[: settings.freeze_d] for p in layer.parameters()}
    D.requires_grad_(False)
    return [p for p in D.parameters() if p not in frozen]


def check_networks(G: Generator, D: Discriminator, settings: StepSettings, source: Generator | None) -> None:
    """Check that networks and settings belong together."""
    if G.resolution != D.resolution or G.c_dim != D.c_dim:
        raise UserError(
            f"generator ({G.resolution} px, {G.c_dim} classes) and discriminator ({D.resolution} px, {D.c_dim}) "
            "do not belong together"
        )
    for name, value in (
        ("loss.freeze_g_resolution", settings.freeze_g_resolution),
        ("loss.structure_resolution", settings.structure_resolution if settings.structure_weight > 0 else 0),
    ):
        if value and (value not in G.synthesis.resolutions or value >= G.resolution):
            raise UserError(f"{name}={value}: must be one of {G.synthesis.resolutions[:-1]}")
    widest = (G.resolution - 1) / BLUR_REACH
    if settings.blur_px > widest:
        raise UserError(f"loss.blur_px={settings.blur_px:g}: at most {widest:g} for pictures of {G.resolution} px")
    if settings.structure_weight > 0 and source is None:
        raise UserError("loss.structure_weight needs a pretrained network to compare with: give pretrained=...")
    if settings.structure_weight > 0 and G.synthesis.architecture != "skip":
        raise UserError(
            f"loss.structure_weight compares the RGB of a low resolution, which a {G.synthesis.architecture} generator "
            "does not have: set it to 0"
        )
