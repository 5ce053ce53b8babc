"""What `generate.py` writes: the pictures of the network it says, for the codes it says."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from src.data import to_uint8
from src.errors import UserError
from src.generate import film as film_module
from src.generate.film import loop
from src.networks import Generator, blend
from src.weights import save_network

from .conftest import RESOLUTION, load


def tiles(path, columns, rows, *, left=0, above=0):
    """Pictures of a PNG sheet, in rows: uint8 [N, 3, H, W]."""
    sheet = np.asarray(Image.open(path))[above:, left:]
    assert sheet.shape == (rows * RESOLUTION, columns * RESOLUTION, 3)
    cut = sheet.reshape(rows, RESOLUTION, columns, RESOLUTION, 3).transpose(0, 2, 4, 1, 3)
    return torch.from_numpy(cut.reshape(-1, 3, RESOLUTION, RESOLUTION).copy())


def expected(G, seeds, psi=0.7, **options):
    """Pictures of seeds as NVIDIA's scripts make them: one latent of `RandomState(seed)` each."""
    z = torch.from_numpy(np.stack([np.random.RandomState(s).randn(1, G.z_dim)[0] for s in seeds])).float()
    with torch.inference_mode():
        return to_uint8(G(z, psi=psi, **options))


def close(a, b):
    return (a.int() - b.int()).abs().max() <= 1  # another batch size rounds otherwise


def margins(path, columns, rows):
    width, height = Image.open(path).size
    return {"left": width - columns * RESOLUTION, "above": height - rows * RESOLUTION}


def sheet_of(folder):
    (path,) = [p for p in folder.iterdir() if p.suffix in (".jpg", ".png")]
    return path


def test_a_grid_shows_the_recommended_blend_of_the_latest_run(render, runs, capsys):
    folder = render("seeds=0-5", "format=png")
    assert folder == sheet_of(folder).parent and folder.parts[-2:] == ("generated", "cartoon-low-best")
    best = load(runs / "first/sweeps/cartoon-low/best.safetensors")
    assert close(tiles(sheet_of(folder), 3, 2), expected(best, range(6)))
    printed = capsys.readouterr().out
    assert "best.safetensors (recommended: 1 kimg at 8)" in printed and f"pictures: {folder}" in printed
    facts = json.loads(sheet_of(folder).with_suffix(".json").read_text())
    assert facts["seeds"] == [0, 1, 2, 3, 4, 5] and facts["psi"] == 0.7 and "best.safetensors" in facts["network"]


def test_without_a_sweep_the_newest_snapshot_is_shown(render, runs, capsys):
    (runs / "first/sweeps/cartoon-low/best.safetensors").unlink()
    folder = render("seeds=[3,1]", "psi=1", "format=png", "grid.columns=1")
    G = load(runs / "first/snapshots/kimg-000002.00.safetensors")
    assert close(tiles(sheet_of(folder), 1, 2), expected(G, [3, 1], psi=1))
    assert "newest snapshot; no sweep" in capsys.readouterr().out


@pytest.mark.parametrize(
    "kind", ["file", "run folder", "name", "snapshot", "blend", "blend of snapshot", "another base", "high"]
)
def test_every_way_to_name_a_network(render, runs, kind):
    snapshots = {k: runs / f"first/snapshots/kimg-00000{k}.00.safetensors" for k in (0, 1, 2)}
    base, one, two = (load(snapshots[k]) for k in (0, 1, 2))
    options, G = {
        "file": ([f"network={snapshots[1]}"], one),
        "run folder": ([f"network={runs}/first"], load(runs / "first/sweeps/cartoon-low/best.safetensors")),
        "name": (["run=first", "snapshot=2"], two),
        "snapshot": (["snapshot=kimg-000001.00"], one),
        "blend": (["blend.res=16"], blend(one, base, 16)),  # of the recommended snapshot
        "blend of snapshot": (["blend.res=8", "snapshot=2", "blend.level=1"], blend(two, base, 8, level=1)),
        "another base": (["blend.res=8", "snapshot=1", f"base={snapshots[2]}"], blend(one, two, 8)),
        "high": (["blend.res=8", "snapshot=2", "blend.direction=cartoon_high"], blend(base, two, 8)),
    }[kind]
    folder = render("seeds=0-3", "format=png", *options)
    assert close(tiles(sheet_of(folder), 2, 2), expected(G, range(4)))


