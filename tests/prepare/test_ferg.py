"""FERG: its tree read, shared out in balance, chosen, mended; the script's whole way on a synthetic tree."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from src.cli import compose_config
from src.data import DatasetSettings, open_configured_dataset, open_dataset
from src.errors import UserError
from src.options import read
from src.prepare.farthest import farthest, neighbour, stride, thumbnail, widest_gap
from src.prepare.ferg import CHARACTERS, EXPRESSIONS, balanced_counts, read_tree

from .trees import encoded, ferg_tree, left_out, manifest, noise, report, run_prepare

CELLS = [(c, e) for c in CHARACTERS for e in EXPRESSIONS]


def sums(counts, axis):
    totals = Counter()
    for cell, n in counts.items():
        totals[cell[axis]] += n
    return totals.values()


@pytest.mark.parametrize("count", [776, 42, 756, 1, 5, 43, 797, 4200])
def test_shares_are_even_over_cells_characters_and_expressions(count):
    counts = balanced_counts(dict.fromkeys(CELLS, 1000), count)
    assert sum(counts.values()) == count
    for numbers in (counts.values(), sums(counts, 0), sums(counts, 1)):
        assert max(numbers) - min(numbers) <= 1


def test_776_is_18_a_cell_and_20_more():
    assert Counter(balanced_counts(dict.fromkeys(CELLS, 1000), 776).values()) == {18: 22, 19: 20}


def test_a_lack_is_shared_by_all_others():
    have = dict.fromkeys(CELLS, 1000) | {CELLS[0]: 3, CELLS[8]: 0}
    counts = balanced_counts(have, 776)
    assert sum(counts.values()) == 776 and counts[CELLS[0]] == 3 and counts[CELLS[8]] == 0
    others = [n for cell, n in counts.items() if have[cell] == 1000]
    assert set(others) == {19, 20}
    with pytest.raises(UserError, match="count=99: the source has 42 usable pictures, ask for at most 42"):
        balanced_counts(dict.fromkeys(CELLS, 1), 99)


def test_a_tree_is_sorted_by_number_and_strays_are_named():
    names = [f"x/FERG/aia/aia_joy/aia_joy_{n}.png" for n in (10, 9, 2, 1)]
    strays = ["aia/aia_joy/cat.png", "aia/aia_joy/aia_fear_3.png", "bob/bob_joy/bob_joy_1.png", "a/aia_joy_4.png"]
    tree = read_tree([*names, *strays, "README.txt"], frozenset({".txt"}))
    assert [f.frame for f in tree.cells["aia", "joy"]] == [1, 2, 9, 10]
    assert [names[f.index] for f in tree.cells["aia", "joy"]] == names[::-1]
    assert set(tree.strange) == set(strays) and all(tree.strange.values())
    assert tree.missing == {("aia", "joy"): [3, 4, 5, 6, 7, 8]}
    assert len(tree.empty_cells()) == 41
    with pytest.raises(UserError, match=r"no file such as aia/aia_anger/aia_anger_1\.png"):
        read_tree(["a.png", "b/c.png"])


def test_stride_is_even_and_inside():
    assert stride(5, 5) == [0, 1, 2, 3, 4]
    assert stride(100, 4) == [12, 37, 62, 87]
    for num, count in ((1000, 18), (19, 18), (7, 1), (3, 0)):
        picks = stride(num, count)
        assert len(set(picks)) == count and all(0 <= i < num for i in picks)
        assert not picks or max(np.diff(picks), default=1) - min(np.diff(picks), default=1) <= 1


def test_farthest_takes_one_of_each_group_and_is_deterministic():
    rng = np.random.default_rng(0)
    centres = rng.integers(20, 235, (5, 48))
    group = np.sort(rng.integers(0, 5, 200))
    points = (centres[group] + rng.integers(-3, 4, (200, 48))).astype(np.uint8)
    picks = farthest(points, 5)
    assert sorted(group[picks]) == [0, 1, 2, 3, 4] and picks == sorted(picks) == farthest(points, 5)
    same = np.zeros((6, 4), np.uint8)
    assert len(set(farthest(same, 6))) == 6 and farthest(same, 0) == []


def test_neighbours_and_gaps():
    assert neighbour([1, 4, 6, 9], 5, {9}) == 4 and neighbour([1, 4, 6, 9], 8, {9}) == 6
    assert neighbour([1], 5, {1}) is None
    assert widest_gap([1, 2, 3, 4, 5, 6, 7], {1, 7}) == 4 and widest_gap([1, 2], {1, 2}) is None


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP"])
def test_thumbnails_look_like_the_picture(kind):
    picture = noise(3, 128, 128)
    small = thumbnail(encoded(picture, kind), (0, 0, 0)).astype(int)
    expected = np.asarray(picture.resize((16, 16), Image.Resampling.BOX)).astype(int)
    assert small.shape == (16, 16, 3) and np.abs(small - expected).mean() < 8
    half = Image.new("RGBA", (64, 64), (200, 100, 50, 0))
    assert (thumbnail(encoded(half), (1, 2, 3)) == (1, 2, 3)).all()


@pytest.fixture(scope="module")
def tree(tmp_path_factory) -> Path:
    folder = ferg_tree(tmp_path_factory.mktemp("ferg") / "FERG_DB_256", 12)
    joy = folder / "ray" / "ray_joy"
    for n, data in ((2, b""), (6, b"\x89PNG broken"), (7, encoded(noise(0))[:-40])):
        (joy / f"ray_joy_{n}.png").write_bytes(data)
    (joy / "ray_joy_9.png").unlink()
    for n in range(3, 13):
        (folder / "aia" / "aia_fear" / f"aia_fear_{n}.png").unlink()
    return folder


@pytest.mark.parametrize("select", ["stride", "farthest"])
def test_a_tree_becomes_a_balanced_labelled_zip(tree, tmp_path, select, capsys):
    out = run_prepare(
        "dataset=ferg", f"source={tree}", f"out={tmp_path}/f.zip", "count=200", "resolution=16", f"select={select}"
    )
    dataset, facts = open_dataset(out, on_bad="error"), manifest(out)
    assert len(dataset) == 200 and dataset.num_classes == 6
    cells = Counter((row["character"], row["expression"]) for row in facts["pictures"])
    assert cells.pop(("aia", "fear")) == 2 and set(cells.values()) == {4, 5} and len(cells) == 41
    assert [row["label"] for row in facts["pictures"]] == dataset.labels
    assert all(facts["classes"][row["label"]] == row["character"] for row in facts["pictures"])
    for i, row in enumerate(facts["pictures"]):
        pixels = np.asarray(Image.open(tree / row["source"]).convert("RGB"))
        assert np.array_equal(dataset[i][0].numpy(), pixels.transpose(2, 0, 1))
    numbers = [
        int(r["source"].rsplit("_", 1)[1][:-4]) for r in facts["pictures"] if r["source"].startswith("aia/aia_joy")
    ]
    assert numbers == sorted(numbers)
    said = report(out)
    assert said["short"] == {"aia_fear": 2} and said["missing_numbers"] == {"ray_joy": [9]}
    reasons = left_out(out)
    assert reasons["ray/ray_joy/ray_joy_2.png"] == "empty file" and all(reasons.values())
    assert not {row["source"] for row in facts["pictures"]} & set(reasons)
    if select == "farthest":  # which looks at all of them
        assert len(reasons) == 3
    assert "200 pictures from" in (printed := capsys.readouterr().out) and "aia_fear 2" in printed


def test_a_broken_pick_is_replaced_by_its_neighbour(tmp_path):
    tree = ferg_tree(tmp_path / "t", 3)
    (tree / "ray/ray_joy/ray_joy_2.png").write_bytes(b"broken")
    for n in (1, 2, 3):
        (tree / f"mery/mery_fear/mery_fear_{n}.png").write_bytes(b"broken")
    out = run_prepare("dataset=ferg", f"source={tree}", f"out={tmp_path}/f.zip", "count=42", "resolution=16")
    used = [row["source"] for row in manifest(out)["pictures"]]
    assert len(used) == 42 and sum("aia/" in name for name in used) in (7, 8)
    assert next(name for name in used if "ray_joy" in name).endswith("ray_joy_1.png")
    assert not any("mery_fear" in name for name in used)
    assert report(out)["left_out"][0]["reason"] == "not a picture that can be read"


def test_background_and_dropped_frames(tmp_path):
    tree = ferg_tree(tmp_path / "t", 2)
    for path in tree.rglob("*_1.png"):
        Image.new("RGBA", (16, 16), (9, 9, 9, 0)).save(path)
    (tmp_path / "drop.txt").write_text("# seen on the sheet\n1\nray/ray_joy/ray_joy_2.png\n")
    out = run_prepare(
        "dataset=ferg", f"source={tree}", f"out={tmp_path}/f.zip", "count=82", "resolution=16",
        "background='#0a141e'", f"drop={tmp_path}/drop.txt",
    )  # fmt: skip
    dataset, rows = open_dataset(out), manifest(out)["pictures"]
    clear = [i for i, row in enumerate(rows) if row["source"].endswith("_1.png")]
    assert torch.equal(dataset[clear[0]][0][:, 0, 0], torch.tensor([10, 20, 30], dtype=torch.uint8))
    assert left_out(out) == {
        "aia/aia_anger/aia_anger_1.png": "in the drop list",
        "ray/ray_joy/ray_joy_2.png": "in the drop list",
    }


def test_alignment_brings_the_points_to_their_places(tmp_path):
    tree = ferg_tree(tmp_path / "t", 1, px=64)
    spots = {(20, 22): (255, 0, 0), (36, 24): (0, 255, 0), (27, 41): (0, 0, 255)}
    for path in tree.rglob("*.png"):
        picture = Image.new("RGB", (64, 64), (90, 90, 90))
        for (x, y), colour in spots.items():
            picture.paste(colour, (x - 3, y - 3, x + 3, y + 3))
        picture.save(path)
    points = "".join(f"{c}: [[20, 22], [36, 24], [27, 41]]\n" for c in CHARACTERS)
    (tmp_path / "points.yaml").write_text(points)
    options = ["dataset=ferg", f"source={tree}", "count=42", "resolution=64", f"align.points={tmp_path}/points.yaml"]
    out = run_prepare(*options, f"out={tmp_path}/f.zip")
    pixels = open_dataset(out)[0][0].numpy().transpose(1, 2, 0)
    for (x, y), colour in zip([(24, 30), (40, 30), (32, 46)], spots.values(), strict=True):  # of 64: 0.375, 0.475, …
        assert np.abs(pixels[y, x].astype(int) - colour).max() < 60, (x, y)
    row = manifest(out)["pictures"][0]
    assert len(row["quad"]) == 4 and manifest(out)["options"]["align"]["points"]["aia"] == [
        [20, 22],
        [36, 24],
        [27, 41],
    ]
    (tmp_path / "points.yaml").write_text("aia: [[20, 22], [36, 24], [27, 41]]\n")
    with pytest.raises(UserError, match="no points for bonnie, jules"):
        run_prepare(*options, f"out={tmp_path}/g.zip")


def test_training_finds_the_zip_or_says_how_to_make_it(tree, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings = read(DatasetSettings, compose_config("train", ["dataset=ferg"])["dataset"])
    with pytest.raises(UserError, match=r"python prepare\.py dataset=ferg source=") as error:
        open_configured_dataset(settings)
    assert "\n" not in str(error.value)
    run_prepare("dataset=ferg", f"source={tree}", "count=50", "resolution=16")
    assert len(open_configured_dataset(settings)) == 50


@pytest.mark.parametrize("select", ["stride", "farthest"])
def test_the_number_to_ask_for_can_be_had(tmp_path, select):
    """At 18fbb5f "ask for at most 124" was followed by "at most 123", for each bad picture once more."""
    tree = ferg_tree(tmp_path / "in", 3)
    frames = sorted(tree.rglob("*.png"))
    for path in frames[5::25]:
        path.write_bytes(path.read_bytes()[:40])
    options = ["dataset=ferg", f"source={tree}", f"out={tmp_path}/f.zip", "resolution=16", f"select={select}"]
    good = len(frames) - len(frames[5::25])
    assert (len(frames), good) == (126, 121)
    for count in (127, 126, good + 1):
        with pytest.raises(
            UserError, match=f"count={count}: the source has {good} usable pictures, ask for at most {good}$"
        ):
            run_prepare(*options, f"count={count}")
    assert len(open_dataset(run_prepare(*options, f"count={good}"))) == good
