"""The folder of the results: nothing of another source is overwritten, nothing stale stays, nothing is found anew."""

import json
import os
import re
import shutil
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from src.caricature import gather
from src.caricature.projections import Projections
from src.caricature.run import caricature
from src.caricature.settings import BlendChoice, CaricatureSettings, PageSettings
from src.cli import compose_config
from src.errors import UserError
from src.faces import Face, FaceSettings
from src.files import update_json
from src.options import read
from src.projection import ProjectionChoice, read_codes
from src.runs import PathsSettings
from src.tracking.sweep_runs import _digest
from src.tracking.wandb_record import WandbRecord
from src.weights import load_network


def make(settings, run_dir, **changes):
    return caricature(replace(settings, **changes))


def files(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


@pytest.fixture
def photos(holiday, tmp_path):
    return shutil.copytree(holiday, tmp_path / "holiday")


def stored(result):
    return json.loads((result.folder / "report.json").read_text())


@pytest.mark.parametrize("place", ["results", "deep/in/it"])
def test_results_among_the_photographs_are_no_photographs(settings, run_dir, photos, place, capsys):
    out = photos / place
    first = make(settings, run_dir, photos=photos, out=out)
    names, there = first.names, files(photos)
    again = make(settings, run_dir, photos=photos, out=out)
    assert (again.names, files(photos)) == (names, there)
    assert stored(again)["reused"] == 3
    other = make(settings, run_dir, photos=photos, out=photos / "other")
    assert other.names == names
    assert f"{place}/" in capsys.readouterr().out
    with pytest.raises(UserError, match="is the folder of the photographs"):
        make(settings, run_dir, photos=photos, out=photos)


def test_runs_among_the_photographs_are_no_photographs(settings, run_dir, photos):
    inside = shutil.copytree(run_dir.parent, photos / "runs")
    (inside / "mine" / "samples").mkdir()
    shutil.copy(photos / "person-00.png", inside / "mine" / "samples" / "kimg.png")
    result = caricature(
        replace(settings, photos=photos, out=None, run=inside / "mine", paths=PathsSettings(runs=inside))
    )
    assert result.names == ["person-00", "person-01", "person-02"]
    assert result.folder == inside / "mine" / "caricatures" / "holiday"


def test_sources_of_one_name_have_their_own_folders(settings, run_dir, holiday, tmp_path):
    folders = []
    for name in ("a/2024.06.01", "b/2024.06.01", "b/2024.06.02"):
        photos = tmp_path / name
        photos.mkdir(parents=True)
        for suffix in (".png", ".json"):
            shutil.copy((holiday / "person-00").with_suffix(suffix), photos / f"IMG{suffix}")
        folders.append(make(settings, run_dir, photos=photos, out=None).folder)
        assert make(settings, run_dir, photos=photos, out=None).folder == folders[-1]
    assert [folder.name for folder in folders] == ["2024.06.01", "2024.06.01-2", "2024.06.02"]
    there = files(folders[0])
    with pytest.raises(UserError, match=r"holds what was made from .*a/2024\.06\.01; give another out="):
        make(settings, run_dir, photos=tmp_path / "b/2024.06.02", out=folders[0])
    assert files(folders[0]) == there


def test_what_is_no_longer_made_is_removed(settings, run_dir, photos):
    make(settings, run_dir, photos=photos)
    (settings.out / "caricatures" / "mine.png").write_bytes(b"kept")
    (photos / "person-02.png").unlink()
    result = make(settings, run_dir, photos=photos, paste=False)
    left = files(settings.out)
    assert [name for name in left if name.startswith("caricatures/")] == [
        "caricatures/mine.png",
        "caricatures/person-00.png",
        "caricatures/person-01.png",
    ]
    assert not [name for name in left if name.startswith("photos/")]
    assert result.names == ["person-00", "person-01"]


def test_damaged_codes_are_made_anew(settings, run_dir):
    first = make(settings, run_dir)
    path = first.folder / "codes" / "person-01.safetensors"
    path.write_bytes(b"x")
    again = make(settings, run_dir)
    assert stored(again)["reused"] == 2
    assert read_codes(path, load_network("demo").G_ema)[0].name == "person-01"


@pytest.mark.parametrize(
    ("changes", "words"),
    [({"strength": [1.0]}, "1 values for 3 faces"), ({"strength": {"anna": 1.0}}, "no such face; faces are person-00")],
)
def test_strengths_are_checked_before_anything_is_projected(settings, run_dir, monkeypatch, changes, words):
    monkeypatch.setattr(Projections, "fill", lambda *_, **__: pytest.fail("projected"))
    with pytest.raises(UserError, match=words):
        make(settings, run_dir, **changes)


def test_mistakes_are_told_before_faces_are_looked_for(settings, run_dir, tmp_path, monkeypatch):
    monkeypatch.setattr(gather, "find_faces", lambda *_, **__: pytest.fail("looked for faces"))
    with pytest.raises(UserError, match=r"nowhere\.npy"):
        make(settings, run_dir, projection=ProjectionChoice(start=tmp_path / "nowhere.npy"))
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="file"):
        make(settings, run_dir, out=tmp_path / "file" / "out")


