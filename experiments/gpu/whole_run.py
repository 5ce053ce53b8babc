"""`train.py` from options, or without Hydra from a composed configuration that a few options change.

python -m experiments.gpu.whole_run [--config FILE] KEY=VALUE ...
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from src.training.run import train


def configuration(arguments: Sequence[str]) -> dict[str, Any]:
    """The configuration that the arguments mean; with a file, dotted keys that it already has are set in it."""
    if "--config" not in arguments:
        from src.cli import compose_config

        return compose_config("train", list(arguments))
    where = list(arguments).index("--config")
    config: dict[str, Any] = json.loads(Path(arguments[where + 1]).read_text(encoding="utf-8"))
    for argument in (*arguments[:where], *arguments[where + 2 :]):
        key, _, text = argument.partition("=")
        *groups, last = key.split(".")
        group = config
        for name in groups:
            group = group[name]
        if isinstance(group.get(last), dict):
            continue  # a choice of a group, made when the file was written
        group[last] = _value(text)
    return config


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


if __name__ == "__main__":
    train(configuration(sys.argv[1:]))
