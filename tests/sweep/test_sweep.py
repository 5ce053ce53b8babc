"""A whole sweep on a tiny run: cells, resuming, what is written, what is refused."""

import json
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from omegaconf import OmegaConf

from src.cli import CONF
from src.clicks import Click, Side, append_click
from src.errors import UserError
from src.ops import backend
from src.runs import Recipe
from src.runs.find import find_base, find_run
from src.sweep import command_with_clicks, plan, recommend_again
from src.sweep.features import load_pseudo
from src.sweep.run import main, open_configured_sweeps, prepare, run_sweep, score_snapshot
from src.sweep.table import CellTable
from src.tracking import read_rows
from src.weights import load_network, read_meta, save_network

from .conftest import RESOLUTION, PlainLandmarks, drifted, make_network, settings_of

TRACKER = {"mode": "disabled", "project": None}
FAST = {"n_latents": 16, "gates": False}
ENOUGH = {"n_latents": 64}  # codes for a recommendation


def sweep(run_dir, resolutions=(8, 16), **options):
    folder, ranking = run_sweep(run_dir, resolutions, **{**FAST, **options})
    assert folder.parent == run_dir / "sweeps"
    return ranking


def config_of(run_dir, resolutions, *, blend=None, **options):
    file = OmegaConf.to_container(OmegaConf.load(CONF / "sweep.yaml"), resolve=False)
    blend = {**file["blend"], "res": resolutions if resolutions == "all" else list(resolutions), **(blend or {})}
    file = {key: value for key, value in file.items() if key not in ("defaults", "hydra")}
    return {**file, **FAST, **options, "blend": blend, "run": str(run_dir), "tracker": TRACKER}


@pytest.fixture(scope="module")
def swept(trained_run, tmp_path_factory):
    run_dir = shutil.copytree(trained_run, tmp_path_factory.mktemp("swept") / "first")
    return run_dir, sweep(run_dir, **ENOUGH)


def test_cells_ranking_and_best_network_are_written(swept, base):
    run_dir, ranking = swept
    folder = run_dir / "sweeps" / "cartoon-low"
    rows = read_rows(folder / "cells.jsonl")
    names = [f"kimg-{k:09.2f}/{r}" for k in (0, 1, 2) for r in (8, 16)]
    assert [row["label"] for row in rows] == names
    assert json.loads((folder / "ranking.json").read_text()) == ranking
    for row in rows:
        assert row["cari"] == pytest.approx((max(row["s"], 0) * max(row["r"], 0)) ** 0.5)
        assert (folder / row["picture"]).is_file() and row["found"] == 1
        assert set(row["gates"]) == {"correspondence", "turn", "faces", "spread", "memorisation", "evenness"}
        stored = load_pseudo(folder / "features" / f"{row['key']}.npz")
        assert stored.shape == (64, 2)
        np.testing.assert_allclose(stored.mean(axis=0), [row["s"], row["r"]])
    untouched = [row for row in rows if row["kimg"] == 0]
    assert all(abs(row["s"]) < 1e-6 and row["r"] == pytest.approx(1) and row["kinship"] > 0.999 for row in untouched)
    assert all(row["s"] > 0.1 and row["r"] < 0.6 for row in rows if row["kimg"] > 0)
    assert sum(row["share"] for row in rows) == pytest.approx(1)
    best = ranking["recommended"]
    assert best["label"] in ranking["candidates"] and ranking["winner"]["cari"] >= best["cari"]
    alone = ranking["candidates"] == [best["label"]]
    said = "better than every other blend" if alone else f"at most {ranking['below_best']:.3f} below"
    assert 0 <= ranking["below_best"] < 0.1 and said in ranking["sentence"]
    assert (folder / "report.html").is_file() and ranking["not_measured"] == {}
    assert [entry["snapshot"] for entry in ranking["unblended"]] == [f"kimg-{k:09.2f}" for k in (1, 2)]
    landmarks = ranking["landmarks"]
    assert landmarks["name"] == "network" and landmarks["found"] == {"base": 1, "cartoons": 1, "blends": 1}
    assert landmarks["leak"] > landmarks["shape"], "landmarks moved by the rendering alone"
    assert "cannot tell shape from rendering here" in landmarks["warning"]
    assert any("annot tell shape from rendering" in remark for remark in ranking["remarks"])
    assert ranking["cartoons"] == {"name": "training pictures", "count": 24, "reason": None}


