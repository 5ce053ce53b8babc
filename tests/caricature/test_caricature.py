"""From photographs to caricatures: what is written, reused, rendered, pasted, and how mistakes are answered."""

import json
import re
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from src.caricature.models import dialled, open_models
from src.caricature.run import caricature
from src.caricature.settings import BlendChoice, CaricatureSettings, PageSettings, TuningSettings
from src.cli import compose_config
from src.data import to_uint8
from src.errors import UserError
from src.faces import FaceSettings
from src.networks import blend
from src.options import read
from src.projection import read_codes, structural_similarity
from src.weights import load_network, read_meta

from ..scripts import start
from .conftest import KIMG, RESOLUTION


def make(settings, run_dir, **changes):
    return caricature(replace(settings, **changes))


def caricatures(result):
    """Of all faces: uint8 `[N, 3, r, r]`."""
    images = [picture(result.folder / "caricatures" / f"{name}.png") for name in result.names]
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)


def picture(path):
    return np.asarray(Image.open(path))


def test_the_whole_way(settings, run_dir, capsys):
    result = make(settings, run_dir)
    out = result.folder
    assert result.names == ["person-00", "person-01", "person-02"]
    base, best = (
        load_network(run_dir / f).G_ema
        for f in ("snapshots/kimg-000000.00.safetensors", "sweeps/cartoon-low/best.safetensors")
    )
    for name in result.names:
        codes = np.load(out / "codes" / f"{name}.npy")
        assert (codes.shape, codes.dtype) == ((base.num_ws, base.w_dim), np.float32)
        ws = torch.from_numpy(codes)[None]
        with torch.no_grad():
            expected = to_uint8(best.synthesis(ws))[0].permute(1, 2, 0).numpy()
            again = to_uint8(base.synthesis(ws))[0].permute(1, 2, 0).numpy()
        assert np.abs(picture(out / "caricatures" / f"{name}.png").astype(int) - expected).max() <= 1
        assert np.abs(picture(out / "codes" / f"{name}.png").astype(int) - again).max() <= 1
        assert picture(out / "faces" / f"{name}.png").shape == (64, 64, 3)
        assert picture(out / "photos" / f"{name}.jpg").shape == picture(settings.photos / f"{name}.png").shape
    report = json.loads((out / "report.json").read_text())
    assert [face["name"] for face in report["faces"]] == result.names
    assert all(face["quality"] > 0 and face["strength"] == 1 for face in report["faces"])
    for face in report["faces"]:
        pair = (torch.from_numpy(picture(out / d / f"{face['name']}.png").copy()) for d in ("codes", "faces"))
        similarity = structural_similarity(*(image.permute(2, 0, 1)[None] for image in pair))
        assert face["ssim"] == pytest.approx(float(similarity), abs=1e-3)
        assert f"SSIM {face['ssim']:.2f}" in result.page.read_text()
    reasons = {photo["photo"]: photo.get("refused") for photo in report["photos"]}
    assert reasons["broken.jpg"] == ["not a picture that can be read"]
    assert reasons["nobody.png"] == ["no face found"]
    assert reasons["person-00.png"] is None
    printed = capsys.readouterr().out
    assert "projecting into the base network" in printed
    assert f"{KIMG} kimg at {RESOLUTION} px" in printed
    assert picture(result.sheet).shape[2] == 3


def test_codes_are_reused_while_nothing_changes(settings, run_dir, holiday, tmp_path):
    photos = shutil.copytree(holiday, tmp_path / "holiday")
    first = make(settings, run_dir, photos=photos)
    files = {p: p.stat().st_mtime_ns for p in (first.folder / "codes").glob("*.npy")}
    reused = lambda: json.loads((first.folder / "report.json").read_text())["reused"]  # noqa: E731
    assert reused() == 0
    make(settings, run_dir, photos=photos, strength=0.5)
    assert reused() == 3
    assert files == {p: p.stat().st_mtime_ns for p in files}
    moved = np.array(json.loads((photos / "person-01.json").read_text())) + 3
    (photos / "person-01.json").write_text(json.dumps(moved.tolist()))
    shutil.copy(photos / "person-02.png", photos / "a-new-one.png")
    shutil.copy(photos / "person-02.json", photos / "a-new-one.json")
    make(settings, run_dir, photos=photos)
    assert reused() == 2
    again = np.load(first.folder / "codes" / "a-new-one.npy")  # the same face has the same codes
    np.testing.assert_allclose(again, np.load(first.folder / "codes" / "person-02.npy"), atol=1e-3)
    make(settings, run_dir, photos=photos, seed=1)
    assert reused() == 0


