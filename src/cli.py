"""The frame of the entry scripts: compose, call, turn errors into one line and exit code 2.

Hydra prints its own mistakes over several lines and exits with 1; here the configuration is checked first, so that an
unknown key or value is one clear line like every other mistake.
"""

import os
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import hydra
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, Override
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from .caricature import CaricatureSettings
from .command_line import CommandLine
from .errors import UserError, refuse_logins
from .exits import EXIT_USER_ERROR, with_errors_as_lines
from .generate import GenerateSettings
from .options import Options, all_kinds, read, texts
from .picking import PickSettings
from .prepare import PrepareSettings
from .quoting import quote, quoted
from .sweep import SweepSettings
from .training import TrainSettings

CONF = Path(__file__).resolve().parents[1] / "conf"
#: Hydra 1.3 is told whose defaults it takes; 1.4 has its own alone, and warns when it is told.
VERSION_BASE = {"version_base": "1.3"} if hydra.__version__.startswith("1.3.") else {}
#: The options of each script; those of `conf/<name>.yaml`.
SETTINGS: dict[str, type[Options]] = {
    "train": TrainSettings,
    "prepare": PrepareSettings,
    "sweep": SweepSettings,
    "caricature": CaricatureSettings,
    "generate": GenerateSettings,
    "pick": PickSettings,
}
HINTS = {"dataset.path": "with your own pictures say dataset=folder as well"}
TAKE_LISTS = ("sweep",)  # scripts in which a comma lists values
SHARED = ("caricature", "prepare")  # scripts whose work the jobs of a launcher share, see `sharing.py`
OF_JOBS = ("hydra/launcher=", "hydra.launcher.", "hydra/sweeper=", "hydra.sweeper.")


def script(name: str) -> Callable[[Callable[[dict[str, Any]], Any]], Callable[[], None]]:
    """Make an entry script of a function that takes the plain configuration `conf/<name>.yaml`.

    The decorated function takes no arguments, reads the command line, and exits with 0, or with 2 and one line on
    stderr for a `UserError` or a wrong option.
    """

    def decorate(function: Callable[[dict[str, Any]], Any]) -> Callable[[], None]:
        failed: list[int] = []  # jobs of a multirun: the others go on

        def checked(config: DictConfig) -> Any:
            options = plain(config)
            read(SETTINGS[name], options)  # before the function imports torch: a wrong option is answered at once
            return function(options)

        @hydra.main(config_path=str(CONF), config_name=name, **VERSION_BASE)
        def job(config: DictConfig) -> Any:
            run = HydraConfig.get()
            if name in TAKE_LISTS or run.mode != RunMode.MULTIRUN:
                return with_errors_as_lines(lambda: checked(config))
            try:
                return checked(config)
            except UserError as error:
                failed.append(run.job.num + 1)
                print(f"error: {error} (job {failed[-1]}; the others go on)", file=sys.stderr)

        def main() -> None:
            os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra's mistakes come here, instead of several lines and exit code 1
            sys.argv[1:] = with_errors_as_lines(lambda: _taken(name, sys.argv[1:]))
            with_errors_as_lines(lambda: _composing(name, job))
            if failed:
                sys.exit(EXIT_USER_ERROR)

        return main

    return decorate


def _taken(name: str, arguments: Sequence[str]) -> list[str]:
    """The checked command line, as Hydra takes it: flags first."""
    line = CommandLine.read(arguments)
    arguments = [*line.flags, *typed(name, line.overrides, swept=line.multirun)]
    if not _is_shared(name, line):
        check_overrides(name, arguments)
        return arguments
    arguments.append("hydra/sweeper=sharing")
    check_overrides(name, arguments)
    return [*arguments, "hydra.mode=MULTIRUN"]


def _is_shared(name: str, line: CommandLine) -> bool:
    """Whether jobs of a launcher share the work of a command; a UserError for options of jobs where there are none."""
    asked = [override for override in line.overrides if override.startswith(OF_JOBS)]
    if not asked or line.multirun or name in TAKE_LISTS:
        return False
    launchers = [o for o in asked if o.startswith("hydra/launcher=") and o != "hydra/launcher=basic"]
    is_shared = name in SHARED and bool(launchers)
    if not is_shared and not line.shows:
        hint = "hydra/launcher=joblib" if name in SHARED else "-m, and several values of an option"
        raise UserError(f"{asked[0]} has no effect on one run: add {hint}")
    return is_shared


def typed(name: str, overrides: Sequence[str], *, swept: bool = False) -> list[str]:
    """Overrides of a script in the grammar of Hydra: free texts mean what was typed; with `swept` see `quoted`."""
    free = texts(SETTINGS[name])
    return [quoted(override, free, swept=swept and name not in TAKE_LISTS) for override in overrides]


def _resolving(call: Callable[[], Any]) -> Any:
    """Run `call`; what OmegaConf cannot resolve in it is the user's to put right."""
    try:
        return call()
    except OmegaConfBaseException as error:
        raise UserError(_unresolved(error)) from error


def _composing(name: str, job: Callable[[], Any]) -> Any:
    """Run a script's job; what Hydra cannot compose before it is the user's to put right."""
    try:
        return _resolving(job)
    except HydraException as error:
        raise UserError(_explain(name, error, [])) from error


def plain(config: DictConfig) -> dict[str, Any]:
    """Resolve to plain containers; a UserError names a value that is missing (`???`) or unresolvable."""
    missing = sorted(str(key) for key in _resolving(lambda: OmegaConf.missing_keys(config)))
    if missing:
        raise UserError(f"{missing[0]} is not set: add {missing[0]}=... to the command")
    container = _resolving(lambda: OmegaConf.to_container(config, resolve=True))
    assert isinstance(container, dict)
    return {str(key): value for key, value in container.items()}


