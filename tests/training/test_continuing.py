"""What a run needs to go on: its folder and the pictures. Where it may be cut, and what becomes of changed options."""

import json
import shutil

import pytest
import torch

from src.errors import UserError
from src.runs import find_base
from src.sweep import run_sweep
from src.tracking import read_rows
from src.training.module import GanModule
from src.weights import load_network
from tests.sweep.conftest import take_plain_landmarks
from tests.training.conftest import run
from tests.training.parts import make

ADA = ("augment=ada", "augment.augment_p=0.3", "augment.ada_kimg=0.05")


@pytest.fixture
def borrowed(options, tiny_network, tmp_path):
    """Options of runs that start from a file that will be gone, and the file."""
    path = tmp_path / "lent.safetensors"
    shutil.copy(tiny_network, path)
    return [*(o for o in options if not o.startswith("pretrained.source")), f"pretrained.source={path}"], path


def state(folder):
    return torch.load(folder / "checkpoints/last.ckpt", weights_only=True)


def assert_equal(a, b, where=""):
    """Tensors of two states, bit by bit."""
    if isinstance(a, torch.Tensor):
        assert torch.equal(a, b), where
    elif isinstance(a, dict):
        assert a.keys() == b.keys()
        for key in a:
            assert_equal(a[key], b[key], f"{where}/{key}")
    elif isinstance(a, list | tuple):
        for i, (x, y) in enumerate(zip(a, b, strict=True)):
            assert_equal(x, y, f"{where}/{i}")


def assert_same_training(a, b):
    a, b = state(a), state(b)
    assert a["nimg"] == b["nimg"]
    for part in ("state_dict", "optimizer_states"):
        assert_equal(a[part], b[part], part)


def test_any_split_gives_the_same_bits(options, monkeypatch):
    """Cut within ADA's interval, the EMA's ramp-up and lazy regularisation, at an evaluation, around a sweep."""
    small = ["model=tiny", "model.channel_base=128", "model.channel_max=8", "dataset.resolution=32"]
    more = [option for option in options if not option.startswith("pretrained")] + ["pretrained=none", *small, *ADA]
    more += ["loss.ema_kimg=1", "loss.r1_interval=3", "metrics=embedded", "metrics.num_fakes=8"]
    marks = "snapshot.kimg=[0.02,0.032,0.06]"
    whole = run(more, marks, "total_kimg=0.08", "run=whole")
    run(more, "snapshot.kimg=[0.004]", "run=parts")
    run(more, "snapshot.kimg=[0.02,0.032]", "run=parts")
    parts = run(more, marks, "total_kimg=0.072", "run=parts")
    take_plain_landmarks(monkeypatch)
    first = parts / "snapshots/kimg-000000.02.safetensors"
    run_sweep(parts, (8,), snapshot=[0.032], base=str(first), n_latents=16, device="cpu")
    assert_same_training(whole, run(more, marks, "total_kimg=0.08", "run=parts"))
    kids = [{row["nimg"]: row["kid"] for row in read_rows(folder / "metrics.jsonl")} for folder in (whole, parts)]
    assert kids[0].keys() == {20, 32, 60, 80} and {nimg: kids[1][nimg] for nimg in kids[0]} == kids[0]


@pytest.mark.parametrize("name", ["run=mine", "run=null"])
def test_a_run_goes_on_without_the_network_that_it_started_from(borrowed, capsys, name):
    options, path = borrowed
    structure = ["loss.structure_weight=1", "loss.structure_resolution=8", *ADA]
    whole = run(options, *structure, "snapshot.kimg=[0.08]", "run=whole")
    folder = run(options, *structure, "snapshot.kimg=[0.04]", name)
    base = load_network(path).G_ema
    path.unlink()
    if name == "run=null":
        shutil.rmtree(whole)  # started from the same network: it would serve as well
        whole = None
    capsys.readouterr()
    assert run(options, *structure, "snapshot.kimg=[0.08]", name) == folder
    assert f"{path} is gone: {folder / 'base.safetensors'} serves" in capsys.readouterr().out
    if whole is not None:
        assert_same_training(whole, folder)
    kept = find_base(folder, "auto").G
    assert all(torch.equal(a, b) for a, b in zip(base.state_dict().values(), kept.state_dict().values(), strict=True))