def test_truncation_rows_and_cutoff(render, runs):
    one = runs / "first/snapshots/kimg-000001.00.safetensors"
    folder = render(
        "mode=truncation", f"network={one}", "seeds=[4,9]", "truncation.psi=[0,0.5,1.2]", "cutoff=3", "format=png"
    )
    found = tiles(sheet_of(folder), 2, 3, **margins(sheet_of(folder), 2, 3))
    rows = [expected(load(one), [4, 9], psi=psi, cutoff=3) for psi in (0, 0.5, 1.2)]
    assert close(found, torch.cat(rows)) and margins(sheet_of(folder), 2, 3)["left"] > 10
    facts = json.loads(sheet_of(folder).with_suffix(".json").read_text())
    assert "psi" not in facts and facts["rows_of_psi"] == [0, 0.5, 1.2]


def test_mixing_takes_layers_of_the_columns(render, runs):
    one = runs / "first/snapshots/kimg-000001.00.safetensors"
    G = load(one)
    folder = render("mode=mix", f"network={one}", "seeds=[1,2]", "mix.seeds=5-7", "mix.layers=[0-2,5]", "format=png")
    found = tiles(sheet_of(folder), 4, 3)
    assert (found[0] == 255).all()
    assert close(found[1:4], expected(G, [5, 6, 7])) and close(found[[4, 8]], expected(G, [1, 2]))
    z = {s: torch.from_numpy(np.random.RandomState(s).randn(1, G.z_dim)).float() for s in (2, 7)}
    with torch.inference_mode():
        ws, other = (G.mapping(z[s], psi=0.7) for s in (2, 7))
        ws[:, [0, 1, 2, 5]] = other[:, [0, 1, 2, 5]]
        assert close(found[-1], to_uint8(G.synthesis(ws))[0])


@pytest.mark.parametrize("columns", ["best", "resolutions", "snapshots", "blended snapshots"])
def test_pairs_show_the_same_codes_in_every_network(render, runs, columns):
    base, one, two = (load(runs / f"first/snapshots/kimg-00000{k}.00.safetensors") for k in (0, 1, 2))
    options, networks = {
        "best": ([], [blend(one, base, 8), one]),
        "resolutions": (["pairs.columns=resolutions", "snapshot=2"], [*(blend(two, base, r) for r in (4, 8, 16)), two]),
        "snapshots": (["pairs.columns=snapshots"], [one, two]),
        "blended snapshots": (
            ["pairs.columns=snapshots", "snapshot=[1,2]", "blend.res=4"],
            [blend(one, base, 4), blend(two, base, 4)],
        ),
    }[columns]
    folder = render("mode=pairs", "seeds=0-2", "format=png", *options)
    path, networks = sheet_of(folder), [base, *networks]
    found = tiles(path, len(networks), 3, **margins(path, len(networks), 3))
    z = torch.from_numpy(np.stack([np.random.RandomState(s).randn(base.z_dim) for s in range(3)])).float()
    with torch.inference_mode():
        ws = base.mapping(z, psi=0.7)
        rendered = torch.stack([to_uint8(G.synthesis(ws)) for G in networks], dim=1).flatten(0, 1)
    assert close(found, rendered) and margins(path, len(networks), 3)["above"] > 5


