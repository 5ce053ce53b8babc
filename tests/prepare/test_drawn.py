"""prepare.py dataset=yuanshen: every face of every screenshot is cut out or left out with its reason."""

import hashlib
import io
import json

import numpy as np
import pytest
from PIL import Image

from src.cli import compose_config
from src.data import DatasetSettings, open_configured_dataset, open_dataset
from src.errors import UserError
from src.options import read
from src.prepare import PrepareSettings
from src.prepare.drawn_faces import dropped_faces
from src.prepare.face_boxes import FaceBox, checked_boxes
from src.prepare.face_cuts import FaceCutter, cut_mirrored, outside_share, square_about
from src.prepare.run import main

from .drawn_pictures import face, screenshot
from .trees import left_out, manifest, report, run_prepare, write_files

DETECTOR = "faces.detector=tests.prepare.drawn_pictures:find"


def options(tmp_path, *more):
    return ["dataset=yuanshen", f"source={tmp_path}/in", f"out={tmp_path}/o.zip", "resolution=32", DETECTOR, *more]


@pytest.fixture
def shots(tmp_path):
    """Two faces, one, a copy before another background, and each way to be left out."""
    files = {
        "a.png": screenshot((face(1), 100, 110), (face(2, 80), 400, 120)),
        "b.png": screenshot((face(3), 300, 100), seed=1),
        "copy.png": screenshot((face(1), 200, 100), seed=2),
        "blurred.png": screenshot((face(4, blur=9), 100, 110), (face(5), 400, 110)),
        "small.png": screenshot((face(6, 40), 100, 110)),
        "edge.png": screenshot((face(7), 0, 110), (face(8), 290, -40)),
        "empty.png": screenshot(),
        "bad.png": b"no picture",
        "notes.txt": b"x",
    }
    write_files(tmp_path / "in", files)
    return files


def test_faces_are_cut_out_and_every_other_one_has_its_reason(tmp_path, shots):
    out = run_prepare(*options(tmp_path, "faces.margin=0.25"))
    facts = manifest(out)
    assert [(row["number"], row["source"]) for row in facts["pictures"]] == [
        ("0.1", "a.png"),
        ("0.2", "a.png"),
        ("1.1", "b.png"),
        ("3.2", "blurred.png"),
        ("5.1", "edge.png"),
    ]
    reasons = left_out(out)
    assert reasons["bad.png"].startswith("not a picture")
    assert reasons["empty.png"] == "no face found"
    assert reasons["copy.png#1"].startswith("near-duplicate of ")
    assert reasons["blurred.png#1"].startswith("blurred (sharpness ")
    assert reasons["small.png#1"] == "too small (40 px, faces.min_px=64)"
    assert reasons["edge.png#2"].startswith("cut off by the edge (")
    assert set(reasons) == {"bad.png", "blurred.png#1", "copy.png#1", "edge.png#2", "empty.png", "small.png#1"}
    found = report(out)
    assert (found["num_faces"], found["with_faces"], found["pictures"]) == (9, 6, 8)
    assert len(facts["pictures"]) + len(facts["left_out"]) == 9
    assert all(
        {"number", "source", "face", "score", "crop", "sha256", "reason"} <= set(row) for row in facts["left_out"]
    )


def test_the_pixels_are_those_of_the_named_crop(tmp_path, shots):
    out = run_prepare(*options(tmp_path, "faces.margin=0.25", "filter=bicubic"))
    dataset, rows = open_dataset(out, on_bad="error"), manifest(out)["pictures"]
    row = next(r for r in rows if r["source"] == "b.png")
    assert row["sha256"] == hashlib.sha256(shots["b.png"]).hexdigest()
    assert row["face"] == [300, 100, 396, 196] and row["crop"] == [276, 76, 420, 220] and row["score"] == 9.6
    picture = Image.open(io.BytesIO(shots["b.png"])).crop(row["crop"]).resize((32, 32), Image.Resampling.BICUBIC)
    assert np.array_equal(dataset[rows.index(row)][0].numpy(), np.asarray(picture).transpose(2, 0, 1))
    chosen = manifest(out)["options"]["faces"]
    assert (
        chosen["detector"] == "tests.prepare.drawn_pictures:find"
        and len(chosen["sha256"]) == 64
        and chosen["margin"] == 0.25
    )