def test_all_resolutions_of_the_network_are_blended_unless_some_are_named(trained_run):
    assert list(open_configured_sweeps(config_of(trained_run, "all"))[0].recipes) == [4, 8, 16]
    wide = config_of(trained_run, "all", blend={"width": 1.0})
    assert list(open_configured_sweeps(wide)[0].recipes) == [4, 8, 16, 32]


def test_fewer_than_64_codes_recommend_nothing(swept, tmp_path):
    run_dir = shutil.copytree(swept[0], tmp_path / "first")
    ranking = sweep(run_dir, (8,), snapshot=[1])
    assert ranking["recommended"] is None and "16 codes do not tell how sure" in ranking["sentence"]
    assert not (run_dir / "sweeps" / "cartoon-low" / "best.safetensors").exists()


def test_clicks_say_the_weight_of_shape(swept, tmp_path):
    """Of somebody who always takes the blend with more of the rendering, whatever its shape."""
    run_dir = shutil.copytree(swept[0], tmp_path / "first")
    folder = run_dir / "sweeps" / "cartoon-low"
    low, high = (Side(name, name, {"s": s, "r": r}) for name, s, r in (("low", 0.8, 0.3), ("high", 0.4, 0.5)))
    path = tmp_path / "clicks.jsonl"
    for _ in range(40):
        append_click(path, Click(low, high, "right", "anna"))
    ranking = sweep(run_dir, clicks=path, **ENOUGH)
    assert 0 < ranking["alpha"] < 0.3 and ranking["alpha"] == ranking["clicks"]["alpha"]
    assert ranking["remarks"][0].startswith(f"40 clicks by anna speak for alpha {ranking['alpha']:.2f}")
    assert recommend_again(folder, ranking["alpha"])["recommended"] == ranking["recommended"]
    command = command_with_clicks(folder, tmp_path / "my clicks.jsonl")
    options = [
        f"run={run_dir}",
        "blend.res=[8,16]",
        "n_latents=64",
        f"clicks={tmp_path}/my clicks.jsonl",
        "gates=false",
    ]
    assert shlex.split(command) == ["python", "sweep.py", *options]
    again = recommend_again(folder, 0.5)
    assert again["sentence"] == swept[1]["sentence"] and again["notes"] == swept[1]["notes"]
    for row in read_rows(folder / "cells.jsonl"):
        alpha = ranking["alpha"]
        assert row["cari"] == pytest.approx(max(row["s"], 0) ** alpha * max(row["r"], 0) ** (1 - alpha))


def test_ending_the_run_earlier_or_a_wreck_changes_no_cell_at_all(swept, tmp_path):
    run_dir = shutil.copytree(swept[0], tmp_path / "first")
    before = {row["label"]: row for row in read_rows(run_dir / "sweeps" / "cartoon-low" / "cells.jsonl")}
    sweep(run_dir, snapshot=[0, 1], **ENOUGH)
    earlier = read_rows(run_dir / "sweeps" / "cartoon-low" / "cells.jsonl")
    wreck = drifted(load_network(run_dir / "snapshots" / "kimg-000002.00.safetensors").G_ema, 0.9)
    save_network(run_dir / "snapshots" / "kimg-000003.00.safetensors", G_ema=wreck, meta={"kimg": 3.0})
    shutil.rmtree(run_dir / "sweeps")
    sweep(run_dir, **ENOUGH)
    later = read_rows(run_dir / "sweeps" / "cartoon-low" / "cells.jsonl")
    assert len(earlier) == 4 and len(later) == 8
    for row in earlier + later[:6]:
        assert [row[name] for name in ("s", "r", "cari", "gates")] == [
            before[row["label"]][name] for name in ("s", "r", "cari", "gates")
        ]


