"""One recommended blend of a run, whoever asks; recipes say what they are and refuse what cannot be."""

import json
import os
import shutil

import pytest
import torch

from src.caricature.models import open_models
from src.caricature.settings import CaricatureSettings
from src.cli import compose_config
from src.errors import UserError
from src.generate import GenerateSettings
from src.generate.networks import choose_network
from src.networks import blend
from src.options import read
from src.runs import Recipe, blend_header, recommended_blend, recommending_sweep
from src.tracking import write_run_report
from src.weights import load_network, save_network

from ..caricature.conftest import write_swept_run
from ..sweep.conftest import drifted, make_network

DEVICE = torch.device("cpu")


@pytest.fixture(scope="module")
def swept_run(tmp_path_factory):
    return write_swept_run(tmp_path_factory.mktemp("runs") / "mine")


@pytest.fixture
def run_dir(swept_run, tmp_path):
    """A run with a finished sweep `a` and a sweep `b` that was interrupted after it had written its blend, at 8 px."""
    run_dir = shutil.copytree(swept_run, tmp_path / "runs" / "mine")
    a = (run_dir / "sweeps" / "cartoon-low").rename(run_dir / "sweeps" / "a")
    for name in ("best.safetensors", "ranking.json"):
        os.utime(a / name, (1e9, 1e9))
    base, tuned = (load_network(run_dir / f"snapshots/kimg-00000{k}.00.safetensors").G_ema for k in (0, 1))
    header = blend_header(Recipe(8), {"file": "kimg-000001.00.safetensors", "kimg": 1}, {})
    save_network(run_dir / "sweeps/b/best.safetensors", G_ema=blend(tuned, base, 8), meta={"blend": header})
    return run_dir


def answers(run_dir):
    """Sweeps whose blend `generate.py`, `caricature.py` and the run's page take."""
    config = compose_config("generate", [f"run={run_dir}"])
    generated = choose_network(read(GenerateSettings, config), DEVICE)
    models = open_models(CaricatureSettings(codes="codes", run=run_dir))
    assert all(torch.equal(a, b) for a, b in zip(generated.G.parameters(), models.chosen.parameters(), strict=True))
    page = write_run_report(run_dir).read_text()
    shown = [name for name in ("a", "b") if f"the sweep {name} speaks" in page]
    return [generated.folder.name.removesuffix("-best"), models.description.split()[6].rstrip(":"), *shown]


def finish(run_dir, name, *, at, recommends=True):
    path = run_dir / "sweeps" / name / "ranking.json"
    recommended = {"label": "x"} if recommends else None
    path.write_text(json.dumps({"recommended": recommended, "sentence": f"the sweep {name} speaks"}))
    os.utime(path, (at, at))


def test_an_interrupted_sweep_does_not_count_for_anybody(run_dir):
    finish(run_dir, "a", at=1e9)
    assert answers(run_dir) == ["a", "a", "a"]


def test_the_sweep_that_finished_last_is_everybodys(run_dir):
    finish(run_dir, "a", at=1e9)
    finish(run_dir, "b", at=2e9)
    assert answers(run_dir) == ["b", "b", "b"]
    finish(run_dir, "a", at=3e9)  # its best.safetensors is still the older file
    assert answers(run_dir) == ["a", "a", "a"]


def test_a_sweep_that_recommends_nothing_leaves_the_earlier_recommendation(run_dir):
    finish(run_dir, "a", at=1e9)
    finish(run_dir, "b", at=2e9, recommends=False)
    assert answers(run_dir) == ["a", "a", "a"]
    (run_dir / "sweeps/a/best.safetensors").unlink()
    assert recommended_blend(run_dir) is None
    with pytest.raises(UserError, match="sweep=b: it recommends no blend"):
        recommended_blend(run_dir, "b")
    with pytest.raises(UserError, match="sweep=c: mine has a, b"):
        open_models(CaricatureSettings(codes="x", run=run_dir, sweep="c"))


def test_the_page_survives_a_damaged_ranking_and_the_scripts_name_it(run_dir):
    finish(run_dir, "a", at=1e9)
    (run_dir / "sweeps/b/ranking.json").write_text("{ broken")
    assert "caricature run" in write_run_report(run_dir).read_text()
    with pytest.raises(UserError, match=r"b/ranking\.json is damaged"):
        recommending_sweep(run_dir)


def test_a_blend_whose_header_says_nothing_is_refused(run_dir):
    path = run_dir / "sweeps/a/best.safetensors"
    G = load_network(path).G_ema
    for made in (None, {"resolution": 8}, blend_header(Recipe(8), {"file": "x"}, {}), {"resolution": 9}):
        save_network(path, G_ema=G, meta={} if made is None else {"blend": made})
        with pytest.raises(UserError, match=r"best\.safetensors: its header does not say .* run the sweep again"):
            recommended_blend(run_dir)


@pytest.mark.parametrize("direction", ["cartoon_low", "cartoon_high"])
def test_what_a_header_says_is_read_as_it_was_meant(run_dir, direction):
    path, recipe = run_dir / "sweeps/a/best.safetensors", Recipe(8, direction, 1, 0.5)
    ours = {"file": "kimg-000001.00.safetensors", "kimg": 1}
    header = blend_header(recipe, ours, {"file": "base.safetensors"})
    assert header["low" if direction == "cartoon_low" else "high"] == ours
    save_network(path, G_ema=load_network(path).G_ema, meta={"blend": header})
    found = recommended_blend(run_dir)
    assert found is not None and found.recipe == recipe and found.kimg == 1 and found.sweep == "a"
    assert found.snapshot == run_dir / "snapshots" / "kimg-000001.00.safetensors"


def test_a_recipe_blends_as_it_says():
    base = make_network(0)
    tuned = drifted(base, 0.3)
    cases = {
        Recipe(8): blend(tuned, base, 8),
        Recipe(8, "cartoon_high"): blend(base, tuned, 8),
        Recipe(16).at(8): blend(tuned, base, 8),
        Recipe(8, level=1, width=0.5): blend(tuned, base, 8, level=1, width=0.5),
    }
    for recipe, expected in cases.items():
        made = recipe.blend(tuned, base)
        assert all(torch.equal(a, b) for a, b in zip(made.parameters(), expected.parameters(), strict=True)), recipe
    assert (
        Recipe(8).manner == "cartoon-low" and Recipe(8, "cartoon_high", 1, 0.5).manner == "cartoon-high-level1-width0.5"
    )


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ((12,), "resolution=12"),
        ((8.0,), "resolution=8.0"),
        ((8, "up"), "direction=up: give cartoon_low or cartoon_high"),
        ((8, "cartoon_low", 2), "level=2"),
        ((8, "cartoon_low", True), "level=true"),
        ((8, "cartoon_low", 0, 0), "width=0"),
        ((8, "cartoon_low", 0, float("nan")), "width=nan"),
    ],
)
def test_a_recipe_that_cannot_be_is_refused(values, words):
    with pytest.raises(UserError, match=words):
        Recipe(*values)


def test_a_recipe_says_where_networks_can_be_blended():
    G = make_network(0)
    assert Recipe(8).resolutions(G) == [4, 8, 16] and Recipe(8, width=1.0).resolutions(G) == [4, 8, 16, 32]
    Recipe(16).check_against(G)
    with pytest.raises(UserError, match=r"blend\.res=32: on a 32 px network this is the un-blended low .*choose 16 or"):
        Recipe(32).check_against(G, "blend.res")
    with pytest.raises(UserError, match=r"resolution=64: a 32 px network can be blended at 4, 8, 16$"):
        Recipe(64).check_against(G)
