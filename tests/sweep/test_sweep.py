"""A whole sweep on a tiny run: cells, ranking, recommendation, and what is written."""

import json
import shlex
import shutil

import numpy as np
import pytest
import torch

from src.clicks import Click, Side, append_click
from src.metrics.cariscore.gates import ghosting, thumbnails
from src.runs import Recipe
from src.sweep import command_with_clicks, recommend_again
from src.sweep.features import load_pseudo
from src.sweep.pictures import common_codes, render
from src.sweep.plan import open_sweep
from src.sweep.run import open_configured_sweeps, prepare
from src.tracking import read_rows
from src.weights import load_network, read_meta, save_network

from .conftest import ENOUGH, config_of, drifted, settings_of, sweep


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
        named = "correspondence turn place faces spread memorisation evenness symmetry ghosting"
        assert set(row["gates"]) == set(named.split()) and all(g["value"] is not None for g in row["gates"].values())
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


def test_all_resolutions_of_the_network_are_blended_unless_some_are_named(trained_run):
    assert list(open_configured_sweeps(config_of(trained_run, "all"))[0].recipes) == [4, 8, 16]
    wide = config_of(trained_run, "all", blend={"width": 1.0})
    assert list(open_configured_sweeps(wide)[0].recipes) == [4, 8, 16, 32]


def _is_ghosting_of(run_dir, base, row) -> bool:
    """Whether a row's gate is that of the pictures of the base, of the blend, and of its snapshot un-blended."""
    codes = common_codes(base, row["codes"], 0.7, 0)
    snapshot = load_network(run_dir / "snapshots" / f"{row['snapshot']}.safetensors").G_ema
    networks = base, Recipe(row["resolution"]).blend(snapshot, base), snapshot
    pictures = (thumbnails(torch.cat(list(render(G, codes)))) for G in networks)
    expected = ghosting(*pictures).value
    assert 0 < expected < 1
    return row["gates"]["ghosting"]["value"] == pytest.approx(expected, abs=1e-5)


def test_blends_are_held_against_their_own_snapshots_at_every_look_and_when_added_later(run_dir, base):
    facts = {"snapshot": 2, "name": "looks"}
    for resolutions, codes, race in (((8,), 128, True), ((8, 16), 128, True), ((8, 16), 64, False)):
        sweep(run_dir, resolutions, **facts, n_latents=codes, race=race)
        rows = [row for row in read_rows(run_dir / "sweeps" / "looks" / "cells.jsonl") if row["kimg"] > 0]
        assert all(_is_ghosting_of(run_dir, base, row) for row in rows)


def test_a_soft_switch_averages_on_purpose_and_is_no_ghost(run_dir):
    ranking = sweep(run_dir, (8,), snapshot=2, blend={"width": 1.0})
    assert "averaged in on purpose" in ranking["not_measured"]["ghosting"]


def test_the_other_direction_has_its_own_folder_and_base_codes(run_dir):
    ranking = sweep(run_dir, (8,), blend={"direction": "cartoon_high"}, snapshot=2)
    assert ranking["direction"] == "cartoon_high"
    assert (run_dir / "sweeps" / "cartoon-high" / "cells.jsonl").is_file()


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
    sweep(run_dir, (8,), snapshot=[0, 1], **ENOUGH)
    earlier = read_rows(run_dir / "sweeps" / "cartoon-low" / "cells.jsonl")
    wreck = drifted(load_network(run_dir / "snapshots" / "kimg-000002.00.safetensors").G_ema, 0.9)
    save_network(run_dir / "snapshots" / "kimg-000003.00.safetensors", G_ema=wreck, meta={"kimg": 3.0})
    shutil.rmtree(run_dir / "sweeps")
    sweep(run_dir, (8,), **ENOUGH)
    later = read_rows(run_dir / "sweeps" / "cartoon-low" / "cells.jsonl")
    assert len(earlier) == 2 and len(later) == 4
    for row in earlier + later[:3]:
        assert [row[name] for name in ("s", "r", "cari", "gates")] == [
            before[row["label"]][name] for name in ("s", "r", "cari", "gates")
        ]


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


def test_the_scale_is_the_same_whichever_codes_a_sweep_has(run_dir):
    """Otherwise the scale of each set of codes is another, and no error that is stated knows of it."""

    def references(seed):
        sweep = open_sweep(run_dir, settings_of((8,), n_latents=16, gates=False, name=f"seed{seed}", seed=seed))
        prepare(sweep)
        return sweep.references.measured

    first, second = references(0), references(1)
    assert torch.equal(first.frame.points, second.frame.points)
    for name in ("others", "cartoons"):
        for a, b in zip(getattr(first, name), getattr(second, name), strict=True):
            assert np.array_equal(a, b)
    assert not np.array_equal(first.base.axes[1], second.base.axes[1])