def test_cells_of_another_version_of_the_score_are_made_again(swept, tmp_path, monkeypatch, capsys):
    run_dir = shutil.copytree(swept[0], tmp_path / "first")
    monkeypatch.setattr(plan, "SCORE_VERSION", plan.SCORE_VERSION + 1)
    sweep(run_dir, **ENOUGH)
    printed = capsys.readouterr().out
    assert "scored 6 new cells, 0 reused" in printed
    assert "6 cells of another protocol (codes, score or base) are kept" in printed


def test_pictures_that_no_detector_knows_are_refused_before_cells_are_rendered(run_dir, monkeypatch):
    monkeypatch.setattr(PlainLandmarks, "find", lambda self, image, name: [])
    with pytest.raises(UserError, match="landmarks=network: faces found in 0% of the base's pictures"):
        sweep(run_dir, landmarks="network")
    assert not list((run_dir / "sweeps" / "cartoon-low").rglob("*.npz"))


def test_damaged_features_are_made_again(trained_run, tmp_path):
    run_dir = shutil.copytree(trained_run, tmp_path / "damaged")
    before = sweep(run_dir)  # recommends nothing
    features = run_dir / "sweeps" / "cartoon-low" / "features"
    for pattern in ("kimg-000001.00-res008-*.npz", "kimg-000002.00-????????????.npz", "base-*.npz"):
        (path,) = features.glob(pattern)
        path.write_bytes(path.read_bytes()[:500])
    assert sweep(run_dir) == before


@pytest.mark.parametrize("name", ["..", ".", "", "a/b", "/tmp/x", 3])
def test_a_sweep_stays_in_its_folder(name):
    with pytest.raises(UserError, match="a name for the sweep's folder"):
        settings_of((8,), name=name)


@pytest.mark.parametrize(
    "options",
    [{"snapshot": None}, {"base": 1}, {"device": "mps"}, {"blend": {"level": True}}, {"tracker": {"mode": "x"}}],
)
def test_values_of_a_wrong_type_are_refused(options):
    with pytest.raises(UserError, match=f"{next(iter(options))}"):
        settings_of((8,), **options)


def test_best_network_is_the_recommended_blend_and_names_both_parents(swept, base):
    run_dir, ranking = swept
    best, path = ranking["recommended"], run_dir / "sweeps" / "cartoon-low" / "best.safetensors"
    snapshot = load_network(run_dir / "snapshots" / f"{best['snapshot']}.safetensors").G_ema
    expected = Recipe(best["resolution"]).blend(snapshot, base).state_dict()
    for key, value in load_network(path).G_ema.state_dict().items():
        assert torch.equal(value, expected[key]), key
    blend = read_meta(path)["blend"]
    assert blend["low"]["file"] == f"{best['snapshot']}.safetensors" and len(blend["low"]["sha256"]) == 64
    assert blend["high"]["file"] == "kimg-000000.00.safetensors" and blend["direction"] == "cartoon_low"


def test_running_again_scores_nothing_and_changes_nothing(swept, capsys):
    run_dir, ranking = swept
    folder = run_dir / "sweeps" / "cartoon-low"
    before = {p.name: p.read_bytes() for p in folder.glob("*") if p.is_file()}
    features = {p: p.stat().st_mtime_ns for p in folder.glob("features/*.npz")}
    assert sweep(run_dir, **ENOUGH) == ranking
    assert "scored 0 new cells, 6 reused" in capsys.readouterr().out
    assert {p.name: p.read_bytes() for p in folder.glob("*") if p.is_file()} == before
    assert {p: p.stat().st_mtime_ns for p in folder.glob("features/*.npz")} == features


def test_a_grown_grid_makes_only_what_is_new_and_the_old_one_is_not_forgotten(swept, tmp_path, capsys):
    run_dir = shutil.copytree(swept[0], tmp_path / "first")
    folder = run_dir / "sweeps" / "cartoon-low"
    sweep(run_dir, (4, 16), snapshot=[1, 2], **ENOUGH)
    assert "scored 2 new cells, 2 reused" in capsys.readouterr().out
    assert {row["label"].split("/")[1] for row in read_rows(folder / "cells.jsonl")} == {"4", "16"}
    again = sweep(run_dir, **ENOUGH)
    assert "scored 0 new cells, 6 reused" in capsys.readouterr().out
    assert again == swept[1]
    sweep(run_dir, seed=1)
    assert "scored 6 new cells, 0 reused" in capsys.readouterr().out