def test_codes_alone_are_rendered(from_codes, run_dir, base_codes):
    result = make(from_codes, run_dir)
    assert result.names == ["anna", "bert"]
    best = load_network(run_dir / "sweeps/cartoon-low/best.safetensors").G_ema
    ws = torch.stack([read_codes(base_codes / f"{name}.npy", best)[0].ws for name in result.names])
    with torch.no_grad():
        expected = to_uint8(best.synthesis(ws))
    assert (caricatures(result).int() - expected.int()).abs().max() <= 1
    assert not (result.folder / "photos").exists()


def test_strength_goes_from_the_original_through_the_blend_and_beyond(from_codes, run_dir):
    models = open_models(from_codes)
    base, blended = models.base.synthesis.state_dict(), models.chosen.synthesis.state_dict()
    for strength, expected in ((0, base), (1, blended)):
        made = dialled(models.base, models.chosen, strength).synthesis.state_dict()
        assert all(torch.equal(made[key], expected[key]) for key in made)
    beyond = dialled(models.base, models.chosen, 1.5).synthesis.state_dict()
    torch.testing.assert_close(
        beyond["b8.conv0.weight"], 1.5 * blended["b8.conv0.weight"] - 0.5 * base["b8.conv0.weight"]
    )
    assert torch.equal(beyond["b64.conv1.weight"], base["b64.conv1.weight"])
    distance = {}
    plain = caricatures(make(from_codes, run_dir, strength=0.0)).float()
    for strength in (0.5, 1.0, 1.5):
        distance[strength] = (caricatures(make(from_codes, run_dir, strength=strength)).float() - plain).abs().mean()
    assert 0 < distance[0.5] < distance[1.0] < distance[1.5]


def test_each_face_may_have_its_own_strength(from_codes, run_dir):
    plain, full = (caricatures(make(from_codes, run_dir, strength=s)) for s in (0.0, 1.0))
    for given in ([0.0, 1.0], {"anna": 0.0}, {"bert": 1.0, "default": 0.0}):
        mixed = caricatures(make(from_codes, run_dir, strength=given))
        assert (mixed[0].int() - plain[0].int()).abs().max() <= 1
        assert (mixed[1].int() - full[1].int()).abs().max() <= 1
        assert (mixed[1].int() - plain[1].int()).abs().max() > 5
    with pytest.raises(UserError, match="1 values for 2 faces"):
        make(from_codes, run_dir, strength=[1.0])
    with pytest.raises(UserError, match="there is no such face; faces are anna, bert"):
        make(from_codes, run_dir, strength={"carl": 1.0})


def test_other_blends_and_network_files(from_codes, run_dir, tmp_path):
    base, tuned = (load_network(run_dir / f"snapshots/kimg-00000{k}.00.safetensors").G_ema for k in (0, 1))
    expected = {
        BlendChoice(res=8): blend(tuned, base, 8),
        BlendChoice(res=8, direction="cartoon_high"): blend(base, tuned, 8),
        BlendChoice(res=8, level=1, width=1.0): blend(tuned, base, 8, level=1, width=1.0),
        BlendChoice(): blend(tuned, base, RESOLUTION),
    }
    for choice, G in expected.items():
        made = open_models(replace(from_codes, snapshot=1, blend=choice)).chosen
        assert all(torch.equal(v, G.state_dict()[k]) for k, v in made.state_dict().items()), choice
    file = run_dir / "snapshots/kimg-000001.00.safetensors"
    result = make(from_codes, run_dir, network=str(file), page=PageSettings())
    assert "blended at" not in result.page.read_text()
    assert (
        open_models(replace(from_codes, network=str(file), base="demo", page=PageSettings(), run="latest")).description
        == file.name
    )