def plain_task(composed: DictConfig) -> dict[str, Any]:
    """The script's own part of a composed configuration."""
    return plain(DictConfig({key: composed._get_node(key) for key in composed if key != "hydra"}))


def compose_config(name: str, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """Compose `conf/<name>.yaml` with overrides, as a command line would, to plain containers."""
    try:
        with initialize_config_dir(config_dir=str(CONF), **VERSION_BASE):
            return plain(compose(config_name=name, overrides=typed(name, overrides)))
    except (HydraException, OmegaConfBaseException) as error:
        raise UserError(_explain(name, error, list(overrides))) from error
    finally:
        GlobalHydra.instance().clear()


def check_overrides(name: str, arguments: list[str]) -> None:
    """Compose once with the command line's overrides, to find mistakes before Hydra prints its own.

    Such are an override that does not parse, an unknown key, an unknown choice of a group, and a file of the
    configuration that holds an address with user or password.
    """
    line = CommandLine.read(arguments)
    if not line.is_plain:
        return
    try:
        parsed = OverridesParser.create().parse_overrides(list(line.overrides))
        for override in parsed:
            _check_form(override, takes_lists=line.multirun or name in TAKE_LISTS)
        further = [] if line.config_dir is None else [f"hydra.searchpath=[{quote(line.config_dir)}]"]
        with initialize_config_dir(config_dir=str(CONF), **VERSION_BASE), warnings.catch_warnings():
            warnings.filterwarnings("error", "provider=", UserWarning)  # of a folder that is not there
            for overrides in _to_check(parsed):
                whole = compose(config_name=name, overrides=[*further, *overrides], return_hydra_config=True)
                refuse_logins(text.strip() for text in OmegaConf.to_yaml(whole).splitlines())
                for key in ("hydra.run.dir", "hydra.output_subdir"):  # Hydra resolves them before the job
                    OmegaConf.select(whole, key)
        if line.package not in (None, "_global_") and OmegaConf.select(whole, line.package) is None:
            raise UserError(f"--package {line.package}: the configuration has no such part")
    except UserWarning as error:
        raise UserError(f"hydra.searchpath: {str(error).rsplit('path=', 1)[-1]}") from error
    except (HydraException, OmegaConfBaseException, ValueError) as error:
        raise UserError(_explain(name, error, line.overrides)) from error
    finally:
        GlobalHydra.instance().clear()


def _to_check(parsed: Sequence[Override]) -> Iterator[list[str]]:
    """Overrides that have to compose: the first of several values, and every choice of a group."""
    values = [_values(override) for override in parsed]
    first = [several[0] for several in values]
    yield first
    for i, override in enumerate(parsed):
        if (CONF / str(override.key_or_group)).is_dir():
            yield from ([*first[:i], other, *first[i + 1 :]] for other in values[i][1:])


def _check_form(override: Override, *, takes_lists: bool) -> None:
    """Refuse what would add or delete keys, and several values where one is wanted."""
    key, text = override.key_or_group or "", override.input_line or ""
    if _is_hydras(override):
        return
    if override.is_add() or override.is_force_add() or override.is_delete():
        raise UserError(f"unknown option {text}: options can be set, not added or deleted (conf/ has them all)")
    if override.is_sweep_override() and not takes_lists:
        values = text.split("=", 1)[-1]
        raise UserError(
            f"{text}: {key} takes one value (a run for each: add -m); a list is written {key}=[{values}], one text "
            f"{key}=\"'{values}'\""
        )


def _is_hydras(override: Override) -> bool:
    return (override.key_or_group or "").startswith("hydra")


def _values(override: Override) -> list[str]:
    """A swept override (`blend.res=8,16`) with each of its values, of an interval its ends; another one as it is."""
    text = override.input_line or ""
    if not override.is_sweep_override():
        return [text]
    key, swept = text.split("=", 1)[0], override.value()
    if isinstance(swept, IntervalSweep):
        return [f"{key}={swept.start}", f"{key}={swept.end}"]
    return [f"{key}={value}" for value in override.sweep_string_iterator()]


def _explain(name: str, error: Exception, overrides: Sequence[str]) -> str:
    message = _first_line(error)
    if "Could not override" in message or "not in struct" in str(error):
        return _unknown(name, message.split("'")[1] if "'" in message else message)
    if "Could not find" in message:
        lines = [line.strip() for line in str(error).splitlines() if line.startswith("\t")]
        options = [line for line in lines if line and not line.startswith("provider=")]
        known = f"; there are {', '.join(options)}" if options else ""
        if "pretrained/" in message:
            known += " (a file or run of yours: pretrained=file pretrained.source=PATH)"
        return message.replace("Could not find", "no such choice:") + known
    return f"{message} (in {' '.join(overrides)})" if overrides else message


def _unknown(name: str, key: str) -> str:
    """What is said of an option that a script does not have, or not as it is configured."""
    known = all_kinds(SETTINGS[name])
    if key in known:
        group = key.split(".")[0]
        hint = HINTS.get(key, f"this choice of {group} does not have it (see conf/{group}/)")
        return f"unknown option {key}: {hint}"
    near = [option for option in known if option.endswith(f".{key}")] or get_close_matches(key, known, n=1)
    meant = f": did you mean {near[0]}?" if near else ""
    return f"unknown option {key}{meant} (python {name}.py --cfg job prints all)"


def _unresolved(error: OmegaConfBaseException) -> str:
    return f"{error.full_key}: {_first_line(error)}" if error.full_key else _first_line(error)


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]