def test_a_retrained_snapshot_or_a_lost_file_is_made_again(swept, tmp_path, capsys):
    run_dir = shutil.copytree(swept[0], tmp_path / "first")
    next((run_dir / "sweeps" / "cartoon-low" / "features").glob("kimg-000001.00-res008-*")).unlink()
    (run_dir / "sweeps" / "cartoon-low" / "cells" / "kimg-000001.00-res016.jpg").unlink()
    path = run_dir / "snapshots" / "kimg-000002.00.safetensors"
    networks = load_network(path)
    save_network(path, G_ema=networks.G_ema, meta={"kimg": 2.0, "note": "another file"})
    sweep(run_dir, **ENOUGH)
    assert "scored 3 new cells, 3 reused" in capsys.readouterr().out
    assert (run_dir / "sweeps" / "cartoon-low" / "cells" / "kimg-000001.00-res016.jpg").is_file()
    next((run_dir / "sweeps" / "cartoon-low" / "features").glob("kimg-000001.00-res016-*.jpg")).unlink()
    sweep(run_dir, **ENOUGH)
    assert "scored 1 new cells, 5 reused" in capsys.readouterr().out


def test_finished_cells_survive_a_failing_snapshot(run_dir, capsys):
    broken = run_dir / "snapshots" / "kimg-000002.00.safetensors"
    save_network(broken, G_ema=make_network(99), meta={"kimg": 2.0})
    with pytest.raises(UserError, match=r"was not fine-tuned from.*nothing in common"):
        sweep(run_dir)
    folder = run_dir / "sweeps" / "cartoon-low"
    assert len(read_rows(folder / "features" / "cells.jsonl")) == 4 and not (folder / "ranking.json").exists()
    sweep(run_dir, snapshot=[0, 1])
    assert "scored 0 new cells, 4 reused" in capsys.readouterr().out


def test_a_snapshot_scored_alone_equals_the_sweep_in_one_process(swept, run_dir):
    config = config_of(run_dir, (8, 16), **ENOUGH)
    prepare(open_configured_sweeps(config)[0])
    for chosen, new in ((["kimg-000000.00"], 2), (["kimg-000001.00"], 2), ([1], 0)):
        one = open_configured_sweeps({**config, "snapshot": chosen})[0]
        assert [score_snapshot(one, snapshot, list(one.recipes)) for snapshot in one.snapshots] == [new]
    mine = [row["key"] for row in open_configured_sweeps(config)[0].rows()]
    theirs = CellTable(swept[0] / "sweeps" / "cartoon-low")
    assert {key.rsplit("-", 1)[0] for key in mine} == {f"kimg-00000{k}.00-res{r:03d}" for k in (0, 1) for r in (8, 16)}
    for key in mine:
        own = run_dir / "sweeps" / "cartoon-low" / "features" / f"{key}.npz"
        with np.load(own) as a, np.load(theirs.features_path(key)) as b:
            assert np.array_equal(a["pseudo"], b["pseudo"])


def test_a_torn_row_does_not_take_the_next_one_with_it(tmp_path):
    table = CellTable(tmp_path)
    table.kept_path.parent.mkdir()
    table.kept_path.write_text('{"key": "torn", "resol')
    table.append({"key": "whole"})
    assert [row["key"] for row in read_rows(table.kept_path)] == ["whole"]


def test_the_other_direction_has_its_own_folder_and_base_codes(run_dir):
    ranking = sweep(run_dir, (8,), blend={"direction": "cartoon_high"}, snapshot=2)
    assert ranking["direction"] == "cartoon_high"
    assert (run_dir / "sweeps" / "cartoon-high" / "cells.jsonl").is_file()


