"""Options: each is declared once, as a field of the settings class of the component that uses it.

A settings class is a frozen dataclass of `Options`. The type of a field says what the option may be: `bool`, `int`,
`float`, `str` (a free text), `Path`, `Literal[...]`, `tuple[X, ...]` (a list, or one value alone), `X | None`, a plain
mapping, another settings class (a group of options), or one of these `Annotated` with a `Range`, with other words for
the message, or with a `Kind` of its own. An object that exists holds values that may be, whether `read` made it of a
configuration or a caller in Python.
"""

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, dataclass, fields, replace
from functools import partial
from operator import attrgetter
from os import PathLike
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from .errors import NO_LOGIN, UserError, has_login
from .files import expanded

T = TypeVar("T")


class OptionError(UserError):
    """An option that cannot be: `name=value: reason`.

    Whoever raises it knows the option by its own name; the groups that it belongs to are put in front on the way up.
    """

    def __init__(self, name: str, value: Any, reason: str) -> None:
        super().__init__(f"{name}={shown(value)}: {reason}")
        self.name, self.value, self.reason = name, value, reason

    def within(self, group: str) -> "OptionError":
        """The same of an option of a group."""
        return OptionError(f"{group}.{self.name}", self.value, self.reason)


def shown(value: Any) -> str:
    """A value as it is written on the command line: `null`, `true`, `[8,16]`, `{a:1}`."""
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    if isinstance(value, list | tuple):
        return f"[{','.join(map(shown, value))}]"
    if isinstance(value, Mapping):
        return f"{{{','.join(f'{key}:{shown(item)}' for key, item in value.items())}}}"
    return str(value)


@dataclass(frozen=True)
class Kind:
    """What an option may be. As an annotation it takes the place of what the type says."""

    words: tuple[str, ...]  # the alternatives, in words
    accept: Callable[[Any], Any]  # returns the value to keep, or raises a ValueError, which may have a reason
    # beginning (a pattern) of values that are free texts: what was typed on the command line, however YAML would read
    # it; None where none is
    text: str | None = None
    group: "type[Options] | None" = None  # the settings class of a group of options

    def expected(self) -> str:
        """The alternatives as one phrase."""
        *others, last = self.words
        return f"{', '.join(others)} or {last}" if others else last


@dataclass(frozen=True)
class Range:
    """Bounds of a number."""

    low: float = -math.inf
    high: float = math.inf
    above: bool = False  # `low` itself is excluded
    below: bool = False  # `high` itself is excluded
    binary: bool = False  # a power of two
    note: str = ""  # what the numbers mean

    def words(self, noun: str) -> str:
        """What it allows, in words."""
        start = f"{'a power of two' if self.binary else noun} {'above' if self.above else 'from'} {self.low:g}"
        if self.high == math.inf:
            end = "" if self.above else " up"
        else:
            end = f"{' and below' if self.below else ' up to' if self.above else ' to'} {self.high:.10g}"
        return f"{start}{end}" + (f" ({self.note})" if self.note else "")

    def allows(self, number: float) -> bool:
        """Whether a number is within the bounds."""
        excluded = (self.above and number == self.low) or (self.below and number == self.high)
        binary = not self.binary or int(number).bit_count() == 1
        return self.low <= number <= self.high and not excluded and binary


def _require(value: T, allowed: bool) -> T:
    if not allowed:
        raise ValueError
    return value


def _plain(kind: type, value: Any) -> Any:
    value = str(value) if kind is str and isinstance(value, PathLike) else value
    finite = not isinstance(value, float) or math.isfinite(value)
    of_kind = isinstance(value, int | float if kind is float else kind)
    return _require(value, of_kind and finite and value != "" and (kind is bool or not isinstance(value, bool)))


_PLAIN = {
    bool: Kind(("true", "false"), partial(_plain, bool)),
    int: Kind(("a whole number",), partial(_plain, int)),
    float: Kind(("a number",), partial(_plain, float)),
    str: Kind(("a text",), partial(_plain, str), text=""),
    Path: Kind(("a path",), lambda value: expanded(_plain(str, value)), text=""),
    Mapping: Kind(("names with values",), partial(_plain, Mapping)),
}


def choice(*names: str) -> Kind:
    """One of some texts; where they are not in a table already, `Literal` says the same."""
    return Kind(names, lambda value: _require(value, isinstance(value, str) and value in names))


def matching(pattern: str, words: str) -> Kind:
    """A free text of some form."""
    return Kind((words,), lambda value: _require(value, bool(re.fullmatch(pattern, _plain(str, value)))), text="")


Seed = Annotated[int, Range(0)]
Count = Annotated[int, Range(1)]
Positive = Annotated[float, Range(0, above=True)]
NotNegative = Annotated[float, Range(0)]
Share = Annotated[float, Range(0, 1)]
#: Whether the device is there is asked when it is opened, see `device.torch_device`.
Device = Annotated[str, matching(r"auto|cpu|cuda(:\d+)?", "auto, cpu or cuda")]


def kind_of(hint: Any) -> Kind:
    """What the type of a field says; a KeyError for the type of no option."""
    origin, given = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return given[1] if isinstance(given[1], Kind) else _annotated(kind_of(given[0]), given[1])
    if origin in (Union, UnionType):
        return _union([kind_of(part) for part in given if part is not NoneType], null=NoneType in given)
    if origin is Literal:
        return choice(*given)
    if origin is tuple:
        return _list(kind_of(given[0]))
    if isinstance(hint, type) and issubclass(hint, Options):
        return Kind(("a group of options (see conf/)",), partial(_instance, hint), group=hint)
    return _PLAIN[origin or hint]


