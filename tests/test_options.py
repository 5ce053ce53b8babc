"""The option layer: what a field's type allows, what is said of the rest, and groups."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest

from src.options import (
    Count,
    Device,
    Kind,
    OptionError,
    Options,
    Positive,
    Range,
    choice,
    read,
    shown,
    texts,
)


def _even(value: Any) -> int:
    if int(value) % 2:
        raise ValueError("is odd")
    return int(value)


@dataclass(frozen=True, kw_only=True)
class Brush(Options):
    width: Positive = 1.5
    shape: Annotated[str, choice("round", "flat")] = "round"

    def check(self) -> None:
        if self.shape == "flat" and self.width > 10:
            raise self.wrong("width", "no flat brush is so wide")


@dataclass(frozen=True, kw_only=True)
class Tools(Options):
    brush: Brush = field(default_factory=Brush)


@dataclass(frozen=True, kw_only=True)
class Painting(Options):
    name: str
    count: Count = 1
    share: Annotated[float, Range(0, 1, above=True, note="1 is all")] | None = None
    alpha: Annotated[float, Range(0, 1, above=True, below=True)] = 0.5
    side: Annotated[int, Range(8, binary=True)] = 8
    shiny: Literal["auto"] | bool = "auto"
    sizes: tuple[Count, ...] = (1,)
    when: Annotated[Literal["never"] | float, "never or a day"] = "never"
    place: Path | None = None
    device: Device = "auto"
    facts: Mapping[str, Any] | None = None
    even: Annotated[int, Kind(("an even number",), _even)] | None = None
    tools: Tools = field(default_factory=Tools)
    hand: object = None  # for callers in Python

    def check(self) -> None:
        if self.count == 1:
            self.refuse_changed("has no effect on one", "sizes", "tools.")


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("name", "", "name=: give a text"),
        ("name", 3, "name=3: give a text"),
        ("name", None, "name=null: give a text"),
        ("count", 0, "count=0: give a whole number from 1 up"),
        ("count", True, "count=true: give a whole number from 1 up"),
        ("count", 1.0, "count=1.0: give a whole number"),
        ("count", "1", "count=1: give a whole number"),
        ("share", 0, "share=0: give a number above 0 up to 1 (1 is all) or null"),
        ("share", float("nan"), "share=nan: give a number"),
        ("share", float("inf"), "share=inf: give a number"),
        ("alpha", 1, "alpha=1: give a number above 0 and below 1"),
        ("side", 12, "side=12: give a power of two from 8 up"),
        ("side", 4, "side=4: give a power of two from 8 up"),
        ("shiny", 1, "shiny=1: give auto, true or false"),
        ("shiny", "yes", "shiny=yes: give auto, true or false"),
        ("sizes", [1, 0], "sizes=[1,0]: give a whole number from 1 up or a list of such"),
        ("sizes", [], "sizes=[]: give a whole number"),
        ("when", "now", "when=now: give never or a day"),
        ("place", "", "place=: give a path or null"),
        ("device", "tpu", "device=tpu: give auto, cpu or cuda"),
        ("facts", 3, "facts=3: give names with values or null"),
        ("even", 3, "even=3: is odd"),
        ("tools", 3, "tools=3: is a group of options (see conf/), it cannot be replaced"),
        ("tools", None, "tools=null: is a group of options"),
        ("tools", {"brush": 3}, "tools.brush=3: is a group of options"),
        ("tools", {"brush": {"width": 0}}, "tools.brush.width=0: give a number above 0"),
        ("tools", {"brush": {"shape": "flat", "width": 11}}, "tools.brush.width=11: no flat brush is so wide"),
        ("tools", {"brush": {"hair": 1}}, "tools.brush.hair=1: there is no such option; there are width, shape"),
        ("tools", {"brush": {"shape": "flat"}}, "tools.brush.shape=flat: has no effect on one"),
        ("sizes", [2], "sizes=[2]: has no effect on one"),
        ("hand", 3, "hand=3: there is no such option"),
        ("name", "https://me:pw@host/x", "name=https://***@host/x: no user or password in an address"),
        ("place", "https://me@host", "place=https://***@host: no user or password"),
        ("tools", {"brush": {"shape": "https://pw@h"}}, "tools.brush.shape=https://***@h: no user"),
        ("facts", {"urls": ["https://h", "https://pw@h"]}, "facts={urls:[https://h,https://***@h]}: no user"),
    ],
)
def test_what_cannot_be_is_one_line_that_names_it(option, value, words):
    with pytest.raises(OptionError) as error:
        read(Painting, {"name": "a", option: value})
    assert str(error.value).startswith(words) and "\n" not in str(error.value)


def test_values_are_kept_and_the_rest_is_as_declared(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    config = {"name": "a", "count": 2, "sizes": 3, "when": 4, "place": "~/x", "even": "4", "device": "cuda:1"}
    painting = read(Painting, {**config, "tools": {"brush": {"width": 2}}})
    assert (painting.sizes, painting.when, painting.place, painting.even) == ((3,), 4, Path("/home/me/x"), 4)
    assert painting.tools == Tools(brush=Brush(width=2)) and painting.shiny == "auto"
    assert read(Painting, {"name": "a", "place": None}) == Painting(name="a")


def test_a_missing_option_is_asked_for():
    with pytest.raises(OptionError, match=r"^name=null: is missing; give a text$"):
        read(Painting, {})


def test_objects_made_in_python_are_checked_alike():
    with pytest.raises(OptionError, match=r"^width=0: give a number above 0$"):
        Brush(width=0)
    with pytest.raises(OptionError, match=r"^count=0: "):
        replace(Painting(name="a"), count=0)
    assert Painting(name=Path("a"), hand=object).name == "a"


def test_free_texts_are_derived_from_the_declarations():
    assert set(texts(Painting)) == {"name", "place", "device"}


def test_an_object_is_its_configuration():
    painting = Painting(name="a", count=2, sizes=(2, 3), place="x", tools=Tools(brush=Brush(width=2)), hand=object)
    config = painting.as_config()
    assert config["sizes"] == [2, 3] and config["place"] == "x" and config["tools"]["brush"]["width"] == 2
    assert read(Painting, config) == replace(painting, hand=None)


def test_what_was_changed_is_known():
    painting = Painting(name="a", count=2, tools=Tools(brush=Brush(width=2)))
    assert list(painting.changed()) == ["name", "count", "tools.brush.width"]


def test_a_reason_of_a_lower_floor_gets_the_options_name():
    def parse(text: str) -> int:
        raise ValueError("holds no number")

    with pytest.raises(OptionError, match=r"^tools.brush.shape=round: holds no number$") as error:
        Painting(name="a").parsed("tools.brush.shape", parse)
    assert (error.value.value, error.value.reason) == ("round", "holds no number")
    assert str(error.value.within("all")) == "all.tools.brush.shape=round: holds no number"


def test_values_are_shown_as_they_are_typed():
    assert shown([None, True, 0.5, "a", {"b": [1]}]) == "[null,true,0.5,a,{b:[1]}]"
