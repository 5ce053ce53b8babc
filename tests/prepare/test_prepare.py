"""prepare.py on folders and zips: what is written is what was asked for, by name, hash and pixel; it resumes."""

import hashlib
import io
import json
import os
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from src.cli import compose_config
from src.data import open_dataset
from src.errors import UserError
from src.options import read
from src.prepare import PrepareSettings
from src.prepare.render import Renderer

from .trees import encoded, ferg_tree, left_out, manifest, noise, report, run_prepare, write_files


def pictures(count, width=40, height=32):
    return {f"img{i}.png": encoded(noise(i, width, height)) for i in range(count)}


@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_a_set_is_read_back_bit_equal_with_its_manifest(tmp_path, kind):
    files = pictures(12) | {"sub/x.jpg": encoded(noise(50, 64, 64), "JPEG")}
    source = write_files(tmp_path / "in", files)
    if kind == "zip":
        source = Path(shutil.make_archive(str(tmp_path / "in"), "zip", source))
    out = run_prepare(f"source={source}", f"out={tmp_path}/out.zip", "resolution=16", "filter=bicubic")
    dataset, facts = open_dataset(out, on_bad="error"), manifest(out)
    assert len(dataset) == 13 and dataset.resolution == 16 and dataset.labels is None and not dataset.report.converted
    for i, row in enumerate(facts["pictures"]):
        assert row["file"] == f"00000/img{i:08d}.png"
        data = files[row["source"]]
        assert row["sha256"] == hashlib.sha256(data).hexdigest()
        picture = Image.open(io.BytesIO(data)).convert("RGB")
        assert row["size"] == list(picture.size)
        expected = picture.crop(row["crop"]).resize((16, 16), Image.Resampling.BICUBIC)
        assert np.array_equal(dataset[i][0].numpy(), np.asarray(expected).transpose(2, 0, 1))
    assert [r["source"] for r in facts["pictures"]][:3] == ["img0.png", "img1.png", "img2.png"]
    assert facts["options"]["filter"] == "bicubic" and facts["versions"]["pillow"]
    with zipfile.ZipFile(out) as archive:
        assert all(info.compress_type == zipfile.ZIP_STORED for info in archive.infolist())
        assert json.loads(archive.read("dataset.json")) == {"labels": None}


def test_labels_of_the_source_are_kept(tmp_path):
    table = {"labels": [[f"img{i}.png", i % 3] for i in range(5)]}
    files = pictures(6) | {"dataset.json": json.dumps(table).encode(), "notes.txt": b"x"}
    out = run_prepare(f"source={write_files(tmp_path / 'in', files)}", f"out={tmp_path}/o.zip", "resolution=16")
    assert open_dataset(out).labels == [0, 1, 2, 0, 1]
    assert left_out(out) == {"img5.png": "no label in dataset.json"}
    again = run_prepare(f"source={out}", f"out={tmp_path}/p.zip", "resolution=16", "crop=keep")
    assert torch.equal(open_dataset(again).images, open_dataset(out).images)
    assert open_dataset(again).labels == open_dataset(out).labels


def test_wide_pictures_are_padded_with_the_background(tmp_path):
    source = write_files(tmp_path / "in", {"a.png": encoded(noise(1, 80, 40)), "b.png": encoded(noise(2, 40, 40))})
    options = [f"source={source}", f"out={tmp_path}/w.zip", "crop=wide", "aspect=2/1", "resolution=32"]
    image = open_dataset(run_prepare(*options, "background=red"))[0][0]
    assert (image[0, :8] == 255).all() and (image[1:, :8] == 0).all() and (image[0, 24:] == 255).all()
    expected = np.asarray(noise(1, 80, 40).resize((32, 16), Image.Resampling.LANCZOS)).transpose(2, 0, 1)
    assert np.array_equal(image[:, 8:24].numpy(), expected)
    assert manifest(tmp_path / "w.zip")["pictures"][1]["crop"] == [0, 10, 40, 30]


