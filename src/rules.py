"""What an option may be, and the check of a whole configuration against such rules."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .errors import UserError


@dataclass(frozen=True)
class Rule:
    """What an option may be.

    Attributes:
        expected: in words.
        kind: its type; a float option takes whole numbers as well.
        low: smallest number.
        high: largest number.
        open_ends: whether `low` and `high` themselves are excluded.
        null: whether null is a value.
        choices: the only values, of a text.
        flag: whether true and false are values besides.
    """

    expected: str
    kind: type
    low: float = -math.inf
    high: float = math.inf
    open_ends: bool = False
    null: bool = False
    choices: tuple[str, ...] = ()
    flag: bool = False

    def allows(self, value: Any) -> bool:
        """Whether `value` is such an option."""
        if value is None:
            return self.null
        if self.flag and isinstance(value, bool):
            return True
        if self.kind is object:  # a name: YAML reads some as numbers
            return isinstance(value, str | int | float) and not isinstance(value, bool) and value != ""
        if self.kind in (str, bool):
            return isinstance(value, self.kind) and (not self.choices or value in self.choices) and value != ""
        if isinstance(value, bool) or not isinstance(value, int if self.kind is int else int | float):
            return False
        inside = self.low < value < self.high if self.open_ends else self.low <= value <= self.high
        return math.isfinite(value) and inside


def text(null: bool = False) -> Rule:
    """Any text."""
    return Rule("a text" + (" or null" if null else ""), str, null=null)


def choice(*choices: str, null: bool = False) -> Rule:
    """One of some texts."""
    return Rule(" or ".join([*choices, *(["null"] if null else [])]), str, choices=choices, null=null)


def switch(*others: str) -> Rule:
    """true, false, or one of some texts."""
    return Rule(" or ".join([*others, "true", "false"]), str, choices=others, flag=True)


def whole(low: int, high: int = 2**62, null: bool = False) -> Rule:
    """A whole number from `low` to `high`."""
    words = f"a whole number from {low} {'up' if high == 2**62 else f'to {high}'}"
    return Rule(words + (" or null" if null else ""), int, low=low, high=high, null=null)


def number(low: float, high: float = math.inf, null: bool = False) -> Rule:
    """A number from `low` to `high`."""
    words = f"a number from {low:g} {'up' if high == math.inf else f'to {high:g}'}"
    return Rule(words + (" or null" if null else ""), float, low=low, high=high, null=null)


def between(low: float, high: float = math.inf, null: bool = False) -> Rule:
    """A number strictly between `low` and `high`."""
    words = f"a number above {low:g}" + ("" if high == math.inf else f" and below {high:g}")
    return Rule(words + (" or null" if null else ""), float, low=low, high=high, open_ends=True, null=null)


FLAG = Rule("true or false", bool)


def check_rules(config: Mapping[str, Any], rules: Mapping[str, Rule], groups: Sequence[str]) -> None:
    """Check every option of a plain configuration that has a rule; an option that is not there is not checked.

    Args:
        config: plain configuration.
        rules: `name` or `group.name` to its rule.
        groups: keys that hold options themselves.

    Raises:
        UserError: naming the first that cannot be.
    """
    for group in groups:
        if not isinstance(config.get(group), Mapping):
            raise UserError(f"{group}={config.get(group)}: is a group of options (see conf/), it cannot be replaced")
    for key, rule in rules.items():
        group, _, name = key.rpartition(".")
        options = config[group] if group else config
        if name in options and not rule.allows(options[name]):
            raise UserError(f"{key}={options[name]}: give {rule.expected}")
