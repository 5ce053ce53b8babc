"""Every file in conf/ composes, names itself, and holds values, never code."""

import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
import yaml

from src.augment import AdaSettings
from src.caricature import CaricatureSettings
from src.cli import CONF, SETTINGS, check_overrides, compose_config, plain, typed
from src.errors import UserError
from src.exits import with_errors_as_lines
from src.generate import GenerateSettings
from src.metrics import MetricsSettings
from src.options import all_kinds, kinds, read
from src.picking import PickSettings
from src.prepare import PrepareSettings
from src.runs import PathsSettings
from src.sweep import SweepSettings
from src.tracking import TrackerSettings
from src.training import TrainSettings
from src.training.settings import LossSettings, TrainerSettings

WANDB = CONF / "wandb"  # for W&B, not for Hydra
GROUPS = sorted(p.name for p in CONF.iterdir() if p.is_dir() and p != WANDB)
OPTIONS = sorted((p.parent.name, p.stem) for p in CONF.glob("*/*.yaml") if p.parent != WANDB)
NEEDED = {
    "dataset=folder": ["dataset.path=x"],
    "dataset=tfrecord": ["dataset.path=x"],
    "pretrained=file": ["pretrained.source=x"],
}


ROOTS = {
    "train": [],
    "prepare": ["source=x"],
    "sweep": ["tracker=none"],
    "caricature": ["photos=x"],
    "generate": [],
    "pick": [],
}


@cache
def composed(name, *overrides):
    """A configuration; choices of train.py that need a value have one."""
    return compose_config(name, [*overrides, *(value for choice in overrides for value in NEEDED.get(choice, []))])


def declared(settings):
    """Names of the options of a settings class, dotted."""
    return {name for name, kind in all_kinds(settings).items() if kind.group is None}


def written(settings, config, group=""):
    """Names of the options of a configuration, dotted; what the class takes as one value is one option."""
    found, known = set(), kinds(settings)
    for name, value in config.items():
        own = known[name].group if name in known else None
        found |= {f"{group}{name}"} if own is None else written(own, value, f"{group}{name}.")
    return found


@pytest.mark.parametrize(("group", "option"), OPTIONS)
def test_every_choice_composes_and_is_as_declared(group, option):
    choice = f"{group}={option}"
    config = composed("train", choice)
    if group not in ("experiment", "trainer"):
        assert config[group]["name"] == option
    if choice not in ("augment=none", "pretrained=none"):  # they need another choice beside them
        read(TrainSettings, config)
    assert written(TrainSettings, config) <= declared(TrainSettings)


def test_wandbs_sweep_gives_train_options_that_there_are():
    sweep = yaml.safe_load((WANDB / "finetune.yaml").read_text())
    for name, values in sweep["parameters"].items():
        for value in values.get("values") or (values["min"], values["max"]):
            read(TrainSettings, composed("train", f"{name}={value}"))
    assert sweep["command"][-1] == "${args_no_hyphens}" and (CONF.parent / sweep["program"]).is_file()


def test_intervals_are_for_sweepers_that_draw_from_them():
    drawn = ["-m", "hydra.sweep.dir=x", "loss.lr_g=tag(log,interval(0.0005,0.005))", "loss.freeze_d=choice(0,2)"]
    check_overrides("train", drawn)
    with pytest.raises(UserError, match=r"^unknown option loss\.lr_x: did you mean"):
        check_overrides("train", ["-m", "loss.lr_x=interval(0.1,1)"])
    with pytest.raises(UserError, match=r"a run for each: add -m"):
        check_overrides("train", drawn[1:])


@pytest.mark.parametrize("name", ROOTS)
def test_every_root_is_as_declared(name):
    config = composed(name, *ROOTS[name])
    read(SETTINGS[name], config)
    found = written(SETTINGS[name], config)
    if name == "train":
        for group, option in OPTIONS:
            found |= written(TrainSettings, composed("train", f"{group}={option}"))
    assert found == declared(SETTINGS[name])


def test_defaults_for_callers_in_python_are_those_of_the_files():
    assert read(SweepSettings, compose_config("sweep", ["tracker=none"])) == SweepSettings()
    assert read(CaricatureSettings, compose_config("caricature", ["photos=x"])) == CaricatureSettings(photos="x")
    assert read(GenerateSettings, compose_config("generate")) == GenerateSettings()
    assert read(PickSettings, compose_config("pick")) == PickSettings()
    prepare = read(PrepareSettings, compose_config("prepare", ["source=x"]))
    assert prepare == PrepareSettings(dataset=prepare.dataset, source="x")
    train = read(TrainSettings, compose_config("train", ["tracker=none"]))
    assert train.loss == LossSettings() and train.metrics == MetricsSettings() and train.trainer == TrainerSettings()
    assert train.tracker == TrackerSettings() and train.paths == PathsSettings()
    assert {name: getattr(train.augment, name) for name in vars(AdaSettings())} == vars(AdaSettings())


