"""Every file in conf/ composes, names itself, and holds values, never code."""

from pathlib import Path

import pytest
import yaml

from src.cli import CONF, check_overrides, compose_config, plain, quoted, with_errors_as_lines
from src.errors import UserError
from src.training.settings import StepSettings

GROUPS = sorted(p.name for p in CONF.iterdir() if p.is_dir())
OPTIONS = sorted((p.parent.name, p.stem) for p in CONF.glob("*/*.yaml"))
NEEDED = {
    "dataset=folder": ["dataset.path=x"],
    "dataset=tfrecord": ["dataset.path=x"],
    "pretrained=file": ["pretrained.source=x"],
}


@pytest.mark.parametrize(("group", "option"), OPTIONS)
def test_every_option_composes(group, option):
    choice = f"{group}={option}"
    config = compose_config("train", [choice, *NEEDED.get(choice, [])])
    if group not in ("experiment", "trainer"):
        assert config[group]["name"] == option


@pytest.mark.parametrize("name", ["train", "sweep", "caricature", "generate"])
def test_the_roots_compose_without_options(name):

    assert compose_config(name)["paths"]["runs"] == "runs"


def test_every_training_setting_is_in_the_configuration():
    config = compose_config("train")
    given = set(config["loss"]) | set(config["augment"])
    assert set(StepSettings.__dataclass_fields__) - {"ema_rampup"} <= given


def test_files_hold_no_class_paths():
    for path in CONF.rglob("*.yaml"):
        assert "_target_" not in path.read_text(), path
        assert isinstance(yaml.safe_load(path.read_text()), dict), path


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["loss.r1_gama=1"], "unknown option loss.r1_gama"),
        (["nonsense=1"], "unknown option nonsense"),
        (["dataset=ferrets"], "there are demo, ferg, folder, people, tfrecord, yuanshen"),
        (["loss.lr_g=="], "loss.lr_g=="),
        (["dataset=folder"], r"dataset\.path is not set"),
        (["+nonsense=1"], r"unknown option \+nonsense=1"),
        (["~loss"], "unknown option ~loss"),
        (["loss=3"], "loss=3"),
        (["snapshot.kimg=0,1,2"], r"a list is written snapshot\.kimg=\[0,1,2\]"),
        (["dataset.path=x"], "say dataset=folder as well"),
        (["pretrained=my_net"], "pretrained=file pretrained.source=PATH"),
    ],
)
def test_mistakes_are_one_line(overrides, words):
    with pytest.raises(UserError, match=words) as error:
        check_overrides("train", overrides)
        compose_config("train", overrides)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("path", ["~/cartoons", "my pics (1)", "a=b", "[x]", "it's", "ü/ä", "#1", "a{b}", "plain/one"])
def test_a_path_means_what_it_says(path):
    given = quoted(f"dataset.path={path}")
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
