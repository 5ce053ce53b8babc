"""The evaluator: what it reports, its cache of real features, several processes."""

import os

import pytest
import torch

from src.data import open_dataset
from src.files import CACHE_VARIABLE
from src.group import Group
from src.metrics import Evaluator
from tests.training.parts import in_processes


class Means:
    """An extractor of six features, counting the pictures that it sees."""

    name, frechet_name, sha256, resizer, num_features = "means", "frechet", "ab" * 32, "none", 6

    def __init__(self):
        self.seen = 0

    def __call__(self, images):
        self.seen += len(images)
        x = images.float() / 255
        return torch.cat([x.mean(dim=(2, 3)), x.std(dim=(2, 3))], dim=1)


def noise(count, seed, px=16):
    generator = torch.Generator().manual_seed(seed)
    contrast = torch.rand([count, 3, 1, 1], generator=generator)
    return (torch.rand([count, 3, px, px], generator=generator) * 255 * contrast).to(torch.uint8)


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache" / "features"


def numbers(row):
    return {k: v for k, v in row.items() if k != "protocol"}


def test_only_inceptions_distance_is_called_fid(inception):
    row = Evaluator("inception", [(x, None) for x in noise(4, 0)], seed=5).evaluate([noise(4, 1)], psi=0.5).row
    assert {"fid", "fid_bias", "kid", "kid_error"} <= set(row) and "frechet" not in row
    assert row["protocol"] == {
        **{"extractor": "inception", "resizer": "tf1-bilinear-299", "n_fake": 4, "n_real": 4, "psi": 0.5, "seed": 5},
        "extractor_sha256": row["protocol"]["extractor_sha256"],
        **{"noise": "const", "float32": "ieee", "precision_recall_max": 2000, "precision_recall_neighbours": 3},
    }
    row = Evaluator("embedded", [(x, None) for x in noise(4, 0)], seed=5).evaluate([noise(4, 1)], psi=0.5).row
    assert "frechet" in row and "fid" not in row


def test_reals_are_measured_once_and_kept_on_disk(picture_folder, own_cache):
    dataset, fakes = open_dataset(picture_folder), noise(12, 1)
    first, second = Means(), Means()
    row = Evaluator(first, dataset, seed=0).evaluate([fakes], psi=1).row
    again = Evaluator(second, dataset, seed=0).evaluate([fakes], psi=1).row
    assert (first.seen, second.seen) == (2 * len(dataset) + 12, 12)  # reals as they are and mirrored
    assert again == row
    assert [p.suffix for p in own_cache.iterdir()] == 2 * [".safetensors"]


def test_what_decides_the_features_decides_the_file(picture_folder, own_cache):
    dataset = open_dataset(picture_folder)
    Evaluator(Means(), dataset, seed=0)
    for change in ("data", "weights", "resizer", "number"):
        extractor = Means()
        other = open_dataset(picture_folder, resolution=8) if change == "data" else dataset
        extractor.sha256 = "cd" * 32 if change == "weights" else extractor.sha256
        extractor.resizer = "other" if change == "resizer" else extractor.resizer
        count = 7 if change == "number" else 10_000
        Evaluator(extractor, other, seed=0, max_reals=count)
        assert extractor.seen == 2 * min(count, len(dataset)), change


@pytest.mark.parametrize("damage", ["cut", "flip", "empty"])
def test_a_damaged_cache_file_is_measured_anew(picture_folder, own_cache, capsys, damage):
    dataset = open_dataset(picture_folder)
    expected = Evaluator(Means(), dataset, seed=0).real_features
    path = min(own_cache.iterdir(), key=lambda path: path.stat().st_mtime_ns)  # the reals as they are
    data = bytearray(path.read_bytes())
    data[-3] ^= 255
    path.write_bytes({"cut": path.read_bytes()[:-40], "flip": bytes(data), "empty": b""}[damage])
    extractor = Means()
    assert torch.equal(Evaluator(extractor, dataset, seed=0).real_features, expected)
    assert extractor.seen == len(dataset)
    note = capsys.readouterr().out
    assert "damaged" in note and note.count("\n") == 1
    assert Evaluator(unused := Means(), dataset, seed=0) and unused.seen == 0


def test_a_cache_that_cannot_be_written_is_said_once(picture_folder, tmp_path, monkeypatch, capsys):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "file"))
    Evaluator(Means(), open_dataset(picture_folder), seed=0)
    assert capsys.readouterr().out.count("cannot be written") == 2  # as they are and mirrored


def test_pictures_without_a_fingerprint_are_not_kept(own_cache):
    Evaluator(Means(), [(x, None) for x in noise(5, 0)], seed=0)
    assert not own_cache.exists()


def _measure(folder, cache, group):
    os.environ[CACHE_VARIABLE] = str(cache)
    extractor = Means()
    fakes = noise(13, 1)
    evaluator = Evaluator(extractor, open_dataset(folder), seed=0, group=group)
    mine = fakes[list(group.share(13))]
    seen = extractor.seen
    return seen, evaluator.evaluate(mine.split(4), psi=1).row


def _measure_twice(group, folder, cache):
    return [_measure(folder, cache, group) for _ in range(2)]


def test_two_processes_measure_what_one_does(picture_folder, tmp_path, own_cache):
    _, expected = _measure(picture_folder, own_cache.parents[1], Group())
    measured = in_processes(_measure_twice, 2, tmp_path, picture_folder, tmp_path / "other")
    count = len(open_dataset(picture_folder))
    seen = []
    for (first, row), (second, again) in measured:
        assert row["protocol"] == expected["protocol"]
        assert numbers(row) == pytest.approx(numbers(expected), rel=1e-12)
        assert again == row
        seen.append((first, second))
    assert sorted(first for first, _ in seen) == [2 * (count // 2), 2 * (count - count // 2)]
    assert [second for _, second in seen] == [0, 0]


def test_mirror_images_of_training_pictures_are_memorised():
    reals = [x for x in noise(30, 0)]
    left = torch.linspace(0, 1, 16)  # one half darker, so that a mirror image is another picture
    reals = [(x * left).to(torch.uint8) for x in reals]

    class Halves(Means):
        def __call__(self, images):
            return torch.cat([super(Halves, self).__call__(part)[:, :3] for part in images.split(8, dim=3)], dim=1)

    evaluator = Evaluator(Halves(), [(x, None) for x in reals], seed=0)
    assert evaluator.evaluate([torch.stack(reals[:9]).flip(3)], psi=1).row["memorisation"] < 1e-3


def test_shares_are_consecutive_and_complete():
    shares = [list(Group(rank, 3).share(10)) for rank in range(3)]
    assert [i for share in shares for i in share] == list(range(10)) and {len(s) for s in shares} == {3, 4}
    assert Group.joined() == Group(0, 1)