def test_beyond_the_edge_the_picture_is_mirrored(tmp_path):
    write_files(
        tmp_path / "in", {"a.png": screenshot((face(1), 0, 110)), "b.png": screenshot((face(2), 300, 110), seed=3)}
    )
    out = run_prepare(*options(tmp_path, "faces.margin=0.25"))
    edge, inside = manifest(out)["pictures"]
    assert edge["crop"] == [-24, 86, 120, 230]
    assert "mirrored beyond the edge" in edge["notes"] and "mirrored beyond the edge" not in inside["notes"]
    out = run_prepare(*options(tmp_path, "faces.margin=0.25", "faces.max_outside=1"))
    assert len(manifest(out)["pictures"]) == 2
    write_files(tmp_path / "in", {"c.png": screenshot((face(4), 500, 110), seed=4)})
    out = run_prepare(*options(tmp_path, "faces.margin=0.25", "faces.max_outside=0.1"))
    assert left_out(out) == {"a.png#1": "cut off by the edge (17% of its crop is outside, faces.max_outside=0.1)"}


def test_numbers_and_names_prune_and_stay_what_they_are(tmp_path, shots):
    out = run_prepare(*options(tmp_path))
    assert [row["number"] for row in manifest(out)["pictures"]] == ["0.1", "0.2", "1.1", "3.2", "5.1"]
    assert left_out(out)["copy.png#1"].startswith("near-duplicate of 0.1 (")
    (tmp_path / "drop.txt").write_text("0.1\nb.png  \n")
    out = run_prepare(*options(tmp_path, f"drop={tmp_path}/drop.txt"))
    assert [row["number"] for row in manifest(out)["pictures"]] == ["0.2", "3.2", "5.1"]
    assert left_out(out)["a.png#1"] == left_out(out)["b.png#1"] == "in the drop list"
    assert left_out(out)["copy.png#1"].startswith("near-duplicate of 0.1 ("), "it does not come up in 0.1's place"
    (tmp_path / "drop.txt").write_text("a.png#9\n")
    with pytest.raises(UserError, match=r"drop: a\.png#9: a\.png has 2 faces"):
        run_prepare(*options(tmp_path, f"drop={tmp_path}/drop.txt"))


def test_what_a_drop_list_may_say():
    names, counts = ["a.png", "b.txt", "c#1.png"], {0: 2, 2: 1}
    entries = ["0.2", "2", "a.png#1", "a.png", "c#1.png", "c#1.png#1"]
    assert dropped_faces(entries, names, counts) == {(0, 2), (2, None), (0, 1), (0, None), (2, 1)}
    for wrong in ("1", "1.1", "3", "nobody.png", "0.x", "-1", "b.txt"):
        with pytest.raises(UserError, match=r"neither a picture of the source nor a number"):
            dropped_faces([wrong], names, counts)
    for wrong in ("0.0", "0.3", "c#1.png#2"):
        with pytest.raises(UserError, match="counted from 1"):
            dropped_faces([wrong], names, counts)


def test_limits_do_not_change_numbers(tmp_path, shots):
    strict = manifest(run_prepare(*options(tmp_path, "faces.min_px=90")))
    loose = manifest(run_prepare(*options(tmp_path, "faces.min_px=8", "faces.min_sharpness=0", "dedupe=0")))
    places = {row["number"]: row["face"] for row in loose["pictures"]}
    assert len(places) > len(strict["pictures"]) and all(places[r["number"]] == r["face"] for r in strict["pictures"])


def test_scores(tmp_path, shots):
    out = run_prepare(*options(tmp_path, "faces.min_score=9"))
    assert left_out(out)["a.png#2"] == "hardly a face (score 8, faces.min_score=9)"


def test_an_interrupted_run_goes_on_and_ends_the_same(tmp_path, shots, monkeypatch, capsys):
    whole = run_prepare(*options(tmp_path)[:2], f"out={tmp_path}/w.zip", "resolution=32", DETECTOR).read_bytes()
    cut, seen = FaceCutter.__call__, []

    def failing(self, name, *rest):
        seen.append(name)
        if name == "copy.png":
            raise KeyboardInterrupt
        return cut(self, name, *rest)

    monkeypatch.setattr(FaceCutter, "__call__", failing)
    with pytest.raises(KeyboardInterrupt):
        run_prepare(*options(tmp_path))
    assert not (tmp_path / "o.zip").exists()
    log = tmp_path / ".o.zip.unfinished" / "records.jsonl"
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    last = [line for line in lines if "png_crc32" in line][-1]["number"]
    (log.parent / f"{last}.png").write_bytes(b"cut")  # by the interruption: its picture is looked at again
    again = []
    monkeypatch.setattr(FaceCutter, "__call__", lambda self, name, *r: (again.append(name), cut(self, name, *r))[1])
    out = run_prepare(*options(tmp_path))
    assert "continuing" in capsys.readouterr().out
    assert 0 < len(again) < 8 and out.read_bytes() == whole
    assert sorted(p.name for p in tmp_path.iterdir() if p.name.startswith((".o", "o"))) == ["o-report", "o.zip"]
    run_prepare(*options(tmp_path))
    assert "nothing to do" in capsys.readouterr().out


