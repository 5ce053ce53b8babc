"""One sitting of one person: the pair that is asked, the answers so far, and what they say in the end."""

import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..clicks import (
    CLICKS,
    ENOUGH,
    Answer,
    Click,
    Side,
    Taste,
    append_click,
    judge,
    read_clicks,
    undo_click,
)
from ..runs import CELL_FACES
from ..sweep import command_with_clicks, recommend_again
from .pairs import next_pair
from .shown import Blends

SHOWN = 4  # codes of which a question shows the pictures
RESULT = 8  # in the end
CODES = range(CELL_FACES)


@dataclass(frozen=True)
class Question:
    """Two blends side by side."""

    number: int  # of the question in this sitting
    left: Side
    right: Side
    codes: tuple[int, ...]  # whose pictures are shown


class Sitting:
    """A person before the page; `rng` draws pairs, sides and codes.

    The file is the truth: what others append to it meanwhile counts for them, and is left alone.
    """

    def __init__(self, blends: Blends, who: str, rng: random.Random) -> None:
        self.blends, self.who, self._rng = blends, who, rng
        self.path: Path = blends.folder / CLICKS
        self._given: list[Click] = []  # in this sitting
        self._question = self._ask(0)

    def clicks(self) -> list[Click]:
        """The person's clicks on this sweep, of all sittings."""
        clicks = read_clicks(self.path) if self.path.exists() else []
        return [click for click in clicks if click.who == self.who]

    def state(self) -> dict[str, Any]:
        """What the page shows."""
        question, faces = self._question, self.blends.faces
        return {
            "who": self.who,
            "count": len(self.clicks()),
            "enough": ENOUGH,
            "undo": bool(self._given),
            "question": question.number,
            "original": faces(None, question.codes),
            "left": faces(question.left.key, question.codes),
            "right": faces(question.right.key, question.codes),
        }

    def answer(self, number: int, answer: Answer) -> None:
        """Take an answer down and ask the next question; one to another question (a double click) does nothing."""
        question = self._question
        if number != question.number:
            return
        click = Click(question.left, question.right, answer, self.who, question.codes)
        append_click(self.path, click)
        self._given.append(click)
        self._question = self._ask(number + 1)

    def undo(self) -> None:
        """Take the last answer of this sitting back, and ask its question again."""
        if self._given:
            click = self._given[-1]
            undo_click(self.path, click)
            self._given.pop()
            number = self._question.number + 1  # what was on its way to the page answers none
            self._question = Question(number, click.left, click.right, click.codes)

    def result(self) -> dict[str, Any] | None:
        """What the clicks say, and the blend that the sweep recommends then; None while they are too few."""
        clicks = self.clicks()
        if len(clicks) < ENOUGH:
            return None
        verdict = judge(clicks, self.blends.axes, self.path)
        ranking = recommend_again(self.blends.folder, verdict.alpha)
        choice = ranking["recommended"]
        return {
            "alpha": verdict.alpha,
            "sentence": verdict.sentence,
            "recommendation": ranking["sentence"],
            "codes": f"{ranking['codes']} codes",
            "faces": self._faces_of(choice["label"]) if choice else [],
            "original": self.blends.faces(None, CODES[:RESULT]),
            "others": self._others(),
            "command": command_with_clicks(self.blends.folder, self.path),
        }

    def _others(self) -> str:
        """Who else has clicked here: the sweep goes by all."""
        people = {click.who for click in read_clicks(self.path)} - {self.who}
        return f"(with the clicks of {', '.join(sorted(people))}, who are in the file too)" if people else ""

    def _faces_of(self, label: str) -> list[str]:
        key = next((side.key for side in self.blends.sides if side.label == label), None)
        return [] if key is None else self.blends.faces(key, CODES[:RESULT])

    def _ask(self, number: int) -> Question:
        clicks = self.clicks()
        current = {side.key for side in self.blends.sides}
        asked = {click.pair for click in clicks if click.pair <= current}
        known = [click for click in clicks if set(click.left.places) == set(self.blends.axes)]
        left, right = next_pair(Taste.of(known, self.blends.axes), self.blends.sides, asked, self._rng)
        return Question(number, left, right, tuple(sorted(self._rng.sample(CODES, SHOWN))))
