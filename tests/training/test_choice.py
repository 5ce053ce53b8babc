"""`snapshot.stop`: a run ends when its snapshots bring no better choice."""

import numpy as np
import pytest
import torch

from src.data import save_jpeg
from src.errors import UserError
from src.metrics import Evaluation
from src.options import OptionError
from src.sweep import SweepSettings
from src.training import choice
from src.training.choice import ChoiceWatch
from src.training.schedule import mark_name
from src.training.snapshots import Snapshotter
from src.weights import save_network
from tests.tiny import make_tiny
from tests.training.conftest import run, tensors

MARKS = "snapshot.kimg=[0,0.02,0.04,0.06]"


def test_a_run_ends_at_the_snapshot_that_is_one_too_many(options, monkeypatch):
    asked = []

    def over(self):
        asked.append(sorted(path.stem for path in (self.run_dir / "snapshots").iterdir()))
        return len(asked[-1]) == 3

    monkeypatch.setattr(ChoiceWatch, "over", over)
    folder = run(options, MARKS, "snapshot.stop=1", "run=watched")
    names = sorted(path.stem for path in (folder / "snapshots").iterdir())
    assert names == ["kimg-000000.00", "kimg-000000.02", "kimg-000000.04"] and asked[-1] == names
    whole = run(options, MARKS, "run=whole")
    ours, theirs = (tensors(f, "kimg-000000.04") for f in (folder, whole))
    assert all((ours[key] == theirs[key]).all() for key in theirs)
    again = run(options, MARKS, "snapshot.stop=1", "run=watched")
    assert sorted(path.stem for path in (again / "snapshots").iterdir()) == names


@pytest.mark.parametrize(("patience", "ends"), [(2, True), (3, True), (4, False)])
def test_the_choice_is_passed_after_so_many_later_snapshots(tmp_path, monkeypatch, patience, ends):
    for kimg in (0, 1, 3, 4):
        take(tmp_path, kimg)
    take(tmp_path, 2).unlink()  # pruned
    for step in ("prepare", "score_all"):
        monkeypatch.setattr(choice, step, lambda sweep: None)
    best = {"kimg": 1.0, "label": "one", "snapshot": mark_name(1)}
    monkeypatch.setattr(choice, "rank_sweep", lambda sweep: ([], {"recommended": best}))
    watch = ChoiceWatch(tmp_path, patience, device="cpu", weights=SweepSettings().weights)
    assert watch.over() is ends
    monkeypatch.setattr(choice, "rank_sweep", lambda sweep: ([], {"recommended": None}))
    assert watch.over() is ends, "nothing is swept without a new snapshot"
    take(tmp_path, 5)
    assert watch.over() is False


def take(folder, kimg):
    """What a snapshot leaves."""
    G, _ = make_tiny(0, 32)
    save_jpeg(folder / "samples" / f"{mark_name(kimg)}.jpg", torch.zeros([8, 8, 3], dtype=torch.uint8))
    path = folder / "snapshots" / f"{mark_name(kimg)}.safetensors"
    return save_network(path, G_ema=G, meta={"kimg": float(kimg)})


def test_the_choice_is_not_pruned_and_pruned_snapshots_count(options, monkeypatch):
    """The lowest KID is that of other snapshots; in two sittings, of which the second knows of no choice at first."""
    kids, measure = iter((0.5, 0.9, 0.4, 0.3, 0.2, 0.1)), Snapshotter._measure

    def measured(self):
        found, kid = measure(self), next(kids)
        return Evaluation(found.row | {"kid": kid}, np.full_like(found.kid, kid))

    monkeypatch.setattr(Snapshotter, "_measure", measured)
    monkeypatch.setattr(ChoiceWatch, "_swept", lambda self: {"label": "one", "snapshot": mark_name(0.02)})
    usual = ("snapshot.keep_best=1", "metrics=embedded", "metrics.num_fakes=16", "snapshot.stop=4", "run=pruned")
    run(options, MARKS, *usual)
    folder = run(options, "snapshot.kimg=[0,0.02,0.04,0.06,0.08,0.1,0.12]", *usual)
    names = sorted(path.stem for path in (folder / "snapshots").iterdir())
    assert names == [mark_name(kimg) for kimg in (0, 0.02, 0.08, 0.1)], "four after the choice, two of them pruned"


def test_what_cannot_be_scored_is_said_with_the_option(options):
    with pytest.raises(UserError, match=r"snapshot\.stop=2: .*pictures of at least 32 px can be scored, not of 16"):
        run(options, MARKS, "snapshot.stop=2", "run=small")
    with pytest.raises(OptionError, match="blends need a network to start from"):
        run(options, "pretrained=none", "pretrained.source=null", "model=tiny", "snapshot.stop=2", "run=fresh")