def test_training_reads_the_usual_place(tmp_path, shots, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    settings = read(DatasetSettings, compose_config("train", ["dataset=yuanshen"])["dataset"])
    with pytest.raises(UserError, match=r"screenshots or illustrations.*prepare\.py dataset=yuanshen source=FOLDER"):
        open_configured_dataset(settings)
    main(compose_config("prepare", ["dataset=yuanshen", "source=in", "resolution=32", DETECTOR]))
    assert "python train.py dataset=yuanshen\n" in capsys.readouterr().out
    assert open_configured_dataset(settings).resolution == 32


WRONG = [
    ("faces.margin=1", "faces.margin=1: has no effect with dataset=folder, it is for dataset=yuanshen"),
    ("weights.folder=w", "weights.folder=w: has no effect here"),
    ("dataset=ferg faces.min_px=70", "faces.min_px=70: has no effect with dataset=ferg"),
    ("dataset=yuanshen faces.margin=9", "faces.margin=9: give a number from 0 to 4"),
    ("dataset=yuanshen faces.max_outside=2", "faces.max_outside=2: give a number from 0 to 1"),
    ("dataset=yuanshen faces.min_px=2", "faces.min_px=2: give a number from 8"),
    ("dataset=yuanshen crop=keep", "crop=keep: has no effect with dataset=yuanshen"),
    ("dataset=yuanshen crop=keep resolution=null", "resolution=null: give dataset=yuanshen a resolution"),
    ("dataset=yuanshen count=9", "count=9: has no effect with dataset=yuanshen"),
    ("dataset=yuanshen faces.sha256=0123456789", "faces.sha256=0123456789: has no effect without faces.detector"),
    (
        "dataset=yuanshen faces.detector=a.b:c faces.sha256=0123456789",
        "=0123456789: has no effect with a function",
    ),
    (
        "dataset=yuanshen faces.detector=a.b:c weights.folder=w",
        "weights.folder=w: has no effect here",
    ),
    ("dataset=yuanshen faces=3", "faces=3"),
]


@pytest.mark.parametrize(("given", "words"), WRONG)
def test_wrong_options_are_one_line(given, words):
    with pytest.raises(UserError) as error:
        read(PrepareSettings, compose_config("prepare", ["source=pics", *given.split()]))
    assert words in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("fail", r"fail: failed \(RuntimeError: out of ideas\)"),
        ("four_numbers", r"a\.png: gave an array of shape \[1, 4\]"),
        ("backwards", "gave a box that is none"),
        ("words", "gave no table of numbers"),
        ("NUMBER", "has no function NUMBER"),
        ("nothing_here", "has no function nothing_here"),
        ("find_nothing", r"0 usable pictures, at least 2 needed"),
    ],
)
def test_a_detector_that_fails_is_one_line(tmp_path, name, words):
    write_files(tmp_path / "in", {"a.png": screenshot((face(1), 100, 110))})
    with pytest.raises(UserError, match=words) as error:
        run_prepare(*options(tmp_path), f"faces.detector=tests.prepare.drawn_pictures:{name}")
    assert "\n" not in str(error.value) and not (tmp_path / "o.zip").exists()


def test_one_box_a_face_from_left_to_right_within_the_picture():
    found = [
        [50, 0, 60, 10, 1],
        [0, 0, 20, 20, 3],
        [4, 4, 12, 12, 2],
        [-5, -5, 3, 3, 1],
        [95, 5, 200, 30, 1],
        [200, 0, 210, 9, 1],
    ]
    boxes = checked_boxes(found, 100, 50, "x")
    assert [b.numbers() for b in boxes] == [[0, 0, 20, 20], [50, 0, 60, 10], [95, 5, 100, 30]]
    assert checked_boxes([], 10, 10, "x") == [] == checked_boxes(np.zeros((0, 5)), 10, 10, "x")


def test_the_geometry_of_crops():
    box = FaceBox(10, 20, 30, 60, 1)
    assert square_about(box, 0) == (0, 20, 40, 60) and square_about(box, 0.5) == (-20, 0, 60, 80)
    assert outside_share((0, 0, 10, 10), 10, 10) == 0 and outside_share((-5, 0, 5, 10), 10, 10) == 0.5
    assert outside_share((20, 0, 30, 10), 10, 10) == 1
    rgb = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    assert np.array_equal(cut_mirrored(rgb, (-2, 0, 2, 4))[:, :2], rgb[:, 1::-1])
    assert np.array_equal(cut_mirrored(rgb, (1, 1, 3, 3)), rgb[1:3, 1:3])
