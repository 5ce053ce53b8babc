"""Small files, written whole or not at all, and read with one clear message when they are damaged."""

import json
import os
from pathlib import Path
from typing import Any

from .errors import UserError


def write_text(path: Path, text: str) -> Path:
    """Write a text file beside its target and rename it into place; its folder is made.

    Returns:
        The path.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        partial.write_text(text)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    return path


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        UserError: when the file cannot be read, or is something else.
    """
    try:
        value = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise UserError(f"{path} is damaged ({error}): restore it, or take another run=NAME") from error
    if not isinstance(value, dict):
        raise UserError(f"{path} is damaged (not a JSON object): restore it, or take another run=NAME")
    return value