def _annotated(kind: Kind, mark: str | Range) -> Kind:
    if isinstance(mark, str):
        return replace(kind, words=(mark,))
    return Kind((mark.words(kind.words[0]),), lambda value: _require(value, mark.allows(kind.accept(value))))


def _union(parts: list[Kind], *, null: bool) -> Kind:
    def accept(value: Any) -> Any:
        if value is None and null:
            return None
        for part in parts[:-1]:
            try:
                return part.accept(value)
            except ValueError:
                continue
        return parts[-1].accept(value)

    words = tuple(dict.fromkeys([word for part in parts for word in part.words] + ["null"] * null))
    return replace(parts[0], words=words, accept=accept) if len(parts) == 1 else Kind(words, accept)


def _list(item: Kind) -> Kind:
    def accept(value: Any) -> tuple[Any, ...]:
        values = value if isinstance(value, list | tuple) else [value]
        return tuple(item.accept(part) for part in _require(values, len(values) > 0))

    return Kind((*item.words, "a list of such"), accept)


def _instance(group: "type[Options]", value: Any) -> "Options":
    if not isinstance(value, group):
        raise ValueError("is a group of options (see conf/), it cannot be replaced")
    return value


class Options:
    """Base of the settings classes.

    A constructor's OptionError names the first option that cannot be, or that would have no effect.
    """

    def __post_init__(self) -> None:
        for name, kind in kinds(type(self)).items():
            given = getattr(self, name)
            if kind.group is None and has_login(str(given)):  # a group looks at its own
                raise OptionError(name, given, NO_LOGIN)
            try:
                object.__setattr__(self, name, kind.accept(given))
            except ValueError as error:
                raise OptionError(name, given, str(error) or f"give {kind.expected()}") from None
        self.check()

    def check(self) -> None:
        """Refuse options that exclude each other or have no effect; for settings classes to override."""

    def wrong(self, name: str, reason: str) -> OptionError:
        """An error of one of its options, such as `tuning.steps`."""
        return OptionError(name, attrgetter(name)(self), reason)

    def parsed(self, name: str, parse: Callable[[Any], T]) -> T:
        """What `parse` makes of one of its options, such as `align.points`; its ValueError says why it cannot be."""
        try:
            return parse(attrgetter(name)(self))
        except ValueError as error:
            raise self.wrong(name, str(error)) from error

    def changed(self) -> Iterator[str]:
        """Names of the options that are not the class's defaults, such as `steps`; in groups too."""
        for name in kinds(type(self)):
            value = getattr(self, name)
            if isinstance(value, Options):
                yield from (f"{name}.{option}" for option in value.changed())
            elif value != type(self).__dataclass_fields__[name].default:  # type: ignore[attr-defined]
                yield name

    def refuse_changed(self, reason: str, *names: str) -> None:
        """Refuse those options, of a group all by `group.`, that are not the class's defaults.

        An OptionError names the first, with the reason.
        """
        for name in self.changed():
            if name.startswith(names):
                raise self.wrong(name, reason)

    def as_config(self) -> dict[str, Any]:
        """The options as plain data, of which `read` makes an equal object."""
        return {name: _as_plain(getattr(self, name)) for name in kinds(type(self))}


def _as_plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_as_plain(item) for item in value]
    return value.as_config() if isinstance(value, Options) else str(value) if isinstance(value, Path) else value


_KINDS: dict[type, dict[str, Kind]] = {}


def kinds(settings: type[Options]) -> dict[str, Kind]:
    """What each option of a settings class may be; a field of another type is no option, but for callers in Python."""
    if settings not in _KINDS:
        _KINDS[settings] = {}
        for name, hint in get_type_hints(settings, include_extras=True).items():
            try:
                _KINDS[settings][name] = kind_of(hint)
            except KeyError:
                continue
    return _KINDS[settings]


def all_kinds(settings: type[Options]) -> dict[str, Kind]:
    """What each option may be, groups and their options too, these as `group.name`."""
    known = kinds(settings)
    groups = {name: all_kinds(kind.group) for name, kind in known.items() if kind.group is not None}
    return known | {f"{name}.{option}": kind for name, group in groups.items() for option, kind in group.items()}


def texts(settings: type[Options]) -> dict[str, str]:
    """Options that are free texts, with the beginning (a pattern) of such values."""
    return {name: kind.text for name, kind in all_kinds(settings).items() if kind.text is not None}


S = TypeVar("S", bound=Options)


def read(settings: type[S], config: Mapping[str, Any]) -> S:
    """Make a settings object of a plain configuration, groups as mappings; what it leaves out has its default.

    An OptionError names the first option that is unknown, missing, cannot be, or would have no effect.
    """
    known, values = kinds(settings), dict(config)
    for field in fields(settings):  # type: ignore[arg-type]
        if field.name not in config and field.default is MISSING and field.default_factory is MISSING:
            raise OptionError(field.name, None, f"is missing; give {known[field.name].expected()}")
    for name, value in config.items():
        if name not in known:
            raise OptionError(name, value, f"there is no such option; there are {', '.join(known)}")
        group = known[name].group
        if group is not None and isinstance(value, Mapping):
            try:
                values[name] = read(group, value)
            except OptionError as error:
                raise error.within(name) from None
    return settings(**values)
