"""Several trainings of one recipe ranked together."""

import json

import pytest
import yaml

from src.errors import UserError
from src.sweep.run import main

from .conftest import write_run
from .test_sweep import config_of


@pytest.fixture
def runs(trained_run, base, tmp_path):
    """Trainings that went different ways."""
    dataset = yaml.safe_load((trained_run / "config.yaml").read_text())["dataset"]
    amounts = {"a": {0: 0.0, 1: 0.3, 2: 0.5}, "b": {0: 0.0, 1: 0.2, 2: 0.5}, "c": {0: 0.0, 1: 0.25, 2: 0.4}}
    return [write_run(tmp_path / name, base, own, dataset) for name, own in amounts.items()]


def jointly(*runs, **options):
    config = config_of("", (8, 16), n_latents=64, **options)
    main({**config, "run": ",".join(map(str, runs)), "joint": True})


def test_trainings_of_one_recipe_are_ranked_by_their_means(runs, capsys):
    jointly(*runs)
    found = [json.loads((run / "sweeps" / "cartoon-low" / "joint.json").read_text()) for run in runs]
    assert found[0] == found[1] == found[2] and found[0]["runs"] == ["a", "b", "c"]
    cells = {(cell["kimg"], cell["resolution"]): cell for cell in found[0]["cells"]}
    assert set(cells) == {(kimg, r) for kimg in (1, 2) for r in (8, 16)}
    for index, run in enumerate(runs):
        rows = [json.loads(line) for line in (run / "sweeps" / "cartoon-low" / "cells.jsonl").read_text().splitlines()]
        own = {(row["kimg"], row["resolution"]): row["cari"] for row in rows}
        assert all(own[key] == cell["of_runs"][index] for key, cell in cells.items())
    for cell in cells.values():
        assert cell["cari"] == pytest.approx(sum(cell["of_runs"]) / 3)
    winner = max(cells.values(), key=lambda cell: cell["cari"])
    assert found[0]["winner"] == {"kimg": winner["kimg"], "resolution": winner["resolution"]}
    assert 0 <= found[0]["below_best"] < 0.5 and found[0]["sentence"] in capsys.readouterr().out


def test_trainings_of_other_recipes_are_refused_before_anything_is_rendered(runs):
    config = yaml.safe_load((runs[1] / "config.yaml").read_text())
    (runs[1] / "config.yaml").write_text(yaml.safe_dump({**config, "batch": 4, "seed": 3}))
    with pytest.raises(UserError, match="b is no training of a's recipe, its batch is 4, not None"):
        jointly(*runs)
    with pytest.raises(UserError, match="several trainings of one recipe, not a alone"):
        jointly(runs[0])
    assert not list(runs[0].glob("sweeps/*"))