def test_a_table_of_blends_shows_every_cell_and_frames_the_recommended_one(render, runs):
    base, one, two = (load(runs / f"first/snapshots/kimg-00000{k}.00.safetensors") for k in (0, 1, 2))
    path = sheet_of(render("mode=blends", "seeds=3", "format=png", "psi=1", "singles=true"))
    side, (width, height) = 128 // RESOLUTION * RESOLUTION, Image.open(path).size
    sheet = np.asarray(Image.open(path))[height - 4 * side :, width - 3 * side :]
    z = torch.from_numpy(np.random.RandomState(3).randn(1, base.z_dim)).float()
    rows = [lambda G, r=r: blend(G, base, r) for r in (4, 8, 16)] + [lambda G: G]
    for i, made in enumerate(rows):
        for j, G in enumerate((one, two)):
            cell = sheet[i * side : (i + 1) * side, (j + 1) * side : (j + 2) * side]
            with torch.inference_mode():
                picture = to_uint8(made(G).synthesis(base.mapping(z))).repeat_interleave(side // RESOLUTION, dim=2)[0]
            inside = torch.from_numpy(cell[8:-8, 8:-8].copy()).permute(2, 0, 1)
            assert close(inside, picture.repeat_interleave(side // RESOLUTION, dim=2)[:, 8:-8, 8:-8])
            assert ((cell[0] == (214, 40, 57)).all()) == ((i, j) == (1, 0))  # the sweep's: 1 kimg at 8
    assert (sheet[side:, :side] == 255).all()  # the original stands once
    facts = json.loads(path.with_suffix(".json").read_text())
    assert facts["recommended"] == [["8", "1 kimg"]] and facts["columns"] == ["original", "1 kimg", "2 kimg"]
    singles = {single.stem for single in path.parent.glob("singles/*/*.png")}
    cells = {f"seed0003-{row}-{column}" for row in ("4", "8", "16", "unblended") for column in ("1kimg", "2kimg")}
    assert singles == {"seed0003-original", *cells}


@pytest.mark.parametrize("kind", ["webp", "gif"])
def test_a_film_is_a_loop_through_the_seeds(render, runs, kind):
    one = runs / "first/snapshots/kimg-000001.00.safetensors"
    options = ["mode=film", f"network={one}", "seeds=0-2", "film.frames=4", "film.fps=10", f"film.format={kind}"]
    folder = render(*options, "singles=true")
    (path,) = folder.glob(f"*.{kind}")
    with Image.open(path) as film:
        assert film.n_frames == 12 and film.info["loop"] == 0
        film.seek(1)
        film.load()
        assert film.info["duration"] == 100
    frames = sorted((folder / "singles" / path.stem).iterdir())
    assert len(frames) == 12
    keys = np.stack([np.asarray(Image.open(frame)).transpose(2, 0, 1) for frame in frames[::4]])
    assert close(torch.from_numpy(keys), expected(load(one), range(3)))


@pytest.mark.parametrize(
    ("kind", "fps", "shown"), [("gif", 30, {30, 40}), ("gif", 50, {20}), ("webp", 24, {41, 42}), ("webp", 120, {8, 9})]
)
def test_a_film_is_as_long_as_its_frames(tmp_path, kind, fps, shown):
    frames = (np.full([16, 16, 3], 200 * (i % 2), np.uint8) for i in range(fps))
    with Image.open(film_module.write_film(tmp_path / f"film.{kind}", frames, fps, fps)) as film:
        found = []
        for number in range(film.n_frames):
            film.seek(number)
            film.load()
            found.append(film.info["duration"])
    assert len(found) == fps and set(found) == shown and sum(found) == 1000


def test_the_loop_is_smooth_where_it_closes():
    ws = torch.randn([4, 6, 8], generator=torch.Generator().manual_seed(0))
    path = loop(ws, 10)
    assert path.shape == (40, 6, 8) and torch.equal(path[::10], ws)
    closed = torch.cat([path, path[:2]])
    steps = closed.diff(dim=0)
    bends = steps.diff(dim=0).flatten(1).norm(dim=1)
    assert bends[-1] < 1.5 * bends[:-2].max() and bends.max() < 0.5 * steps.flatten(1).norm(dim=1).max()


def test_mp4_needs_its_encoder_and_is_written_with_it(render, runs, monkeypatch):
    one = runs / "first/snapshots/kimg-000001.00.safetensors"
    options = ["mode=film", f"network={one}", "seeds=0-1", "film.frames=3"]
    with monkeypatch.context() as patch:
        patch.setattr(film_module, "ENCODER", "no_such_encoder")
        with pytest.raises(UserError, match="needs imageio-ffmpeg"):
            render(*options, "film.format=mp4")
        assert not (runs.parent / "generated").exists()
        assert list(render(*options).glob("*.webp"))
    pytest.importorskip("imageio_ffmpeg")
    (path,) = render(*options).glob("*.mp4")
    assert path.read_bytes()[4:8] == b"ftyp"


def test_a_failing_film_leaves_nothing(tmp_path):
    def frames():
        yield np.zeros([16, 16, 3], np.uint8)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        film_module.write_film(tmp_path / "film.webp", frames(), 10, 5)
    assert list(tmp_path.iterdir()) == []


def test_singles_and_codes_and_back(render, runs, tmp_path):
    one = runs / "first/snapshots/kimg-000001.00.safetensors"
    folder = render(f"network={one}", "seeds=[7,12]", "singles=true", "save_codes=true", f"out={tmp_path}/mine")
    assert folder == tmp_path / "mine"
    name = sheet_of(folder).stem
    codes = np.load(folder / "codes" / name / "seed0007.npy")
    assert codes.shape == (8, 16) and codes.dtype == np.float32
    single = np.array(Image.open(folder / "singles" / name / "seed0007.png")).transpose(2, 0, 1)
    assert close(torch.from_numpy(single), expected(load(one), [7])[0])
    again = render(f"network={one}", f"codes={folder}/codes/{name}", "format=png", f"out={tmp_path}/again")
    assert close(tiles(sheet_of(again), 2, 1), expected(load(one), [7, 12]))


def test_noise_is_constant_none_or_the_pictures_own(render, runs, tmp_path):
    one = runs / "first/snapshots/kimg-000001.00.safetensors"
    found = {}
    for noise in ("const", "none", "random"):
        options = [f"network={one}", "format=png", f"noise={noise}", "grid.columns=4"]
        folder = render(*options, "seeds=0-3", f"out={tmp_path}/{noise}")
        found[noise] = tiles(sheet_of(folder), 4, 1)
        again = render(*options, "seeds=0-1", f"out={tmp_path}/{noise}-again")
        assert close(tiles(sheet_of(again), 2, 1), found[noise][:2])
    assert close(found["none"], expected(load(one), range(4), noise="none"))
    assert not close(found["random"], found["const"]) and not close(found["none"], found["const"])


def test_classes_take_turns_or_are_chosen(render, tmp_path):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        G = Generator(
            z_dim=8, w_dim=8, c_dim=3, resolution=RESOLUTION, channel_base=128, channel_max=8, num_mapping_layers=2
        )
    path = save_network(tmp_path / "classes.safetensors", G_ema=G.eval(), meta={"kimg": 0.0})
    z = torch.from_numpy(np.stack([np.random.RandomState(s).randn(8) for s in range(4)])).float()
    for options, turns in (([], [0, 1, 2, 0]), (["classes=2"], [2] * 4), (["classes=[2,1]"], [2, 1, 2, 1])):
        folder = render(
            f"network={path}", "seeds=0-3", "format=png", f"out={tmp_path}/{len(options)}{turns[1]}", *options
        )
        with torch.inference_mode():
            rendered = to_uint8(G(z, torch.eye(3)[turns], psi=0.7))
        assert close(tiles(sheet_of(folder), 2, 2), rendered)
    with pytest.raises(UserError, match="classes=3: the network has 8 layers and 3 classes; 2 is the highest"):
        render(f"network={path}", "classes=3")


def test_given_codes_can_be_truncated_too(render, runs, tmp_path):
    one = runs / "first/snapshots/kimg-000001.00.safetensors"
    saved = render(f"network={one}", "seeds=0-1", "psi=1", "save_codes=true", f"out={tmp_path}/whole")
    folder = render(
        *(f"network={one}", f"codes={saved}/codes/{sheet_of(saved).stem}", "psi=0.4", "cutoff=5", "format=png"),
        f"out={tmp_path}/cut",
    )
    assert close(tiles(sheet_of(folder), 2, 1), expected(load(one), [0, 1], psi=0.4, cutoff=5))
