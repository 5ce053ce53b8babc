"""The first run on a GPU, dry: every step of it at a toy size on the processor, and without Hydra."""

import json

import pytest

from experiments.gpu import first_run
from experiments.gpu.whole_run import configuration


@pytest.fixture
def dry(tmp_path, monkeypatch):
    monkeypatch.setenv("CARICATURE_OPS", "reference")
    return ["--tiny", "--device", "cpu", "--out", str(tmp_path / "out")], tmp_path / "out"


def test_the_steps_run(dry):
    options, out = dry
    rows = first_run.main([*options, "--only", "training", "train"])
    assert [row["outcome"] for row in rows] == ["ok"] * 2, [(out / f"{r['step']}.log").read_text()[-800:] for r in rows]
    assert json.loads((out / "steps.json").read_text()) == rows
    training = json.loads((out / "training.json").read_text())
    assert {row["part"] for row in training["rows"]} >= {"average", "iteration"}
    assert list((out / "runs" / "first" / "checkpoints").glob("*.ckpt"))


def test_a_step_that_fails_or_takes_too_long_does_not_stop_the_others(dry, monkeypatch):
    options, out = dry
    steps = [
        first_run.Step("fails", (first_run.sys.executable, "-c", "raise SystemExit('no such card')"), 20),
        first_run.Step("hangs", (first_run.sys.executable, "-c", "import time; time.sleep(60)"), 1),
        first_run.Step("works", (first_run.sys.executable, "-c", "print('done')"), 20),
    ]
    monkeypatch.setattr(first_run, "steps", lambda args: steps)
    assert [row["outcome"] for row in first_run.main(options)] == ["exit 1", "out of its 1 s", "ok"]
    assert "no such card" in (out / "fails.log").read_text() and "done" in (out / "works.log").read_text()
    assert {row["outcome"] for row in first_run.main([*options, "--seconds", "0"])} == {"no time left"}


def test_every_command_is_one_of_this_repository(tmp_path):
    parser = first_run.argparse.Namespace
    args = parser(out=tmp_path, device="cuda", tiny=False, ada=tmp_path, only=None, config=None)
    found = first_run.steps(args)
    assert {"networks", "graphs", "kernels", "training", "train", "projection", "sweep"} < {step.name for step in found}
    for step in found:
        for argument in step.command:
            if argument.startswith("tests/"):
                assert (first_run.ROOT / argument).is_file()
            if argument.startswith(("experiments.", "src.")):
                path = first_run.ROOT / argument.replace(".", "/")
                assert path.with_suffix(".py").is_file() or path.is_dir()


def test_a_composed_configuration_needs_no_hydra(tmp_path):
    """The file and a few options mean what Hydra would make of all of them."""
    file = tmp_path / "config.json"
    first_run.main(["--tiny", "--out", str(tmp_path), "--compose", str(file)])
    options = [*first_run.RUN, *first_run.TINY, "paths.runs=elsewhere", "trainer.profile=true", "run=profiled"]
    assert configuration(["--config", str(file), *options]) == configuration(options)