def test_without_the_training_pictures_a_named_snapshot_stands_for_them(trained_run, run_dir, capsys):
    facts = json.loads((run_dir / "run.json").read_text())
    facts["dataset"]["fingerprint"] = "of another set"
    (run_dir / "run.json").write_text(json.dumps(facts))
    ranking = sweep(run_dir, (8,), snapshot=2)
    assert "are not known" in ranking["not_measured"]["memorisation"]
    printed = capsys.readouterr().out
    assert "Pictures of kimg-000002.00 stand for the training pictures (the data set has changed" in printed
    assert "Gate memorisation is not measured: the training pictures are not known" in printed
    rows = read_rows(run_dir / "sweeps" / "cartoon-low" / "cells.jsonl")
    assert all(row["gates"]["memorisation"]["passed"] is None for row in rows)
    sweep(run_dir, (8,), snapshot=2)
    assert "scored 0 new cells, 1 reused" in capsys.readouterr().out
    shutil.copy(trained_run / "run.json", run_dir / "run.json")
    assert sweep(run_dir, (8,), snapshot=2)["not_measured"] == {}
    assert "scored 1 new cells, 0 reused" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"resolutions": (128,)}, "blend.res=128: a 32 px network can be blended at 4, 8, 16$"),
        ({"resolutions": (12,)}, r"blend.res=\[12\]: give all, a power of two from 4 up"),
        ({"resolutions": (RESOLUTION,)}, "blend.res=32: .*un-blended low network.*choose 16 or less"),
        ({"resolutions": ()}, r"blend.res=\[\]: give all, a power of two"),
        ({"blend": {"direction": "up"}}, "blend.direction=up: give cartoon_low or cartoon_high"),
        ({"blend": {"level": 2}}, "blend.level=2: give a whole number from 0 to 1 .first or second"),
        ({"blend": {"width": 0}}, "blend.width=0: give a number above 0 or null"),
        (
            {"resolutions": (64,), "blend": {"width": 1.0}},
            "blend.res=64: a 32 px network can be blended at 4, 8, 16, 32$",
        ),
        ({"n_latents": 4}, "n_latents=4: give a whole number from 16 up or null"),
        ({"n_latents": 1e9}, "n_latents=1000000000.0: give a whole number"),
        ({"landmarks": "eyes"}, "landmarks=eyes: give auto, network, face-alignment or dlib"),
        ({"psi": 0}, "psi=0: give a number above 0 up to 1 .1 is no truncation."),
        ({"alpha": 1}, "alpha=1: give a number above 0 and below 1"),
        ({"snapshot": [7]}, "snapshot=7: the run has snapshots at 0, 1, 2 kimg"),
        ({"snapshot": 0}, "a sweep needs a snapshot later than 0 kimg"),
        ({"base": "nowhere.safetensors"}, "nowhere.safetensors"),
        ({"device": "abacus"}, "device=abacus"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_cannot_be_is_one_clear_line_and_nothing_is_written(trained_run, options, message):
    arguments = {"resolutions": (8,), **options}
    with pytest.raises(UserError, match=message) as caught:
        sweep(trained_run, **arguments)
    assert "\n" not in str(caught.value) and not (trained_run / "sweeps").exists()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"paths": "x"}, "paths=x: is a group of options"),
        ({"paths": {"runs": None}}, "paths.runs=null: give a text"),
        ({"run": None}, "run=null: give latest, a name or a folder"),
    ],
)
def test_paths_and_runs_of_a_wrong_type_are_refused(run_dir, given, message):
    with pytest.raises(UserError, match=message):
        open_configured_sweeps({**config_of(run_dir, (8,)), **given})[0]


def test_a_damaged_snapshot_can_be_left_out(run_dir, capsys):
    path = run_dir / "snapshots" / "kimg-000001.00.safetensors"
    path.write_bytes(path.read_bytes()[:-1000])
    for chosen in ("all", [1, 2], "kimg-000001.00"):
        with pytest.raises(UserError, match=r"^kimg-000001\.00\.safetensors cannot be used: .*delete it, .*snapshot="):
            sweep(run_dir, snapshot=chosen)
    assert not (run_dir / "sweeps").exists()
    sweep(run_dir, snapshot=[0, 2])
    assert "scored 4 new cells, 0 reused" in capsys.readouterr().out
    path.unlink()
    sweep(run_dir)
    assert "scored 0 new cells, 4 reused" in capsys.readouterr().out
    save_network(path, G_ema=make_network(0), meta={})
    with pytest.raises(UserError, match=r"kimg-000001\.00\.safetensors: its header does not say its kimg"):
        sweep(run_dir)


