"""Names of artifacts: W&B takes them, and no two things share one."""

import pytest
import wandb

from src.tracking.artifacts import MAX_NAME, blends_artifact, fitted, group_of, snapshots_artifact
from src.tracking.wandb_record import TRAINING, WandbRecord

LONG = "caricatures-of-people-" * 7


@pytest.mark.parametrize("name", ["mine", "it's ${x}", LONG, LONG + "2", "é" * 200])
def test_wandb_takes_the_names_of_any_run_and_sweep(tmp_path, name):
    for artifact in (snapshots_artifact(tmp_path / name), blends_artifact(tmp_path / name, LONG)):
        assert wandb.Artifact(artifact, type="model").name == artifact and len(artifact) <= MAX_NAME


def test_different_runs_and_sweeps_have_different_names(tmp_path):
    runs = [tmp_path / name for name in (LONG, LONG + "2", "a b", "a-b", "a_b")]
    assert len({snapshots_artifact(run) for run in runs}) == len({group_of(run) for run in runs}) == 5
    sweeps = (LONG, LONG + "2", "a b", "a-b", "a_b")
    assert len({blends_artifact(run, sweep) for run in runs for sweep in sweeps}) == 25


def test_runs_of_one_long_name_are_told_apart_by_their_ids_and_short_names_stay(tmp_path):
    names = []
    for place in ("here", "there"):
        run = tmp_path / place / LONG
        run.mkdir(parents=True)
        WandbRecord(run / "run.json", TRAINING).opened("offline", "log", None)
        names.append(group_of(run))
    assert names[0] != names[1] and max(map(len, names)) == MAX_NAME
    assert snapshots_artifact(tmp_path / "mine") == "mine" and blends_artifact(tmp_path / "mine", "s") == "mine-s"
    assert fitted("x" * MAX_NAME) == "x" * MAX_NAME