def test_a_failed_command_does_not_keep_its_folder(settings, run_dir, holiday, tmp_path):
    nobody = tmp_path / "nobody"
    nobody.mkdir()
    for suffix in (".png", ".json"):
        shutil.copy(holiday / f"nobody{suffix}", nobody)
    for out in (settings.out, None):
        with pytest.raises(UserError, match="no usable face"):
            make(settings, run_dir, photos=nobody, out=out)
    with pytest.raises(UserError, match="no such face"):
        make(settings, run_dir, photos=holiday, strength={"anna": 1.0})
    assert not list(tmp_path.rglob("source.json"))
    elsewhere = shutil.copytree(holiday, tmp_path / "elsewhere")
    assert make(settings, run_dir, photos=elsewhere).names == ["person-00", "person-01", "person-02"]
    with pytest.raises(UserError, match=r"holds what was made from .*elsewhere"):
        make(settings, run_dir, photos=holiday)
    assert (settings.out / "source.json").is_file()


class Interrupted:
    """Finds the faces of a picture, and is stopped at the third."""

    def __init__(self, stop_at):
        self.asked, self.stop_at = [], stop_at

    def find(self, image, name):
        if len(self.asked) == self.stop_at:
            raise KeyboardInterrupt
        self.asked.append(name)
        points = np.random.default_rng(0).uniform(40, 120, [68, 2])
        points[36:42], points[42:48], points[48], points[54] = [60, 70], [100, 70], [65, 110], [95, 110]
        return [Face(points)]

    def identity(self, name):
        return "one for all"


def test_an_interrupted_search_goes_on_where_it_stopped(settings, run_dir):
    easy = replace(settings, faces=FaceSettings(align_px=128, max_yaw=None, min_sharpness=None, max_outside=None))
    with pytest.raises(KeyboardInterrupt):
        caricature(easy, provider=Interrupted(2))
    provider = Interrupted(None)
    caricature(easy, provider=provider)
    assert provider.asked == [
        "person-01.png",
        "person-02.png",
    ]  # two were known


