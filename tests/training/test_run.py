"""Whole runs: what is written, exact continuation, what a run may start from, refusals."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from src import device
from src.errors import UserError
from src.metrics import Evaluation, Evaluator
from src.tracking import read_rows
from src.training.snapshots import Snapshotter
from src.training.step import TrainingStep
from src.weights import load_network, save_network
from tests.tiny import make_tiny
from tests.training.conftest import run, tensors

ROOT = Path(__file__).resolve().parents[2]


def test_two_and_two_is_four(options):
    """2 + 2 = 4: a run that stops and goes on equals one that does not, bit for bit."""
    augment = ["augment=ada", "augment.augment_p=0.3", "augment.ada_kimg=0.05"]
    whole = run(options, *augment, "snapshot.kimg=[0,0.04,0.08]", "run=whole")
    run(options, *augment, "snapshot.kimg=[0,0.04]", "run=parts")
    parts = run(options, *augment, "snapshot.kimg=[0,0.04,0.08]", "run=parts")
    for name in ("kimg-000000.04", "kimg-000000.08"):
        ours, theirs = tensors(whole, name), tensors(parts, name)
        assert all(torch.equal(ours[key], theirs[key]) for key in ours)
    a, b = (torch.load(f / "checkpoints/last.ckpt", weights_only=True) for f in (whole, parts))
    assert a["nimg"] == b["nimg"] == 80
    for key, value in a["state_dict"].items():
        if isinstance(value, torch.Tensor):
            assert torch.equal(value, b["state_dict"][key]), key
    rows = [
        [
            {k: v for k, v in row.items() if "/" in k and k.startswith(("loss", "ada"))}
            for row in read_rows(f / "log.jsonl")
        ]
        for f in (whole, parts)
    ]
    assert rows[0] == rows[1]
    assert len(rows[0]) == 4


def test_what_a_run_writes(options, tiny_network, capsys):
    folder = run(options, "snapshot.kimg=[0,0.02]", "run=files", "metrics=embedded", "metrics.num_fakes=16")
    for name in ("config.yaml", "run.json", "reals.jpg", "log.jsonl", "checkpoints/last.ckpt", "report.html"):
        assert (folder / name).is_file(), name
    assert sorted(p.name for p in (folder / "snapshots").iterdir()) == [
        "kimg-000000.00.safetensors",
        "kimg-000000.02.safetensors",
    ]
    rows = read_rows(folder / "metrics.jsonl")
    assert [row["kimg"] for row in rows] == [0, 0.02]
    assert [row["nimg"] for row in rows] == [0, 20]
    assert all(row["protocol"]["extractor"] == "embedded" and row["protocol"]["n_fake"] == 16 for row in rows)
    networks = load_network(folder / "snapshots/kimg-000000.00.safetensors")
    pretrained = load_network(tiny_network)
    assert all(
        torch.equal(a, b) for a, b in zip(networks.G_ema.parameters(), pretrained.G_ema.parameters(), strict=True)
    )
    assert networks.G is None
    assert networks.meta["kimg"] == 0
    facts = json.loads((folder / "run.json").read_text())
    assert facts["dataset"]["num_images"] == 24
    said = capsys.readouterr().out
    assert "\ncost       an evaluation: features of 16 pictures (" in said and "the first: also 48 pictures (" in said


def test_a_run_can_start_from_another(options, tmp_path):
    first = run(options, "snapshot.kimg=[0.02]", "run=first")
    networks = load_network(first)
    assert networks.D is not None and networks.G is not None and networks.meta["nimg"] == 20
    for key, value in networks.G_ema.state_dict().items():
        assert torch.equal(value, tensors(first, "kimg-000000.02")[f"G_ema.{key}"])
    second = run(options, f"pretrained.source={first}", "snapshot.kimg=[0,0.02]", "run=second")
    assert all(
        torch.equal(value, tensors(first, "kimg-000000.02")[key])
        for key, value in tensors(second, "kimg-000000.00").items()
    )
    assert not torch.equal(load_network(second).D.b4.out.weight, networks.D.b4.out.weight), (
        "the discriminator is trained on"
    )


def test_running_again_does_nothing_more(options, capsys):
    folder = run(options, "snapshot.kimg=[0,0.02]", "run=again")
    before = {p: p.stat().st_mtime_ns for p in (folder / "snapshots").iterdir()}
    run(options, "snapshot.kimg=[0,0.02]", "run=again")
    assert "already at 0.02 kimg" in capsys.readouterr().out
    assert before == {p: p.stat().st_mtime_ns for p in (folder / "snapshots").iterdir()}


def test_the_same_command_finds_its_run(options):
    assert run(options, "snapshot.kimg=[0]") == run(options, "snapshot.kimg=[0,0.02]")
    assert run(options, "snapshot.kimg=[0]", "seed=1") != run(options, "snapshot.kimg=[0]")


def test_another_configuration_is_refused(options):
    run(options, "snapshot.kimg=[0.02]", "run=mine")
    with pytest.raises(UserError, match="batch was 4, now 8"):
        run(options, "snapshot.kimg=[0.02]", "run=mine", "batch=8")
    with pytest.raises(UserError, match="resume=false"):
        run(options, "snapshot.kimg=[0.02]", "run=mine", "resume=false")


def test_a_run_that_failed_at_its_start_does_not_keep_its_name(options, tmp_path, monkeypatch):
    def too_large(*_):
        raise RuntimeError("out of memory")

    with monkeypatch.context() as patch:
        patch.setattr(TrainingStep, "run", too_large)
        with pytest.raises(RuntimeError, match="out of memory"):
            run(options, "snapshot.kimg=[0,0.02]", "run=mine", "batch=8", "metrics=embedded", "metrics.num_fakes=8")
    assert (tmp_path / "mine/snapshots/kimg-000000.00.safetensors").is_file()
    folder = run(options, "snapshot.kimg=[0.02]", "run=mine", "resume=false")
    assert [path.stem for path in (folder / "snapshots").iterdir()] == ["kimg-000000.02"]
    assert json.loads((folder / "run.json").read_text())["identity"]["batch"] == 4
    assert read_rows(folder / "metrics.jsonl") == []


KIDS = {0: 0.9, 20: 0.3, 40: 0.5, 60: 0.6, 80: 0.2, 100: 0.7}  # by nimg


def test_a_resumed_run_remembers_its_evaluations(options, monkeypatch):
    """Best and past best are those of the whole run, and only the best are kept."""
    evaluate, nimg = Evaluator.evaluate, []

    def scored(self, fakes, **protocol):
        kid = KIDS[nimg[-1]]
        found = evaluate(self, fakes, **protocol)
        pseudo = kid + 0.01 * np.sin(np.arange(8) * nimg[-1])
        return Evaluation(found.row | {"kid": float(pseudo.mean())}, pseudo)

    noted = Snapshotter.take
    monkeypatch.setattr(Snapshotter, "take", lambda self, kimg, n, name: (nimg.append(n), noted(self, kimg, n, name)))
    monkeypatch.setattr(Evaluator, "evaluate", scored)
    usual = ["metrics=embedded", "metrics.num_fakes=8", "metrics.patience=2", "run=scored"]
    for marks in ("[0,0.02]", "[0,0.02,0.04]"):
        run(options, *usual, f"snapshot.kimg={marks}")
    folder = run(options, *usual, "snapshot.kimg=[0,0.02,0.04,0.06,0.08]")
    rows = read_rows(folder / "metrics.jsonl")
    assert [row["nimg"] for row in rows] == [0, 20, 40, 60, 80]
    assert [row["best"] for row in rows] == [True, True, False, False, True]
    assert [row["past_best"] for row in rows] == [False, False, False, True, False]
    assert [row["kid_change"] for row in rows] == [None, *(pytest.approx(x, abs=0.02) for x in (-0.6, 0.2, 0.3, -0.1))]
    run(options, *usual, "snapshot.keep_best=1", "snapshot.kimg=[0.1]")
    kept = sorted(path.stem for path in (folder / "snapshots").iterdir())
    assert kept == ["kimg-000000.00", "kimg-000000.08", "kimg-000000.10"]
    with pytest.raises(UserError, match=r"made by another configuration: metrics\.psi was 1\.0, now 0\.5; give"):
        run(options, *usual, "metrics.psi=0.5", "snapshot.keep_best=1", "snapshot.kimg=[0.12]")


def test_marks_closer_than_a_batch_are_all_taken(options):
    folder = run(options, "batch=8", "snapshot.kimg=[0,0.01,0.02,0.03]", "run=close", "log_kimg=1")
    assert len(list((folder / "snapshots").iterdir())) == 4
    folder = run(options, "batch=16", "snapshot.kimg=[0,0.01,0.02,0.03]", "run=closer", "log_kimg=1")
    assert len(list((folder / "snapshots").iterdir())) == 4


def test_classes_are_learned_and_handed_on(options, picture_folder, tmp_path):
    labelled = shutil.copytree(picture_folder, tmp_path / "labelled")
    names = sorted(p.relative_to(labelled).as_posix() for p in labelled.rglob("*.png"))
    (labelled / "dataset.json").write_text(json.dumps({"labels": [[name, i % 3] for i, name in enumerate(names)]}))
    fresh = ["pretrained=none", "model=tiny", "model.conditional=true", "loss=scratch", "dataset.resolution=16"]
    own = [o for o in options if not o.startswith(("pretrained", "dataset.path"))]
    first = run([*own, f"dataset.path={labelled}"], *fresh, "snapshot.kimg=[0.02]", "run=classes")
    G = load_network(first).G_ema
    assert G.c_dim == 3
    z, c = torch.randn(2, G.z_dim), torch.eye(3)[[0, 2]]
    assert not torch.equal(G.mapping(z, c), G.mapping(z, c[[1, 0]]))
    start = ["pretrained=file", f"pretrained.source={first}", "snapshot.kimg=[0.02]"]
    assert load_network(run([*own, f"dataset.path={labelled}"], *start, "run=on")).G_ema.c_dim == 3
    with pytest.raises(UserError, match="knows 3 classes, the data set has 0"):
        run([*own, f"dataset.path={picture_folder}"], *start, "run=other")
    with pytest.raises(UserError, match="the data set has no labels"):
        run([*own, f"dataset.path={picture_folder}"], *fresh, "run=none")


def test_a_replaced_pretrained_file_is_another_run(options, tiny_network, tmp_path):
    mine = tmp_path / "mine.safetensors"
    mine.write_bytes(Path(tiny_network).read_bytes())
    options = [*(o for o in options if not o.startswith("pretrained.source")), f"pretrained.source={mine}"]
    run(options, "snapshot.kimg=[0.02]", "run=same")
    G, D = make_tiny(5)
    save_network(mine, G_ema=G, G=G, D=D)
    with pytest.raises(UserError, match=r"another configuration: pretrained\.sha256 was"):
        run(options, "snapshot.kimg=[0.04]", "run=same")


def test_best_snapshots_are_kept(options):
    marks = "snapshot.kimg=[0,0.02,0.04,0.06,0.08]"
    folder = run(options, marks, "snapshot.keep_best=1", "run=few", "metrics=embedded", "metrics.num_fakes=16")
    assert len(read_rows(folder / "metrics.jsonl")) == 5
    names = sorted(path.stem for path in (folder / "snapshots").iterdir())
    assert len(names) == 3 and names[0] == "kimg-000000.00" and names[-1] == "kimg-000000.08"


@pytest.mark.parametrize("batch", [6, 9])
def test_batches_fit_the_groups_of_the_discriminator(options, batch, tmp_path):
    with pytest.raises(UserError, match=f"batch={batch}: .* groups of 4"):
        run(options, f"batch={batch}", "run=odd")
    assert not (tmp_path / "odd").exists()


def test_pretrained_must_fit(options, tmp_path, tiny_network):
    G, _ = make_tiny()
    light = save_network(tmp_path / "light.safetensors", G_ema=G)
    options = [o for o in options if not o.startswith("pretrained.source")]
    with pytest.raises(UserError, match="holds no discriminator"):
        run(options, f"pretrained.source={light}", "snapshot.kimg=[0]")
    run(options, f"pretrained.source={light}", "snapshot.kimg=[0]", "pretrained.fresh_d=true", "run=fresh")
    with pytest.raises(UserError, match=r"dataset\.resolution=16"):
        run(options, f"pretrained.source={tiny_network}", "dataset.resolution=32", "snapshot.kimg=[0]")
    with pytest.raises(UserError, match=r"model\.z_dim=128 but the network has 8"):
        run(options, f"pretrained.source={tiny_network}", "model=tiny", "snapshot.kimg=[0]")
    with pytest.raises(UserError, match="neither a file, nor a run folder"):
        run(options, "pretrained.source=nowhere.safetensors", "snapshot.kimg=[0]")


def test_what_this_machine_cannot_do_is_refused(options):
    with pytest.raises(UserError, match=r"trainer\.precision=fp16: fp16 needs a CUDA device"):
        run(options, "trainer.precision=fp16", "trainer.accelerator=cpu")


def test_where_memory_is_not_counted_nothing_is_said_of_it(options, monkeypatch):
    monkeypatch.setattr(device, "sys", SimpleNamespace(platform="win32"))
    on_cpu = [*options, "trainer.accelerator=cpu"]
    rows = read_rows(run(on_cpu, "snapshot.kimg=[0.02]", "run=there") / "log.jsonl")
    assert rows
    assert all("loss/G" in row and "memory/peak_gb" not in row for row in rows)