def test_an_unswept_run_says_what_to_do(from_codes, run_dir):
    shutil.rmtree(run_dir / "sweeps")
    with pytest.raises(UserError, match=r"python sweep\.py run=mine"):
        make(from_codes, run_dir)
    make(from_codes, run_dir, snapshot=1, blend=BlendChoice(res=8))


def test_the_recommended_blend_outlives_its_snapshot(from_codes, run_dir):
    (run_dir / "snapshots" / f"kimg-{KIMG:09.2f}.safetensors").unlink()
    result = make(from_codes, run_dir, page=PageSettings())
    assert "blended at" not in result.page.read_text()


def test_strangers_are_refused(from_codes, run_dir, small_network):
    with pytest.raises(UserError, match="no family"):
        make(from_codes, run_dir, network=str(small_network), page=PageSettings())
    G = load_network("demo").G_ema
    with torch.no_grad():
        for parameter in G.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(0)))
    from src.weights import save_network

    stranger = save_network(run_dir / "stranger.safetensors", G_ema=G)
    with pytest.raises(UserError, match="was not fine-tuned from"):
        make(from_codes, run_dir, network=str(stranger), page=PageSettings())


def test_only_the_face_changes_in_the_photograph(settings, run_dir):
    result = make(settings, run_dir, feather=0.1)
    for name in result.names:
        before, after = (
            picture(settings.photos / f"{name}.png").astype(int),
            picture(result.folder / "photos" / f"{name}.jpg"),
        )
        changed = np.abs(before - after).max(axis=2) > 25  # JPEG changes the rest a little
        assert changed[60:-60, 60:-60].mean() > 0.05
        assert changed[:20].mean() < 0.01 and changed[:, :20].mean() < 0.01
    assert not (make(settings, run_dir, paste=False, out=settings.out / "b").folder / "photos").exists()


def test_a_face_enlarged_many_times_is_said(settings, run_dir, holiday, tmp_path, capsys):
    assert "blurred" not in make(settings, run_dir).page.read_text() + capsys.readouterr().out
    photos = tmp_path / "large"
    photos.mkdir()
    small = Image.open(holiday / "person-00.png")
    small.resize((small.width * 8, small.height * 8)).save(photos / "me.png")
    landmarks = np.array(json.loads((holiday / "person-00.json").read_text())) * 8
    (photos / "me.json").write_text(json.dumps(landmarks.tolist()))
    result = make(settings, run_dir, photos=photos, out=tmp_path / "large out")
    size = json.loads((result.folder / "report.json").read_text())["faces"][0]["size_px"]
    words = f"faces are blurred there (me {size / 64:.0f} times)"
    assert size > 20 * 64
    assert words in result.page.read_text() and words in capsys.readouterr().out
    again = make(settings, run_dir, photos=photos, out=tmp_path / "large out", paste=False)
    assert "blurred" not in again.page.read_text()


def test_the_page_is_one_file_with_sliders(settings, run_dir):
    text = make(settings, run_dir, page=PageSettings(strengths=(0.0, 0.5, 1.0), resolutions=(8,))).page.read_text()
    assert not re.search(r"(src|href)=\"(?!data:)", text)
    assert "http" not in re.sub(r"base64,[^\"]*", "", text).replace("http-equiv", "")
    data = json.loads(re.search(r'id="data">(.*?)</script>', text, re.DOTALL)[1])
    assert (data["stops"], data["resolutions"]) == ([[0.0, 0.5, 1.0]] * 3, [8, RESOLUTION])
    assert [len(data["faces"]), len(data["faces"][0]), len(data["faces"][0][0])] == [3, 2, 3]
    assert text.count('type="range"') == 2 * (3 + 1)
    assert "no face found" in text and "person-01" in text


def test_the_network_may_be_tuned_to_the_faces(settings, run_dir, capsys):
    plain = make(settings, run_dir)
    sheets, pictures = plain.sheet.read_bytes(), caricatures(plain)
    tuning = TuningSettings(steps=6, stop=0.0)
    tuned = make(settings, run_dir, tuning=tuning)
    facts = read_meta(tuned.folder / "tuned.safetensors")["tuning"]
    assert facts["after"] < facts["before"]
    assert tuned.sheet.read_bytes() != sheets
    moved = caricatures(tuned)
    assert (moved != pictures).any()
    capsys.readouterr()
    again = make(settings, run_dir, tuning=tuning)
    assert "as before" in capsys.readouterr().out
    assert (caricatures(again).int() - moved.int()).abs().max() <= 1
    with pytest.raises(UserError, match="give photos= instead of codes="):
        CaricatureSettings(codes="x", tuning=tuning)


