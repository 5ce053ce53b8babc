"""A script's command line: overrides and Hydra's flags, in any order."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

from hydra._internal.utils import get_args_parser

from .errors import UserError, refuse_logins

ONE_OF = ("cfg", "info", "multirun", "run", "shell_completion")  # what Hydra is to do


@dataclass(frozen=True)
class CommandLine:
    """A command line that Hydra can take."""

    flags: tuple[str, ...]  # with their values
    overrides: tuple[str, ...]  # `key=value`, …
    multirun: bool  # whether there is a job for each of several values
    shows: bool  # whether the configuration is shown, and nothing done
    config_dir: str | None  # a further folder like conf/
    package: str | None  # the part of the configuration that is shown
    is_plain: bool  # whether `conf/` with the overrides is all there is to compose, so that it can be checked before

    @classmethod
    def read(cls, arguments: Sequence[str]) -> "CommandLine":
        """Take apart what was typed: flags may stand between the overrides.

        Refused are a flag that Hydra does not have, flags that do not go together, and an address with user or
        password, which Hydra would write to multirun.yaml.
        """
        refuse_logins(arguments)
        found = _Parser(parents=[get_args_parser()], add_help=False).parse_intermixed_args(list(arguments))
        given = [f"--{name.replace('_', '-')}" for name in ONE_OF if getattr(found, name)]
        if len(given) > 1:
            raise UserError(f"{' and '.join(given)}: one of them at a time")
        if found.resolve and not (found.cfg or found.help):
            raise UserError("--resolve has no effect without --cfg: add --cfg job")
        flags, left = [], list(found.overrides)
        for argument in arguments:
            if left and argument == left[0]:
                left.pop(0)
            else:
                flags.append(argument)
        elsewhere = (found.config_path, found.config_name, found.experimental_rerun)
        return cls(
            tuple(flags),
            tuple(found.overrides),
            found.multirun or "hydra.mode=MULTIRUN" in found.overrides,
            bool(found.cfg or found.info or found.help),
            found.config_dir,
            found.package,
            not any((found.help, found.hydra_help, found.shell_completion, *elsewhere)),
        )


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message} (--hydra-help lists the flags)")
