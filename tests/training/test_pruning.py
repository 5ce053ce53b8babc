"""Which snapshots stay."""

import pytest

from src.training.snapshots import BYTES_PER_GB, prune_snapshots

KIDS = {f"kimg-{k}.safetensors": kid for k, kid in enumerate((0.9, 0.5, 0.2, 0.3, 0.4))}
SIZE = 1000


@pytest.fixture
def folder(tmp_path):
    for name in KIDS:
        (tmp_path / name).write_bytes(bytes(SIZE))
    (tmp_path / "notes.txt").write_text("mine")
    return tmp_path


def left(folder):
    return sorted(int(path.stem.removeprefix("kimg-")) for path in folder.glob("kimg-*"))


def prune(folder, *, kids=KIDS, keep_best=None, max_gb=None, **more):
    return prune_snapshots(folder, kids, keep_best=keep_best, max_gb=max_gb, **more)


def test_nothing_goes_without_a_limit(folder):
    assert prune(folder) == []
    assert left(folder) == [0, 1, 2, 3, 4]


def test_the_best_stay_beside_the_first_and_the_last_two(folder):
    assert prune(folder, keep_best=1) == ["kimg-1.safetensors"]
    assert left(folder) == [0, 2, 3, 4]
    assert (folder / "notes.txt").exists()


def test_what_the_sweep_recommends_stays(folder):
    assert prune(folder, keep_best=1, chosen="kimg-1") == []
    assert prune(folder, max_gb=1e-9, chosen="kimg-1") == []


def test_the_budget_takes_the_worst_first_and_never_the_best_the_first_or_the_last_two(folder):
    (folder / "kimg-5.safetensors").write_bytes(bytes(SIZE))
    kids = KIDS | {"kimg-5.safetensors": 0.6}
    assert prune(folder, kids=kids, max_gb=5 * SIZE / BYTES_PER_GB) == ["kimg-1.safetensors"]
    prune(folder, kids=kids, max_gb=1e-9)
    assert left(folder) == [0, 2, 4, 5]


def test_checkpoints_count_into_the_budget(folder, tmp_path):
    checkpoints = tmp_path / "checkpoints"
    checkpoints.mkdir()
    (checkpoints / "last.ckpt").write_bytes(bytes(SIZE))
    assert prune(folder, max_gb=5 * SIZE / BYTES_PER_GB) == []
    assert prune(folder, max_gb=5 * SIZE / BYTES_PER_GB, beside=checkpoints) == ["kimg-1.safetensors"]


def test_both_limits_together(folder):
    prune(folder, keep_best=2, max_gb=4 * SIZE / BYTES_PER_GB)
    assert left(folder) == [0, 2, 3, 4]


def test_without_a_score_the_older_goes_first(folder):
    (folder / "kimg-5.safetensors").write_bytes(bytes(SIZE))
    assert prune(folder, kids={}, keep_best=3) == ["kimg-1.safetensors", "kimg-2.safetensors"]
