"""Several trainings of one recipe ranked together."""

import json

import numpy as np
import pytest
import yaml

from src.errors import UserError
from src.sweep.features import load_pseudo
from src.sweep.joint import rank_jointly
from src.sweep.run import main, open_configured_sweeps
from src.tracking import read_rows

from .conftest import config_of, write_run


@pytest.fixture
def runs(trained_run, base, tmp_path):
    """Trainings that went different ways."""
    dataset = yaml.safe_load((trained_run / "config.yaml").read_text())["dataset"]
    amounts = {"a": {0: 0.0, 1: 0.3, 2: 0.5}, "b": {0: 0.0, 1: 0.2, 2: 0.5}, "c": {0: 0.0, 1: 0.25, 2: 0.4}}
    return [write_run(tmp_path / name, base, own, dataset, seed=i) for i, (name, own) in enumerate(amounts.items())]


def config_of_all(runs):
    config = config_of("", (8, 16), n_latents=64)
    return {**config, "run": ",".join(map(str, runs)), "joint": True}


def change(run, **facts):
    """Say something else in a run's `run.json`."""
    path = run / "run.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | facts))


def test_trainings_of_one_recipe_are_ranked_by_their_means(runs, capsys):
    main(config_of_all(runs))
    found = [json.loads((run / "sweeps" / "cartoon-low" / "joint.json").read_text()) for run in runs]
    assert found[0] == found[1] == found[2] and found[0]["runs"] == ["a", "b", "c"] and found[0]["codes"] == 64
    cells = {(cell["kimg"], cell["resolution"]): cell for cell in found[0]["cells"]}
    assert set(cells) == {(kimg, r) for kimg in (1, 2) for r in (8, 16)}
    for index, run in enumerate(runs):
        rows = read_rows(run / "sweeps" / "cartoon-low" / "cells.jsonl")
        own = {(row["kimg"], row["resolution"]): row["cari"] for row in rows}
        assert all(own[key] == cell["of_runs"][index] for key, cell in cells.items())
    for cell in cells.values():
        assert cell["cari"] == pytest.approx(sum(cell["of_runs"]) / 3)
    winner = max(cells.values(), key=lambda cell: cell["cari"])
    assert found[0]["winner"] == {"kimg": winner["kimg"], "resolution": winner["resolution"]}
    assert 0 <= found[0]["below_best"] < 0.5 and found[0]["sentence"] in capsys.readouterr().out

    sweeps = open_configured_sweeps(config_of_all(runs))
    path = sweeps[0].table.features_path(sweeps[0].rows()[-1]["key"])  # as if a race had gone further with this cell
    pseudo = load_pseudo(path)
    np.savez(path, pseudo=np.concatenate([pseudo, pseudo + 1]))
    assert rank_jointly(sweeps) == found[0], "compared by the codes that all cells have"


def test_trainings_of_other_recipes_are_refused_before_anything_is_rendered(runs):
    identity = json.loads((runs[1] / "run.json").read_text())["identity"]
    change(runs[1], identity={**identity, "batch": 4})
    with pytest.raises(UserError, match="b is no training of a's recipe, its batch is 4, not 16"):
        main(config_of_all(runs))
    change(runs[1], identity={**identity, "seed": 0})
    with pytest.raises(UserError, match="a and b have one seed, so they are one training"):
        main(config_of_all(runs))
    change(runs[1], identity=identity, forked={"run": "a", "kimg": 1.0, "changed": []})
    with pytest.raises(UserError, match="b went on from the state of another run"):
        main(config_of_all(runs))
    with pytest.raises(UserError, match="several trainings of one recipe, not a alone"):
        main(config_of_all(runs[:1]))
    change(runs[1], identity=None, forked=None)
    with pytest.raises(UserError, match=r"run\.json does not say what the run is"):
        main(config_of_all(runs))
    assert not list(runs[0].glob("sweeps/*"))


def test_trainings_whose_pictures_differ_are_refused_before_anything_is_scored(runs):
    config = yaml.safe_load((runs[1] / "config.yaml").read_text())
    config["dataset"]["path"] += "-moved"
    (runs[1] / "config.yaml").write_text(yaml.safe_dump(config))
    with pytest.raises(UserError, match=r"a and b are measured against different pictures \(b: the training pictures"):
        main(config_of_all(runs))
    assert not list(runs[0].rglob("kimg-*.npz"))
