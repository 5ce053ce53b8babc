"""The recipe of a blend: where a snapshot and the network that it was fine-tuned from meet, and which is below."""

from dataclasses import dataclass, replace
from typing import TypeVar

from ..networks import Generator, blend, blend_weights
from ..options import OptionError, Options, Positive
from .settings import BlendSettings, Direction, Level, Switch

T = TypeVar("T")


@dataclass(frozen=True)
class Recipe(Options):
    """All that decides a blend of two given networks.

    Attributes:
        resolution: of the switch, a power of two from 4 up.
        direction: `"cartoon_low"` (low = fine-tuned, high = base) or `"cartoon_high"` (the other way round).
        level: 0 or 1, see `networks.blend`.
        width: None for a hard switch, or the width of a logistic mix in positions.

    Raises:
        OptionError: for a value that cannot be.
    """

    resolution: Switch
    direction: Direction = "cartoon_low"
    level: Level = 0
    width: Positive | None = None

    @property
    def manner(self) -> str:
        """All but the resolution, for names of files: `cartoon-low`, `cartoon-high-level1-width0.5`."""
        level = f"-level{self.level}" if self.level else ""
        width = f"-width{self.width:g}" if self.width else ""
        return f"{self.direction.replace('_', '-')}{level}{width}"

    @property
    def shares_prefix(self) -> bool:
        """Whether the blend is whole blocks of the low network below whole blocks of the high one."""
        return self.width is None and self.level == 0

    def at(self, resolution: int) -> "Recipe":
        """The same at another resolution."""
        return replace(self, resolution=resolution)

    def ordered(self, snapshot: T, base: T) -> tuple[T, T]:
        """Turn what belongs to (snapshot, base) into (low, high); given (low, high), back into (snapshot, base)."""
        return (snapshot, base) if self.direction == "cartoon_low" else (base, snapshot)

    def blend(self, snapshot: Generator, base: Generator) -> Generator:
        """Blend a snapshot and the base network.

        Raises:
            UserError: when they do not fit together.
        """
        low, high = self.ordered(snapshot, base)
        return blend(low, high, self.resolution, level=self.level, width=self.width)

    def resolutions(self, G: Generator) -> list[int]:
        """Resolutions at which networks of G's size can be blended like this and the result is not the low one."""
        size = G.resolution
        known = G.synthesis.resolutions
        return [r for r in known if any(blend_weights(size, r, level=self.level, width=self.width).values())]

    def check_against(self, G: Generator, name: str = "resolution") -> None:
        """Check the resolution against the networks.

        Args:
            G: one of them.
            name: what the user calls the resolution.

        Raises:
            OptionError: when they do not have it, or the blend would be the low network itself.
        """
        useful = self.resolutions(G)
        if self.resolution in useful:
            return
        if self.resolution in G.synthesis.resolutions:
            reason = f"on a {G.resolution} px network this is the un-blended low network; choose {useful[-1]} or less"
        else:
            reason = f"a {G.resolution} px network can be blended at {', '.join(map(str, useful))}"
        raise OptionError(name, self.resolution, reason)


def recipes_of(settings: BlendSettings, G: Generator) -> list[Recipe]:
    """The recipes that settings ask for: of each resolution once, increasing.

    Args:
        settings: of the blends.
        G: one of the networks.

    Raises:
        OptionError: for a resolution that the networks do not have, or at which a blend is the low network itself.
    """
    one = Recipe(G.synthesis.resolutions[0], settings.direction, settings.level, settings.width)
    chosen = one.resolutions(G) if settings.res == "all" else sorted(set(settings.res))
    recipes = [one.at(r) for r in chosen]
    for recipe in recipes:
        recipe.check_against(G, "blend.res")
    return recipes
