"""User and password of an address: refused before anything is written, and never printed."""

import pytest

from src.cli import check_overrides
from src.command_line import CommandLine
from src.errors import NO_LOGIN, UserError

from .scripts import start

SECRET = "hunter2"
ADDRESS = f"https://me:{SECRET}@127.0.0.1/nets"
SHORT = ["dataset.num_images=8", "batch=4", "total_kimg=0.004", "metrics=none", "trainer.progress=false"]


@pytest.mark.script
@pytest.mark.parametrize(
    "command",
    [
        ["train.py", *SHORT, "tracker.mode=offline", f"weights.mirror={ADDRESS}"],
        ["train.py", *SHORT, "tracker=none", f"weights.mirror=null,{ADDRESS}", "-m"],  # Hydra's multirun.yaml
        ["sweep.py", f"base={ADDRESS}", "blend.res=4,8"],
        ["caricature.py", f"photos={ADDRESS}", "hydra.output_subdir=.hydra"],
    ],
)
def test_a_password_is_in_no_output_and_in_no_file(command, tmp_path):
    done = start(*command, cwd=tmp_path)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.endswith(f"{NO_LOGIN}\n") and done.stderr.count("\n") == 1
    assert "https://***@127.0.0.1/nets" in done.stderr and SECRET not in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("text", ["https://token@host", "s3://me:a,b@host/x", "[http://h/a,'http://me@h']"])
def test_no_form_of_it_is_taken(text):
    with pytest.raises(UserError, match=NO_LOGIN):
        CommandLine.read(["seed=1", f"base={text}"])


@pytest.mark.parametrize(
    "text", ["https://host/net@1.0", "https://host?to=me@host", "me@host:net.pkl", "C:/@x", "'https://host or me@host'"]
)
def test_what_else_has_the_sign_is_taken(text):
    assert CommandLine.read([f"base={text}"]).overrides == (f"base={text}",)


def test_a_file_of_the_configuration_may_not_hold_it_either(tmp_path):
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "mine.yaml").write_text(f"# @package _global_\nweights:\n  mirror: {ADDRESS}\n")
    with pytest.raises(UserError) as error:
        check_overrides("train", ["--config-dir", str(tmp_path), "experiment=mine"])
    assert str(error.value) == f"mirror: https://***@127.0.0.1/nets: {NO_LOGIN}"
