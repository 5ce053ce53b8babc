"""Names and paths on the command line: taken as they were typed, not as YAML or Hydra would read them.

Hydra reads `2024.10` as a number, `12_34` as another, `a,b` as two values, and OmegaConf `${x}` as a reference.
"""

import re
from collections.abc import Mapping

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, Quote, QuotedString
from hydra.errors import HydraException


def quoted(argument: str, texts: Mapping[str, str], *, swept: bool = False) -> str:
    """Put the value of `key=value` in quotes where it is a text, or where Hydra's grammar does not take it as it is.

    So that `photos=2024.10`, `dataset.path=~/my pictures (1)` and `dataset.background=#ff0000` mean what they say. null
    stays null, and what is in quotes already stays as it is. `texts` are the script's free ones, see `options.texts`.
    With `swept` there is a job for each of several values: then a comma separates texts too, unless it stands in
    quotes, and `${seed}` in a text is the job's.
    """
    key, equals, value = argument.partition("=")
    if not equals or not value or argument.startswith("-"):
        return argument
    override = _parsed(argument)
    if key in texts and re.match(texts[key], value):
        if swept and override is not None and override.is_sweep_override() and _FUNCTION.fullmatch(value):
            return argument
        if swept:
            return f"{key}={','.join(map(_as_text, _PART.findall(value)))}"
        ready = override is not None and isinstance(override._value, QuotedString)
        return argument if ready or value.lower() == "null" else f"{key}={quote(value)}"
    if override is not None:
        return argument
    within = f"{key}={quote(value)}"
    return within if _parsed(within) is not None else argument


def quote(text: str) -> str:
    """A text in quotes, from which Hydra and OmegaConf make the same text."""
    literal = re.sub(r"(\\*)\$\{", r"\1\1\\${", text)
    return QuotedString(literal, Quote.single).with_quotes()


#: One of several texts, up to the comma; a comma in quotes separates nothing.
_PART = re.compile(r"""(?:^|(?<=,))((?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")(?=,|$)|[^,]*)""")

_FUNCTION = re.compile(r"\w+\(.*\)")  # of Hydra's, such as choice(a,b)


def _as_text(part: str) -> str:
    """One of several texts in quotes; a reference in it stays one."""
    value = _parsed(f"x={part}")
    if part.lower() == "null" or (value is not None and isinstance(value._value, QuotedString)):
        return part
    return QuotedString(part, Quote.single).with_quotes()


def _parsed(argument: str) -> Override | None:
    try:
        return OverridesParser.create().parse_overrides([argument])[0]
    except HydraException:
        return None
