"""Whole runs: what is written, exact continuation, signals, divergence, refusals."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from src.cli import compose_config
from src.errors import UserError
from src.tracking import read_rows
from src.training.callbacks import CheckpointCallback
from src.training.run import train
from src.training.snapshots import Snapshotter
from src.training.step import TrainingStep
from src.weights import load_network, save_network
from tests.conftest import make_tiny

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def options(tiny_network, picture_folder, tmp_path):
    """Options of a run at 16 px that takes a second."""
    return [
        "dataset=folder",
        f"dataset.path={picture_folder}",
        "pretrained=file",
        f"pretrained.source={tiny_network}",
        "metrics=none",
        "tracker=none",
        "trainer.progress=false",
        "batch=4",
        "log_kimg=0.02",
        "checkpoint_kimg=0.04",
        f"paths.runs={tmp_path}",
    ]


def run(options, *more):
    return train(compose_config("train", [*options, *more]))


def tensors(folder, name):
    return load_file(folder / "snapshots" / f"{name}.safetensors")


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


def test_what_a_run_writes(options, tiny_network):
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


@pytest.mark.parametrize(
    ("damage", "words"), [("cut", "not a readable checkpoint"), ("foreign", "not a checkpoint of")]
)
def test_a_damaged_run_to_start_from_is_refused(options, damage, words):
    folder = run(options, "snapshot.kimg=[0.02]", "run=first")
    path = folder / "checkpoints/last.ckpt"
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:2000])
    else:
        torch.save({"state_dict": {}}, path)
    with pytest.raises(UserError, match=words):
        run(options, f"pretrained.source={folder}", "run=second")


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
    run(options, "snapshot.kimg=[0]", "run=mine")
    with pytest.raises(UserError, match="batch was 4, now 8"):
        run(options, "snapshot.kimg=[0]", "run=mine", "batch=8")
    with pytest.raises(UserError, match="resume=false"):
        run(options, "snapshot.kimg=[0]", "run=mine", "resume=false")


def test_a_damaged_checkpoint_falls_back_to_the_one_before(options):
    folder = run(options, "snapshot.kimg=[0,0.08]", "run=damaged")
    whole = tensors(folder, "kimg-000000.08")
    last = folder / "checkpoints/last.ckpt"
    last.write_bytes(last.read_bytes()[:1000])
    run(options, "snapshot.kimg=[0,0.08]", "run=damaged")
    again = tensors(folder, "kimg-000000.08")
    assert all(torch.equal(whole[key], again[key]) for key in whole)


def test_divergence_names_the_last_good_state(options, monkeypatch):
    whole = TrainingStep.run

    def breaks(self, batch, nimg):
        stats = whole(self, batch, nimg)
        return {**stats, "loss/D": torch.tensor(float("nan"))} if nimg >= 48 else stats

    monkeypatch.setattr(TrainingStep, "run", breaks)
    with pytest.raises(UserError, match=r"diverged at 0\.05 kimg: loss/D .*last good state is .*last\.ckpt") as error:
        run(options, "snapshot.kimg=[0,0.4]", "run=nan")
    checkpoint = torch.load(str(error.value).split("last good state is ")[1].split(". ")[0], weights_only=True)
    assert checkpoint["nimg"] == 40


def test_real_divergence_is_noticed(options):
    with pytest.raises(UserError, match="is not a number; no state had been saved yet"):
        run(options, "snapshot.kimg=[0,0.4]", "run=nan", "loss.lr_g=1e20", "loss.lr_d=1e20")


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_signals_save_and_the_run_goes_on(options, tmp_path, name):
    command = [sys.executable, str(ROOT / "train.py"), *options, "snapshot.kimg=[0,50]", "run=stopped"]
    log = tmp_path / "stopped" / "log.jsonl"
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ)
    )
    deadline = time.time() + 60
    while not log.exists() and time.time() < deadline:
        time.sleep(0.05)
    process.send_signal(getattr(signal, name))
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert f"stopped by {name}" in out
    assert "Traceback" not in err
    checkpoint = torch.load(tmp_path / "stopped/checkpoints/last.ckpt", weights_only=True)
    kimg = checkpoint["nimg"] / 1000
    assert kimg > 0
    assert (tmp_path / f"stopped/snapshots/kimg-{kimg:09.2f}.safetensors").is_file()
    folder = run(options, f"snapshot.kimg=[0,{kimg + 0.04}]", "run=stopped")
    assert torch.load(folder / "checkpoints/last.ckpt", weights_only=True)["nimg"] > checkpoint["nimg"]


def test_rows_stand_once_however_a_run_ended(options, monkeypatch):
    whole = TrainingStep.run

    def dies(self, batch, nimg):
        if nimg >= 28:
            raise RuntimeError("out of luck")
        return whole(self, batch, nimg)

    more = ["snapshot.kimg=[0,0.02,0.06]", "run=once", "metrics=embedded", "metrics.num_fakes=8"]
    with monkeypatch.context() as patch:
        patch.setattr(TrainingStep, "run", dies)
        with pytest.raises(RuntimeError, match="out of luck"):
            run(options, *more)
    folder = run(options, *more)
    assert [row["nimg"] for row in read_rows(folder / "metrics.jsonl")] == [0, 20, 60]
    assert [row["nimg"] for row in read_rows(folder / "log.jsonl")] == [20, 40, 60]


def test_the_state_is_saved_before_a_signals_snapshot_is_evaluated(options, monkeypatch):
    order = []
    take, save = Snapshotter.take, CheckpointCallback.save
    monkeypatch.setattr(Snapshotter, "take", lambda self, *a: (order.append("snapshot"), take(self, *a))[1])
    monkeypatch.setattr(CheckpointCallback, "save", lambda self, *a: (order.append("state"), save(self, *a))[1])
    whole = TrainingStep.run

    def interrupted(self, batch, nimg):
        if nimg == 20:
            os.kill(os.getpid(), signal.SIGTERM)
        return whole(self, batch, nimg)

    monkeypatch.setattr(TrainingStep, "run", interrupted)
    folder = run(options, "snapshot.kimg=[0,0.024,1]", "run=signal")
    assert order == ["snapshot", "snapshot", "state"], "the mark of this very iteration is the signal's snapshot too"
    assert len(list((folder / "snapshots").iterdir())) == 2
    order.clear()
    folder = run(options, "snapshot.kimg=[1]", "run=other")
    assert order == ["state", "snapshot"]


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


def test_a_broken_state_is_not_saved_as_good(options, monkeypatch):
    whole = TrainingStep.run

    def breaks(self, batch, nimg):
        stats = whole(self, batch, nimg)
        if nimg == 76:  # after the last loss that could show it
            with torch.no_grad():
                next(self.D.parameters()).fill_(float("nan"))
        return stats

    monkeypatch.setattr(TrainingStep, "run", breaks)
    with pytest.raises(UserError, match=r"diverged at 0\.08 kimg: D\..* last good state is .*last\.ckpt"):
        run(options, "snapshot.kimg=[0.2]", "run=poisoned")


def test_best_snapshots_are_kept(options):
    marks = "snapshot.kimg=[0,0.02,0.04,0.06,0.08]"
    folder = run(options, marks, "snapshot.keep_best=1", "run=few", "metrics=embedded", "metrics.num_fakes=16")
    assert len(read_rows(folder / "metrics.jsonl")) == 5
    names = sorted(path.stem for path in (folder / "snapshots").iterdir())
    assert len(names) == 3 and names[0] == "kimg-000000.00" and names[-1] == "kimg-000000.08"


def test_a_damaged_run_file_is_one_message(options):
    folder = run(options, "snapshot.kimg=[0.02]", "run=cut")
    (folder / "run.json").write_text("{")
    with pytest.raises(UserError, match=r"run\.json is damaged"):
        run(options, "snapshot.kimg=[0.04]", "run=cut")


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


def test_what_this_version_cannot_do_is_refused(options):
    with pytest.raises(UserError, match=r"trainer\.devices=2"):
        run(options, "trainer.devices=2")
    with pytest.raises(UserError, match=r"trainer\.precision=bf16"):
        run(options, "trainer.precision=bf16")