def test_keep_takes_squares_only_and_null_keeps_their_size(tmp_path):
    files = {f"{i}.png": encoded(noise(i, 48, 48)) for i in range(3)}
    files |= {
        "big.png": encoded(noise(8, 64, 64)),
        "wide.png": encoded(noise(9, 64, 48)),
        "tiny.png": encoded(noise(7, 16, 16)),
    }
    source = write_files(tmp_path / "in", files)
    out = run_prepare(f"source={source}", f"out={tmp_path}/k.zip", "crop=keep", "resolution=null", "min_px=20")
    assert left_out(out) == {
        "big.png": "64x64, the first is 48x48",
        "wide.png": "64x48 is not a square (crop=keep)",
        "tiny.png": "16x16 is smaller than min_px=20",
    }
    with zipfile.ZipFile(out) as archive, archive.open("00000/img00000002.png") as member:
        assert np.array_equal(np.asarray(Image.open(member)), np.asarray(noise(2, 48, 48)))


def test_near_duplicates_are_left_out_and_paired(tmp_path):
    files = {f"{i}.png": encoded(noise(i, 64, 64)) for i in range(4)}
    files["5.jpg"] = encoded(noise(1, 64, 64), "JPEG", quality=70)
    files["6.png"] = encoded(noise(2, 80, 80))
    source = write_files(tmp_path / "in", files)
    out = run_prepare(f"source={source}", f"out={tmp_path}/o.zip", "resolution=64", "dedupe=6")
    assert [row["source"] for row in manifest(out)["pictures"]] == ["0.png", "1.png", "2.png", "3.png"]
    assert [pair[:2] for pair in report(out)["duplicates"]] == [["5.jpg", "1.png"], ["6.png", "2.png"]]
    assert left_out(out)["5.jpg"].startswith("near-duplicate of 1.png (")
    (tmp_path / "drop.txt").write_text("1.png\n")  # then the copy is no copy any more
    out = run_prepare(
        f"source={source}", f"out={tmp_path}/o.zip", "resolution=64", "dedupe=6", f"drop={tmp_path}/drop.txt"
    )
    assert [row["source"] for row in manifest(out)["pictures"]] == ["0.png", "2.png", "3.png", "5.jpg"]


def test_numbers_of_the_contact_sheet_stay_what_they_are(tmp_path):
    source = write_files(tmp_path / "in", pictures(110, 16, 16) | {"img3.png": b"bad"})
    out = run_prepare(f"source={source}", f"out={tmp_path}/o.zip", "resolution=16")
    pages = sorted(p.name for p in (tmp_path / "o-report").glob("contact-*.jpg"))
    assert pages == ["contact-000.jpg", "contact-001.jpg"]
    assert [row["number"] for row in manifest(out)["pictures"]][:4] == [0, 1, 2, 4]
    (tmp_path / "drop.txt").write_text("4\n\n  7  \n" + "".join(f"{n}\n" for n in range(80, 110)))
    out = run_prepare(f"source={source}", f"out={tmp_path}/o.zip", "resolution=16", f"drop={tmp_path}/drop.txt")
    assert [row["number"] for row in manifest(out)["pictures"]][:6] == [0, 1, 2, 5, 6, 8]
    assert [p.name for p in (tmp_path / "o-report").glob("contact-*.jpg")] == ["contact-000.jpg"]
    (tmp_path / "drop.txt").write_text("nobody.png\n")
    with pytest.raises(
        UserError, match=r"drop: nobody\.png is neither a file of the source nor a number from 0 to 109"
    ):
        run_prepare(f"source={source}", f"out={tmp_path}/o.zip", "resolution=16", f"drop={tmp_path}/drop.txt")


def test_backgrounds(tmp_path):
    clear = Image.new("RGBA", (32, 32), (40, 50, 60, 0))
    clear.paste((9, 9, 9, 255), (8, 8, 24, 24))
    source = write_files(tmp_path / "in", {"a.png": encoded(clear), "b.png": encoded(clear)})
    noise(3, 64, 64).save(tmp_path / "wall.png")
    corners = {}
    for name in ("black", "'#ff0102'", "own", f"{tmp_path}/wall.png"):
        out = run_prepare(f"source={source}", f"out={tmp_path}/o.zip", "resolution=32", f"background={name}")
        image = open_dataset(out)[0][0]
        assert (image[:, 10:20, 10:20] == 9).all()
        corners[name.strip("'")] = image[:, 0, 0].tolist()
    wall = np.asarray(noise(3, 64, 64).resize((32, 32), Image.Resampling.BICUBIC))[0, 0]
    assert corners["black"] == [0, 0, 0] and corners["#ff0102"] == [255, 1, 2] and corners["own"] == [40, 50, 60]
    assert np.abs(np.array(corners[f"{tmp_path}/wall.png"]) - wall).max() < 8
    known = manifest(out)["options"]
    assert known["background_sha256"] == hashlib.sha256((tmp_path / "wall.png").read_bytes()).hexdigest()
    assert str(tmp_path) not in json.dumps(manifest(out))