def test_a_damaged_base_can_be_named_anew(run_dir):
    path = run_dir / "snapshots" / "kimg-000000.00.safetensors"
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(UserError, match=r"not a readable safetensors file.*; or name the original network with base="):
        sweep(run_dir, snapshot=[1, 2])


def test_missing_runs_snapshots_and_bases_are_named(run_dir, tmp_path):
    with pytest.raises(UserError, match=r"neither a run in .* nor the folder of one"):
        sweep(tmp_path / "nowhere")
    config = {**config_of(run_dir, (8,)), "paths": {"runs": str(tmp_path / "none")}, "run": "latest"}
    with pytest.raises(UserError, match="no run with snapshots in"):
        main(config)
    at_start = run_dir / "snapshots" / "kimg-000000.00.safetensors"
    kept = at_start.rename(run_dir / "base.safetensors")
    assert find_base(run_dir, "auto").path == kept
    kept.unlink()
    with pytest.raises(UserError, match=r"base\.safetensors is missing: name .* with base=FILE"):
        sweep(run_dir)
    run_config = yaml.safe_load((run_dir / "config.yaml").read_text())
    run_config["pretrained"]["source"] = None
    (run_dir / "config.yaml").write_text(yaml.safe_dump(run_config))
    with pytest.raises(UserError, match="trained from scratch"):
        sweep(run_dir)
    other = save_network(tmp_path / "other.safetensors", G_ema=make_network(1, resolution=16))
    with pytest.raises(UserError, match=r"was not fine-tuned from .*other.safetensors: its resolution is 32"):
        sweep(run_dir, base=str(other))
    for path in (run_dir / "snapshots").glob("*"):
        path.unlink()
    with pytest.raises(UserError, match="holds no snapshots"):
        sweep(run_dir)


def test_latest_is_the_run_written_to_last(run_dir):
    import os

    other = shutil.copytree(run_dir, run_dir.with_name("second"))
    os.utime(run_dir / "run.json", (1, 1))
    config = {**config_of(run_dir, (8,)), "run": "latest", "paths": {"runs": str(run_dir.parent)}}
    assert open_configured_sweeps(config)[0].run_dir == other


def test_latest_counts_the_snapshots_where_a_run_has_nothing_else(run_dir):
    import os

    bare = run_dir.with_name("bare")
    shutil.copytree(run_dir / "snapshots", bare / "snapshots")
    assert find_run("latest", run_dir.parent) in (run_dir, bare)
    for path in [*run_dir.rglob("*"), run_dir]:
        os.utime(path, (1, 1))
    assert find_run("latest", run_dir.parent) == bare
    os.utime(run_dir / "snapshots" / "kimg-000002.00.safetensors")
    for path in (bare / "snapshots").iterdir():
        os.utime(path, (2, 2))
    assert find_run("latest", run_dir.parent) == run_dir
    for path in (bare / "snapshots").iterdir():  # what links to nowhere was never written
        path.unlink()
        path.symlink_to("nowhere")
    assert find_run("latest", run_dir.parent) == run_dir


def test_runs_and_bases_in_the_home_folder(run_dir, base, monkeypatch):
    monkeypatch.setenv("HOME", str(run_dir.parent.parent))
    save_network(run_dir.parent.parent / "base.safetensors", G_ema=base)
    assert find_run("~/runs/first", Path("none")) == run_dir
    assert find_run("first", Path("~/runs")) == find_run("latest", Path("~/runs")) == run_dir
    assert find_base(run_dir, "~/base.safetensors").path == run_dir.parent.parent / "base.safetensors"


def test_wrong_ops_are_said_before_any_cell_is_touched(run_dir, monkeypatch):
    sweep(run_dir)
    cells = (run_dir / "sweeps" / "cartoon-low" / "cells.jsonl").read_bytes()
    monkeypatch.setattr(backend, "_policy", None)
    monkeypatch.setenv("CARICATURE_OPS", "fast")
    with pytest.raises(UserError, match="CARICATURE_OPS=fast: choose one of auto, reference, required"):
        sweep(run_dir, seed=1)
    assert (run_dir / "sweeps" / "cartoon-low" / "cells.jsonl").read_bytes() == cells
