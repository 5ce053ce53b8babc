"""Work that jobs share, without the jobs: what they are asked, and what the command does afterwards."""

import os
from types import SimpleNamespace

import pytest
from hydra import compose, initialize_config_dir

from src import sharing
from src.cli import CONF, VERSION_BASE, _taken
from src.errors import UserError
from src.sharing import MAX_LOST, SharingSweeper


@pytest.fixture
def shared(monkeypatch):
    """Share a command's work; returned are the jobs of each launch, and the options that the command went on with."""

    def share(name, *overrides, jobs=None, launch=lambda: []):
        launched, went_on = [], []

        def launches(task, asked, **how):
            launched.append(asked)
            return launch()

        with initialize_config_dir(config_dir=str(CONF), **VERSION_BASE):
            whole = compose(config_name=name, overrides=list(overrides), return_hydra_config=True)
        loader = SimpleNamespace(load_sweep_config=lambda config, arguments: whole)
        sweeper = SharingSweeper(jobs)
        sweeper.task_config, sweeper.context = whole, SimpleNamespace(config_loader=loader)
        monkeypatch.setattr(sharing, "launch", launches)
        monkeypatch.setitem(sharing.ROOMS, name, SimpleNamespace(main=went_on.append))
        try:
            sweeper._share(overrides)
        finally:
            assert len(went_on) <= 1
        return launched, *went_on

    return share


def run_of(folder, seconds):
    (folder / "snapshots").mkdir(parents=True)
    path = folder / "snapshots" / "kimg-000000.00.safetensors"
    path.touch()
    os.utime(path, (seconds, seconds))
    return folder


def test_a_launcher_has_work_shared_and_with_m_it_runs_a_run_for_each_value(shared):
    asked = ["drop=null", "hydra/launcher=joblib"]
    assert _taken("prepare", asked) == [*asked, "hydra/sweeper=sharing", "hydra.mode=MULTIRUN"]
    assert _taken("prepare", ["-m", *asked]) == ["-m", *asked]
    jobs = [*asked, "hydra.sweeper.jobs=32"]
    assert _taken("prepare", [*jobs, "--cfg", "job"])[2:-1] == [*jobs, "hydra/sweeper=sharing"], "it composes"


@pytest.mark.parametrize("more", [[], ["network=mine.safetensors"]])
def test_the_latest_run_is_the_same_for_the_jobs_and_for_the_command_after_them(shared, tmp_path, more):
    runs = tmp_path / "it's ${mine}"
    run_of(runs / "old", 1000)
    asked = ["photos=holiday", f"paths.runs={sharing.quote(str(runs))}", "hydra/launcher=joblib", *more]
    (jobs,), options = shared("caricature", *asked, jobs=2, launch=lambda: run_of(runs / "new", 2000) and [])
    assert options["run"] == str(runs / "old")
    assert jobs == [[*asked, f"run={sharing.quote(str(runs / 'old'))}"]] * 2


def test_a_run_that_has_no_effect_is_not_looked_for(shared, tmp_path):
    asked = ["photos=holiday", f"paths.runs={tmp_path}", "network=a.safetensors", "base=b.safetensors"]
    (jobs,), options = shared("caricature", *asked, "hydra/launcher=joblib", jobs=2)
    assert options["run"] == "latest" and not any(override.startswith("run=") for override in jobs[0])


@pytest.mark.parametrize(("launcher", "times"), [("joblib", 0), ("submitit_local", 0), ("submitit_slurm", 1)])
def test_one_job_is_launched_where_it_runs_elsewhere(shared, launcher, times):
    launched, _ = shared("prepare", "source=in", f"hydra/launcher={launcher}", jobs=1)
    assert [len(jobs) for jobs in launched] == [1] * times


def test_jobs_that_are_lost_again_and_again_are_left_alone_and_a_line_says_so(shared, capsys):
    def lose():
        raise RuntimeError("A worker was terminated.")

    launched, options = shared("prepare", "source=in", "hydra/launcher=joblib", jobs=2, launch=lose)
    assert len(launched) == MAX_LOST and options["source"] == "in"
    *lost, last = capsys.readouterr().out.splitlines()
    assert lost == ["note       a job was lost, its part is made again: A worker was terminated."] * MAX_LOST
    assert last == f"note       jobs were lost {MAX_LOST} times: the rest is made here"


def test_codes_leave_jobs_nothing_to_do(shared):
    with pytest.raises(UserError, match="hydra/launcher has no effect with codes=: there is nothing to project"):
        shared("caricature", "codes=codes", "hydra/launcher=joblib", jobs=2)