def test_a_finished_set_is_left_alone_and_a_change_is_noticed(tmp_path, capsys):
    source = write_files(tmp_path / "in", pictures(5))
    options = [f"source={source}", f"out={tmp_path}/o.zip", "resolution=16"]
    out = run_prepare(*options)
    before, written = out.read_bytes(), out.stat().st_mtime_ns
    run_prepare(*options)
    assert "nothing to do" in capsys.readouterr().out and out.stat().st_mtime_ns == written
    os.utime(source / "img0.png", ns=(1, 1))
    run_prepare(*options)
    assert "replaced" in capsys.readouterr().out
    assert [z for z in tmp_path.iterdir() if "unfinished" in z.name or "partial" in z.name] == []
    (source / "img9.png").write_bytes(encoded(noise(9)))
    assert len(open_dataset(run_prepare(*options))) == 6 and out.read_bytes() != before
    run_prepare(*options[:2], "resolution=8")
    assert open_dataset(out).resolution == 8
    (tmp_path / "o.zip").write_bytes(b"mine")
    with pytest.raises(UserError, match=r"exists and was not made by prepare\.py"):
        run_prepare(*options)
    assert (tmp_path / "o.zip").read_bytes() == b"mine"


@pytest.mark.parametrize("form", ["zip", "tfrecord"])
def test_sources_of_one_name_do_not_replace_each_other(tmp_path, monkeypatch, form):
    monkeypatch.chdir(tmp_path)
    for seed, place in enumerate(("A/faces", "B/faces")):
        write_files(tmp_path / place, {f"{i}.png": encoded(noise(10 * seed + i)) for i in range(3)})
    options = [f"format={form}", "resolution=16"]
    suffix = ".zip" if form == "zip" else ""
    out = run_prepare("source=A/faces", *options)
    assert out == Path(f"datasets/faces{suffix}")
    before = open_dataset(out).images
    with pytest.raises(UserError, match=f"^{out} was made of another source .faces.: .* out={out} to replace") as error:
        run_prepare("source=B/faces", *options)
    assert "\n" not in str(error.value) and torch.equal(open_dataset(out).images, before)
    (tmp_path / "A/faces/new.png").write_bytes(encoded(noise(99)))
    assert len(open_dataset(run_prepare("source=A/faces", *options))) == 4  # the same source, with a picture more
    (tmp_path / "A/faces").rename(tmp_path / "A/moved")
    run_prepare("source=A/moved", f"out={out}", *options)  # nothing to do
    assert not torch.equal(open_dataset(run_prepare("source=B/faces", *options, f"out={out}")).images[:3], before)
    assert str(tmp_path) not in json.dumps(_manifest(out))


def _manifest(out):
    return json.loads((out / "manifest.json").read_text()) if out.is_dir() else manifest(out)