@pytest.mark.script
@pytest.mark.parametrize("name", ROOTS)
def test_a_wrong_option_is_one_line_from_every_script_before_torch(name, tmp_path):
    (tmp_path / "torch.py").write_text("raise RuntimeError('torch is imported')")
    wrong, expected = ("who=null", "a text") if name == "pick" else ("weights.folder=null", "a path")
    command = [sys.executable, str(CONF.parent / f"{name}.py"), *ROOTS[name], wrong]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path, timeout=100)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"error: {wrong}: give {expected}\n"


def test_files_hold_no_class_paths():
    for path in CONF.rglob("*.yaml"):
        assert "_target_" not in path.read_text(), path
        assert isinstance(yaml.safe_load(path.read_text()), dict), path


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["loss.r1_gama=1"], r"^unknown option loss.r1_gama: did you mean loss.r1_gamma\? \(python train.py --cfg"),
        (["lr_g=1"], r"unknown option lr_g: did you mean loss.lr_g\?"),
        (["trakcer=none"], r"unknown option trakcer: did you mean tracker\?"),
        (["dataset.on_bad=skip"], "unknown option dataset.on_bad: this choice of dataset does not have it"),
        (["nonsense=1"], r"unknown option nonsense \(python train.py --cfg job prints all\)"),
        (["dataset=ferrets"], "there are demo, ferg, folder, people, tfrecord, yuanshen"),
        (["loss.lr_g=="], "loss.lr_g=="),
        (["dataset=folder"], r"dataset\.path is not set"),
        (["+nonsense=1"], r"unknown option \+nonsense=1"),
        (["~loss"], "unknown option ~loss"),
        (["loss=3"], "loss=3"),
        (["snapshot.kimg=0,1,2"], r"a list is written snapshot\.kimg=\[0,1,2\]"),
        (["dataset.path=x"], "say dataset=folder as well"),
        (["pretrained=my_net"], "pretrained=file pretrained.source=PATH"),
        (["--cfg", "job", "bogus=1"], "unknown option bogus"),
        (["bogus=1", "--info", "searchpath"], "unknown option bogus"),
        (["seed=0,1", "--cfg", "job"], "a run for each: add -m"),
        (["batch=8", "-m", "bogus=0,1"], "unknown option bogus"),
        (["-m", "dataset=demo,ferrets"], "there are demo, ferg, folder, people, tfrecord, yuanshen"),
        (["--cfg", "job", "-m"], "--cfg and --multirun: one of them at a time"),
        (["--cfg", "all_of_it"], "invalid choice: 'all_of_it'"),
        (["--cfg", "job", "--package", "nothing"], "--package nothing: the configuration has no such part"),
        (["--resolve"], "--resolve has no effect without --cfg"),
        (["--nonsense", "seed=1"], "unrecognized arguments: --nonsense"),
        (["hydra.searchpath=[/no/such]", "experiment=mine"], "hydra.searchpath: /no/such is not available"),
        (["--config-dir", "/no/such", "experiment=mine"], "hydra.searchpath: /no/such is not available"),
    ],
)
def test_mistakes_are_one_line(overrides, words):
    with pytest.raises(UserError, match=words) as error:
        check_overrides("train", overrides)
        compose_config("train", overrides)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("path", ["~/cartoons", "my pics (1)", "a=b", "[x]", "it's", "ü/ä", "#1", "a{b}", "plain/one"])
def test_a_path_means_what_it_says(path):
    (given,) = typed("train", [f"dataset.path={path}"])
    check_overrides("train", ["dataset=folder", given])
    assert compose_config("train", ["dataset=folder", given])["dataset"]["path"] == path


def test_swept_values_are_checked_by_their_first():

    check_overrides("sweep", ["blend.res=8,16,32"])
    with pytest.raises(UserError, match=r"blend\.rez"):
        check_overrides("sweep", ["blend.rez=8,16,32"])


def test_conf_is_where_the_scripts_look():
    assert Path(CONF).name == "conf"
    assert callable(plain)
    assert GROUPS


def test_ctrl_c_is_one_line(capsys):
    def interrupted():
        raise KeyboardInterrupt

    with pytest.raises(SystemExit) as stop:
        with_errors_as_lines(interrupted, stopped="stopped: go on with the same command")
    assert stop.value.code == 130
    assert capsys.readouterr().err == "stopped: go on with the same command\n"
