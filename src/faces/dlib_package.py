"""The optional package dlib."""

from importlib import import_module
from typing import Any

from ..errors import UserError


def dlib_package(wanted: str) -> Any:
    """Import dlib; a UserError that says how to get it where it is not there. `wanted` is the option that needs it."""
    try:
        return import_module("dlib")
    except ImportError as error:
        raise UserError(
            f"{wanted} needs the dlib package ({error}): pip install dlib-bin (in a checkout pip install -e '.[dlib]')"
        ) from error