def test_sets_of_a_recipe_do_not_replace_those_of_another_source(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for place in ("A", "B"):
        ferg_tree(tmp_path / place, 2)
    options = ["dataset=ferg", "count=44", "resolution=16"]
    out = run_prepare(*options, "source=A")
    before = out.read_bytes()
    with pytest.raises(UserError, match=r"was made of another source .A.: give another out="):
        run_prepare(*options, "source=B")
    assert out.read_bytes() == before
    run_prepare(*options[:1], "count=50", "resolution=16", "source=A")
    assert out.read_bytes() != before


@pytest.mark.parametrize("form", ["zip", "tfrecord"])
def test_what_follows_a_dot_belongs_to_a_folders_name(tmp_path, monkeypatch, form):
    monkeypatch.chdir(tmp_path)
    outs = []
    for name in ("2024.06.01", "2024.06.02"):
        write_files(tmp_path / name, pictures(3))
        outs.append(run_prepare(f"source={name}", f"format={form}", "resolution=16"))
    suffix = ".zip" if form == "zip" else ""
    assert [out.name for out in outs] == [f"2024.06.01{suffix}", f"2024.06.02{suffix}"]
    reports = sorted(path.name for path in (tmp_path / "datasets").glob("*-report"))
    assert reports == ["2024.06.01-report", "2024.06.02-report"]
    archive = shutil.make_archive(str(tmp_path / "2024.07"), "zip", tmp_path / "2024.06.01")
    assert run_prepare(f"source={archive}", "resolution=16").name == "2024.07.zip"


def test_a_report_that_was_deleted_is_not_pointed_at(tmp_path, capsys):
    options = [f"source={write_files(tmp_path / 'in', pictures(3))}", f"out={tmp_path}/o.zip", "resolution=16"]
    run_prepare(*options)
    run_prepare(*options)
    assert capsys.readouterr().out.count("report: ") == 2
    shutil.rmtree(tmp_path / "o-report")
    run_prepare(*options)
    printed = capsys.readouterr().out
    assert "nothing to do" in printed and "report: " not in printed


@pytest.mark.parametrize("recipe", ["folder", "ferg"])
def test_an_interrupted_run_goes_on_and_ends_the_same(tmp_path, monkeypatch, recipe, capsys):
    source = ferg_tree(tmp_path / "in", 3) if recipe == "ferg" else write_files(tmp_path / "in", pictures(30))
    extra = ["dataset=ferg", "count=60", "select=farthest"] if recipe == "ferg" else []
    options = [*extra, f"source={source}", "resolution=16"]
    whole = run_prepare(*options, f"out={tmp_path}/a/o.zip").read_bytes()
    render, seen = Renderer.__call__, []

    def failing(self, name, *rest):
        seen.append(name)
        if len(seen) > 20:
            raise KeyboardInterrupt
        return render(self, name, *rest)

    monkeypatch.setattr(Renderer, "__call__", failing)
    with pytest.raises(KeyboardInterrupt):
        run_prepare(*options, f"out={tmp_path}/b/o.zip")
    assert not (tmp_path / "b" / "o.zip").exists()
    (log,) = (tmp_path / "b").glob(".o.zip.unfinished/records.jsonl")
    done = len(log.read_text().splitlines())
    assert done > 3
    last = json.loads(log.read_text().splitlines()[-1])["number"]
    (log.parent / f"{last}.png").write_bytes(b"cut")  # by the interruption
    with open(log, "a", encoding="utf-8") as file:
        file.write('{"number": 7, "sha2')
    again = []
    monkeypatch.setattr(
        Renderer, "__call__", lambda self, name, *rest: (again.append(name), render(self, name, *rest))[1]
    )
    capsys.readouterr()
    out = run_prepare(*options, f"out={tmp_path}/b/o.zip")
    assert f"continuing: {done - 1} pictures" in capsys.readouterr().out
    assert len(again) == (60 if recipe == "ferg" else 30) - done + 1
    assert out.read_bytes() == whole
    assert sorted(p.name for p in (tmp_path / "b").iterdir()) == ["o-report", "o.zip"]


def test_tfrecords_are_read_back_bit_equal(tmp_path):
    tree = ferg_tree(tmp_path / "in", 2)
    options = ["dataset=ferg", f"source={tree}", "count=50", "resolution=16"]
    as_zip = open_dataset(run_prepare(*options, f"out={tmp_path}/o.zip"))
    folder = run_prepare(*options, f"out={tmp_path}/records", "format=tfrecord")
    assert (folder / "records-r04.tfrecords").is_file() and (folder / "manifest.json").is_file()
    records = open_dataset(folder)
    assert torch.equal(records.images, as_zip.images) and records.labels == as_zip.labels
    written = (folder / "manifest.json").stat().st_mtime_ns
    run_prepare(*options, f"out={tmp_path}/records", "format=tfrecord")
    assert (folder / "manifest.json").stat().st_mtime_ns == written
    run_prepare("dataset=ferg", f"source={tree}", "count=44", "resolution=16", f"out={folder}", "format=tfrecord")
    assert len(open_dataset(folder)) == 44
    back = open_dataset(run_prepare(f"source={folder}", f"out={tmp_path}/back.zip", "resolution=16"))
    assert torch.equal(back.images, open_dataset(folder).images)


WRONG = [
    ("resolution=48", "resolution=48: give a power of two from 8 to 4096"),
    ("resolution=4", "resolution=4: give a power of two from 8 to 4096"),
    ("resolution=null", "say crop=keep as well"),
    ("filter=sharp", "filter=sharp: give lanczos, bicubic, "),
    ("crop=left", "crop=left: give center, wide or keep"),
    ("crop=wide", "crop=wide: needs aspect=WIDTH/HEIGHT"),
    ("aspect=16/9", "aspect=16/9: has no effect with crop=center"),
    ("crop=wide aspect=1", "aspect=1: give width over height"),
    ("crop=wide aspect=x", "aspect=x: give width over height"),
    ("crop=keep resolution=null filter=box", "filter=box: has no effect with resolution=null"),
    ("dataset=ferg crop=keep resolution=null", "give dataset=ferg a resolution"),
    ("min_px=2", "min_px=2: give a whole number from 8"),
    ("dedupe=64", "dedupe=64: give a whole number from 0 to 32 or null"),
    ("dataset=ferg dedupe=3", "dedupe=3: has no effect with dataset=ferg"),
    ("count=5", "count=5: has no effect with dataset=folder"),
    ("select=stride", "select=stride: has no effect with dataset=folder"),
    ("dataset=ferg select=random", "select=random: give stride, farthest or null"),
    ("align.points=p.yaml", "align.points=p.yaml: has no effect with dataset=folder"),
    ("dataset=ferg align.padding=reflect", "align.padding=reflect: has no effect without align.points"),
    ("dataset=ferg align.points=p.yaml crop=keep", "crop=keep: has no effect with align.points"),
    ("dataset=ferg align.points=p.yaml align.padding=background background=own", "background=own is no colour"),
    ("dataset=ferg align.points=p.yaml", "align.points=p.yaml: cannot be read"),
    ("background=blurple", "background=blurple: give a colour name, #rrggbb, own, or the file of a picture"),
    ("out='~nobody-at-all/x'", "out=~nobody-at-all/x: must end in .zip"),
    ("out=x.png", "out=x.png: must end in .zip"),
    ("format=tfrecord out=x.zip", "out=x.zip: format=tfrecord writes a folder"),
    ("out=pics/o.zip", "lies in the source"),
    ("drop=none.txt", "drop=none.txt: cannot be read"),
    (
        "dataset=demo",
        "dataset=demo: is not prepared from files: choose ferg, yuanshen or folder",
    ),
    ("dataset.path=x", "dataset.path=x: is train.py's; say source=x"),
    ("dataset.mirror=false", "dataset.mirror=false: is train.py's and has no effect here"),
    ("align=3", "align=3"),
]


@pytest.mark.parametrize(("options", "words"), WRONG)
def test_wrong_options_are_one_line(options, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pics").mkdir()
    with pytest.raises(UserError) as error:
        read(PrepareSettings, compose_config("prepare", ["source=pics", *options.split()]))
    assert words in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("case", ["missing", "empty", "one", "no_ferg"])
def test_unusable_sources_are_one_line(case, tmp_path):
    files = {"missing": {}, "empty": {}, "one": pictures(1), "no_ferg": pictures(3)}[case]
    source = tmp_path / "in"
    if case != "missing":
        source.mkdir()
    write_files(source, files)
    words = {"missing": "no such folder", "empty": "no files in it", "one": "1 usable", "no_ferg": "aia_anger_1.png"}
    options = ["dataset=ferg"] if case == "no_ferg" else []
    with pytest.raises(UserError, match=words[case]) as error:
        run_prepare(f"source={source}", f"out={tmp_path}/o.zip", *options)
    assert "\n" not in str(error.value) and "dataset.path" not in str(error.value)
    assert not (tmp_path / "o.zip").exists()