def test_a_latin_1_name_is_shown_readable(settings, run_dir, holiday, tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    for suffix in (b".png", b".json"):
        name = photos / os.fsdecode(b"M\xfcller" + suffix)
        shutil.copy(holiday / f"person-00{suffix.decode()}", name)
    result = make(settings, run_dir, photos=photos)
    assert len(result.names) == 1 and result.names[0].startswith("M_ller")
    assert "M_ller.png" in result.page.read_text()


def test_many_faces_have_several_sheets(from_codes, run_dir, tmp_path):
    G = load_network("demo").G_ema
    folder = tmp_path / "many"
    folder.mkdir()
    for i in range(103):
        np.save(folder / f"{i:03d}.npy", G.mapping.w_avg.repeat(G.num_ws, 1).numpy())
    result = make(from_codes, run_dir, codes=folder, page=PageSettings(strengths=(1.0,), resolutions=(8,)))
    assert stored(result)["sheets"] == ["sheet.jpg", "sheet-2.jpg"]
    first, second = (np.asarray(Image.open(result.folder / name)) for name in stored(result)["sheets"])
    assert second.shape[0] < first.shape[0] < 51 * 210
    assert len(result.names) == len(list((result.folder / "caricatures").iterdir())) == 103
    page = result.page.read_text()
    assert page.count("panel one") == 100
    assert "The first 100 of 103 faces; all are in caricatures/." in page
    for name in result.names[2:]:
        (folder / f"{name}.npy").unlink()
    make(from_codes, run_dir, codes=folder, page=PageSettings(strengths=(1.0,), resolutions=(8,)))
    assert not (result.folder / "sheet-2.jpg").exists()
    assert len(list((result.folder / "caricatures").iterdir())) == 2


def test_sliders_stop_at_each_faces_own_strength(from_codes, run_dir):
    result = make(
        from_codes, run_dir, page=PageSettings(strengths=(1.5, 1.0, 0.0), resolutions=(8,)), strength=[0.7, 1.0]
    )
    text = result.page.read_text()
    data = json.loads(re.search(r'id="data">(.*?)</script>', text, re.DOTALL)[1])
    assert data["stops"] == [[0.0, 0.7, 1.0, 1.5], [0.0, 1.0, 1.5]]
    assert [[len(row) for row in face] for face in data["faces"]] == [[4, 4], [3, 3]]
    one, other = data["faces"]
    chosen = data["resolutions"].index(16)
    assert f'base64,{one[chosen][1]}" alt="anna, caricature"' in text
    assert f'base64,{other[chosen][1]}" alt="bert, caricature"' in text
    assert len({*one[chosen]}) == 4


def test_the_page_of_codes_says_nothing_of_a_projection(from_codes, run_dir, settings, capsys):
    text = make(from_codes, run_dir).page.read_text()
    assert "noise maps" not in text and "projected into" not in text
    projected = make(settings, run_dir, out=settings.out / "p").folder / "codes"
    capsys.readouterr()
    make(from_codes, run_dir, codes=projected, out=settings.out / "same")
    assert "projected into another file" not in capsys.readouterr().out
    base = str(run_dir / "snapshots" / "kimg-000001.00.safetensors")
    make(
        from_codes,
        run_dir,
        codes=projected,
        base=base,
        network=base,
        run="latest",
        page=PageSettings(),
        out=settings.out / "other",
    )
    assert "person-00 and 2 more: projected into another file than base" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["codes=a", "faces.which=all"], "faces.which=all: has no effect with codes="),
        (["codes=a", "projection.steps=777"], "projection.steps=777: has no effect with codes="),
        (["codes=a", "projection.recipe=nvidia"], "projection.recipe=nvidia: has no effect with codes="),
        (["codes=a", "seed=5"], "seed=5: has no effect with codes="),
        (["codes=a", "paste=false"], "paste=false: has no effect with codes="),
        (["photos=a", "network=n", "base=b", "run=r"], "run=r: has no effect beside network= and base="),
        (["photos=a", "projection.patience=300"], "projection.patience=300: has no effect: there are 200 steps"),
    ],
)
def test_options_without_effect_are_refused(overrides, words):
    with pytest.raises(UserError, match=re.escape(words)):
        read(CaricatureSettings, compose_config("caricature", overrides))


def test_codes_alone_are_a_usual_choice():
    assert read(CaricatureSettings, compose_config("caricature", ["codes=a", "strength=0.5"])).photos is None


def test_the_blend_is_named_as_weights_and_biases_calls_it_once_it_has_it(from_codes, run_dir):
    def named():
        result = caricature(from_codes)
        return stored(result)["artifact"], "in Weights &amp; Biases" in result.page.read_text()

    sweep = run_dir / "sweeps/cartoon-low"
    (sweep / "cells.jsonl").touch()
    assert named() == (None, False)
    record = WandbRecord(sweep / "wandb.json", "summary")
    record.opened("online", "log", "us/caricature/abc")
    assert named() == (None, False), "only begun"
    update_json(sweep / "wandb.json", shown=_digest(sweep))
    assert named() == ("us/caricature/mine-cartoon-low:best", True)
    assert stored(make(from_codes, run_dir, blend=BlendChoice(res=8)))["artifact"] is None, "another blend"