def test_what_one_run_has_kept_starts_no_other(borrowed, tmp_path):
    options, path = borrowed
    run(options, "snapshot.kimg=[0.02]")
    path.unlink()
    before = sorted(tmp_path.iterdir())
    for other in (["seed=1"], ["run=other"]):
        with pytest.raises(UserError, match=r"lent\.safetensors': neither a file"):
            run(options, "snapshot.kimg=[0.02]", *other)
    assert sorted(tmp_path.iterdir()) == before


def test_a_fork_goes_on_with_other_options_and_says_where_it_came_from(borrowed, capsys):
    options, path = borrowed
    source = run(options, "snapshot.kimg=[0.02]", "run=mine", "augment=none")
    with pytest.raises(UserError, match=r"loss\.lr_g was 0\.0025, now 0\.001; .*resume=fork"):
        run(options, "snapshot.kimg=[0.04]", "run=mine", "augment=none", "loss.lr_g=0.001")
    changed = [*ADA, "loss.lr_g=0.001", "batch=8", "run=mine", "resume=fork"]
    path.unlink()
    capsys.readouterr()
    before = {path: path.read_bytes() for path in source.rglob("*") if path.is_file()}
    fork = run(options, "snapshot.kimg=[0.036]", *changed)
    assert {path: path.read_bytes() for path in source.rglob("*") if path.is_file()} == before, "the first run stays"
    assert fork.parent == source.parent and fork.name.startswith("mine-fork-")
    facts = json.loads((fork / "run.json").read_text())
    assert (facts["forked"]["run"], facts["forked"]["kimg"]) == ("mine", 0.02)
    assert {"batch was 4, now 8", "loss.lr_g was 0.0025, now 0.001"} <= set(facts["forked"]["changed"])
    assert "forked     from mine at 0.02 kimg: " in capsys.readouterr().out
    assert state(fork)["nimg"] == 36
    assert {group["lr"] for group in state(fork)["optimizer_states"][0]["param_groups"]} == {0.001 * 4 / 5}
    shutil.rmtree(source / "checkpoints")
    again = ["snapshot.kimg=[0.052]", *changed[:-2], f"run={fork.name}"]
    assert run(options, *again) == fork
    whole = state(fork)
    assert whole["nimg"] == 52
    lost = whole["state_dict"].popitem()[0]
    torch.save(whole, fork / "checkpoints/last.ckpt")
    with pytest.raises(RuntimeError, match=rf'Missing key\(s\) in state_dict: "{lost}"'):
        run(options, "snapshot.kimg=[0.07]", *again[1:])


def test_a_state_of_networks_built_otherwise_is_refused():
    module, checkpoint = GanModule(make(), str), {}
    module.on_save_checkpoint(checkpoint)
    with pytest.raises(UserError, match=r"another G \(c_dim was 3, now 0\): take another run=NAME"):
        GanModule(make(classes=0), str).on_load_checkpoint(checkpoint)


def test_an_interrupted_fork_is_made_anew(options, monkeypatch, capsys):
    run(options, "snapshot.kimg=[0.02]", "run=mine")
    changed = ["snapshot.kimg=[0.04]", "run=mine", "seed=5", "resume=fork"]
    with monkeypatch.context() as patch:
        patch.setattr("src.training.fork.torch.save", lambda *_: (_ for _ in ()).throw(RuntimeError("out of luck")))
        with pytest.raises(RuntimeError, match="out of luck"):
            run(options, *changed)
    capsys.readouterr()
    fork = run(options, *changed)
    assert "starts again" not in capsys.readouterr().out
    assert [row["nimg"] for row in read_rows(fork / "log.jsonl")] == [40]


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ([], "no option differs"),
        (["loss.freeze_d=1"], r"keeps the networks .* what of them is trained: loss\.freeze_d was 0, now 1"),
        (["dataset.resolution=16"], r"keeps the networks .*dataset\.resolution was None, now 16"),
        (["run=other"], "there is none in .*other"),
        (["run=null", "seed=1"], "resume=fork: say with run=NAME"),
    ],
)
def test_what_cannot_be_forked_is_refused(options, tmp_path, changed, words):
    run(options, "snapshot.kimg=[0.02]", "run=mine")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UserError, match=words):
        run(options, "snapshot.kimg=[0.04]", "run=mine", *changed, "resume=fork")
    assert sorted(tmp_path.rglob("*")) == before
