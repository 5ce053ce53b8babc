"""`snapshot.stop`: a run ends when its snapshots bring no better choice."""

import pytest

from src.errors import UserError
from src.options import OptionError
from src.sweep import SweepSettings
from src.training import choice
from src.training.choice import ChoiceWatch
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


@pytest.mark.parametrize(("patience", "ends"), [(1, True), (2, True), (3, False)])
def test_the_choice_is_passed_after_so_many_later_snapshots(tmp_path, monkeypatch, patience, ends):
    for kimg in (0, 1, 2, 3):
        G, _ = make_tiny(0, 32)
        save_network(tmp_path / "snapshots" / f"kimg-{kimg:09.2f}.safetensors", G_ema=G, meta={"kimg": float(kimg)})
    for step in ("prepare", "score_all"):
        monkeypatch.setattr(choice, step, lambda sweep: None)
    monkeypatch.setattr(choice, "rank_sweep", lambda sweep: ([], {"recommended": {"kimg": 1.0, "label": "one"}}))
    usual = SweepSettings()
    watch = ChoiceWatch(tmp_path, patience, device="cpu", weights=usual.weights)
    assert watch.over() is ends
    monkeypatch.setattr(choice, "rank_sweep", lambda sweep: ([], {"recommended": None}))
    assert watch.over() is False


def test_what_cannot_be_scored_is_said_with_the_option(options):
    with pytest.raises(UserError, match=r"snapshot\.stop=2: .*pictures of at least 32 px can be scored, not of 16"):
        run(options, MARKS, "snapshot.stop=2", "run=small")
    with pytest.raises(OptionError, match="blends need a network to start from"):
        run(options, "pretrained=none", "pretrained.source=null", "model=tiny", "snapshot.stop=2", "run=fresh")
