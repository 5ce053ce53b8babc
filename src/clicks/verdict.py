"""What a file of clicks says: the weight of shape, and how far the score with it foretells a person's choices."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import UserError
from .agreement import Agreement, held_out
from .file import Click, read_clicks
from .taste import Taste

ENOUGH = 40  # clicks that tell alpha within about .1
BY = {"score": "the score", "kid": "the snapshots' KID", "chance": "guessing"}


@dataclass(frozen=True)
class Verdict:
    """What clicks say."""

    alpha: float  # the weight of shape that they speak for
    interval: tuple[float, float]  # between which it lies with 95 %
    count: int  # of clicks
    people: dict[str, int]  # who gave how many
    agreement: dict[str, Agreement]  # with clicks that were left out of the fit, see `held_out`

    @property
    def sentence(self) -> str:
        """All of it, in words."""
        low, high = self.interval
        who = ", ".join(self.people)
        text = f"{self.count} clicks by {who} speak for alpha {self.alpha:.2f} ({low:.2f} to {high:.2f}, 95 %)."
        if not self.agreement:
            return f"{text} None of them has a winner."
        said = ", ".join(
            f"{by} in {_percent(self.agreement[name])}" for name, by in BY.items() if name in self.agreement
        )
        return f"{text} A click that is left out of the fit is foretold by {said}."


def read_enough_clicks(path: Path) -> list[Click]:
    """Read a file that holds enough clicks to tell alpha.

    Raises:
        UserError: when it does not, or cannot be read.
    """
    clicks = read_clicks(path)
    if len(clicks) < ENOUGH:
        raise UserError(f"{path}: {len(clicks)} clicks do not tell alpha, {ENOUGH} are needed: go on with pick.py")
    return clicks


def judge(clicks: Sequence[Click], axes: Sequence[str], source: object) -> Verdict:
    """Fit alpha, and ask how far it holds.

    Args:
        clicks: of one person or several.
        axes: names of the score's axes.
        source: of the clicks, for messages.

    Raises:
        UserError: when they were given about another score.
    """
    other = next((click for click in clicks if set(click.left.places) != set(axes)), None)
    if other is not None:
        theirs, ours = (", ".join(sorted(names)) for names in (other.left.places, axes))
        raise UserError(f"{source}: clicks about a score of {theirs} do not fit one of {ours}: click again in pick.py")
    taste = Taste.of(clicks, axes)
    people = Counter(click.who for click in clicks)
    return Verdict(taste.alpha, taste.interval, len(clicks), dict(people), held_out(clicks, axes))


def _percent(found: Agreement) -> str:
    return f"{100 * found.share:.0f} % ({100 * found.low:.0f} to {100 * found.high:.0f})"
