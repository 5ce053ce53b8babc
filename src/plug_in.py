"""A function of someone else's as the value of an option: `package.module:function`."""

import hashlib
import inspect
import re
import threading
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from .errors import UserError

FUNCTION = r"[A-Za-z_][\w.]*:[A-Za-z_]\w*"  # the form of such a name


def names_function(choice: str) -> bool:
    """Whether an option's value has the form of a function's name."""
    return re.fullmatch(FUNCTION, choice) is not None


class PlugIn:
    """A function of someone else's, called by one thread at a time.

    Args:
        option: whose value it is.
        name: `package.module:function`.
        otherwise: what else the option may be, for its messages.

    Raises:
        UserError: when there is no such function.
    """

    def __init__(self, option: str, name: str, otherwise: str) -> None:
        self.name = name
        self._said, self._turn = f"{option}={name}", threading.Lock()
        self._function = self._found(otherwise)

    def __call__(self, *arguments: Any) -> Any:
        """Call it; whatever goes wrong in it is one line."""
        try:
            with self._turn:
                return self._function(*arguments)
        except UserError:
            raise
        except Exception as error:
            raise UserError(f"{self._said}: failed ({type(error).__name__}: {_line(error)})") from error

    @property
    def sha256(self) -> str | None:
        """Of the file that the function is in; None where there is none."""
        try:
            file = inspect.getsourcefile(self._function)
            return hashlib.sha256(Path(file).read_bytes()).hexdigest() if file else None
        except (TypeError, OSError):
            return None

    def _found(self, otherwise: str) -> Callable[..., Any]:
        module, _, attribute = self.name.partition(":")
        try:
            found = getattr(import_module(module), attribute, None)
        except Exception as error:  # a module of someone else's fails in its own ways
            raise UserError(f"{self._said}: {module} cannot be imported ({_line(error)}); {otherwise}") from error
        if not callable(found):
            raise UserError(f"{self._said}: {module} has no function {attribute}; {otherwise}")
        return found


def _line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0]