def test_no_usable_face_is_one_line(settings, run_dir, tmp_path, holiday):
    (tmp_path / "walls").mkdir()
    for name in ("nobody.png", "nobody.json", "broken.jpg"):
        shutil.copy(holiday / name, tmp_path / "walls" / name)
    with pytest.raises(UserError, match=r"no usable face: broken\.jpg: .*nobody\.png") as error:
        make(settings, run_dir, photos=tmp_path / "walls")
    assert "\n" not in str(error.value)


def test_aligned_pictures(settings, run_dir, tmp_path):
    from src.data import save_png
    from src.portraits import render_portrait

    save_png(tmp_path / "aligned" / "a.png", render_portrait("people", 1_000_000, 64).image)
    save_png(tmp_path / "aligned" / "wide.png", np.zeros([64, 80, 3], np.uint8))
    result = make(settings, run_dir, photos=tmp_path / "aligned", faces=FaceSettings(aligned=True))
    assert result.names == ["a"]
    assert not (result.folder / "photos").exists()
    np.testing.assert_array_equal(picture(result.folder / "faces/a.png"), picture(tmp_path / "aligned/a.png"))


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ([], "photos=FOLDER, or codes=FOLDER"),
        (["photos=a", "codes=b"], "one of the two"),
        (["photos=a", "strength=2"], "strength=2: give a number from 0"),
        (["photos=a", "strength=strong"], "strength=strong"),
        (["photos=a", "network=n", "snapshot=1"], "snapshot=1: has no effect with network=n"),
        (["photos=a", "faces.which=some"], "faces.which=some: give largest or all"),
        (["photos=a", "faces.aligned=true", "faces.which=all"], "faces.which=all: has no effect"),
        (["photos=a", "projection.plateau=0.1"], "projection.plateau=0.1: has no effect without projection.patience"),
        (["photos=a", "projection.recipe=mine"], "give own, nvidia or fork"),
        (["photos=a", "projection.steps=0"], "projection.steps=0"),
        (["photos=a", "paste=false", "feather=0.2"], "feather=0.2: has no effect"),
        (["photos=a", "tuning.lr=0.1"], "tuning.lr=0.1: has no effect with tuning.steps=0"),
        (
            ["photos=a", "blend.level=2"],
            "blend.level=2: give a whole number from 0 to 1 (first or second convolution",
        ),
        (["photos=a", "page.strengths=[]"], "page.strengths=[]: give a number from 0 to 1.5"),
        (["photos=a", "page.resolutions=[x]"], "page.resolutions"),
        (["photos=a", "faces=3"], "is a group of options"),
        (
            ["photos=a", "background=nowhere.png"],
            "background=nowhere.png: give a colour name, #rrggbb, own, or the file",
        ),
        (["codes=a", "background=black"], "background=black: has no effect with codes="),
        (["photos=a", "feather=0.9"], "feather=0.9: give a number from 0 to 0.5"),
    ],
)
def test_wrong_options_are_one_line(overrides, words):
    with pytest.raises(UserError, match=re.escape(words)) as error:
        read(CaricatureSettings, compose_config("caricature", overrides))
    assert "\n" not in str(error.value)


@pytest.mark.script
def test_the_script(run_dir, holiday, tmp_path):
    options = [f"photos={holiday}", "projection.steps=2", "faces.align_px=64", "page.strengths=[1]"]
    done = start("caricature.py", *options, f"paths.runs={run_dir.parent}", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "report: " in done.stdout
    assert (run_dir / "caricatures" / "holiday" / "index.html").is_file()
    assert sorted(p.name for p in (run_dir / "caricatures/holiday/caricatures").iterdir())[0] == "person-00.png"
    wrong = start("caricature.py", "photos=nowhere", f"paths.runs={run_dir.parent}", cwd=tmp_path)
    assert wrong.returncode == 2
    assert wrong.stderr.strip() == "error: photos=nowhere: no such file, folder or zip"
