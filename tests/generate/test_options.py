"""Options of `generate.py`: each wrong one, and each that would change nothing, is one line; nothing is written."""

import pytest

from src.cli import compose_config
from src.errors import UserError
from src.generate import GenerateSettings
from src.generate.seed_ranges import MAX_NUMBERS, numbers_text, parse_numbers
from src.options import read

from ..scripts import start


@pytest.mark.parametrize(
    ("value", "numbers"),
    [
        (7, [7]),
        ("0-3", [0, 1, 2, 3]),
        ("5,1-2", [5, 1, 2]),
        ([3, "5-6"], [3, 5, 6]),
        (" 4 - 5 ", [4, 5]),
        ("4294967295", [2**32 - 1]),
    ],
)
def test_numbers(value, numbers):
    assert parse_numbers(value, high=2**32 - 1) == numbers


@pytest.mark.parametrize("value", [-1, "3-1", "a", "", [], 1.5, True, [None], "1,,2", "1-2-3", 2**32, {"a": 1}, [1, 1]])
def test_what_are_no_numbers(value):
    with pytest.raises(ValueError, match=r"^give whole numbers from 0 to 4294967295, such as|is given twice$"):
        parse_numbers(value, high=2**32 - 1)
    with pytest.raises(ValueError, match=f"^at most {MAX_NUMBERS}"):
        parse_numbers("0-4294967294", high=2**32 - 1)


def test_numbers_as_names():
    assert numbers_text([0, 1, 2, 5, 9, 10]) == "0-2_5_9-10"
    long = list(range(0, 100, 2))
    assert numbers_text(long).startswith("50of") and numbers_text(long) != numbers_text([*long[:-1], 99])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["mode=picture"], "mode=picture: give grid, truncation, mix, pairs, blends or film"),
        (["seeds=1-x"], "seeds=1-x: give whole numbers"),
        (["psi=high"], "psi=high: give a number from -4 to 4 .0 is the average"),
        (["psi=5"], "psi=5"),
        (["cutoff=0"], "cutoff=0: give a whole number from 1"),
        (["cutoff=4", "psi=1"], "cutoff=4: has no effect without truncation"),
        (["noise=loud"], "noise=loud: give const, random or none"),
        (["format=bmp"], "format=bmp: give jpg, png or null"),
        (["grid.columns=0"], "grid.columns=0"),
        (["mode=film", "film.fps=0"], "film.fps=0"),
        (["mode=film", "film.fps=60", "film.format=gif"], "film.fps=60: .* more than 50 .* film.format=webp or mp4"),
        (["mode=film", "film.frames=1.5"], "film.frames=1.5"),
        (["mode=film", "film.format=avi"], "film.format=avi: give mp4, webp, gif or null"),
        (["mode=film", "format=png"], "format=png: has no effect with mode=film"),
        (["mode=truncation", "psi=0.5"], "psi=0.5: has no effect with mode=truncation"),
        (["mode=truncation", "truncation.psi=[0,x]"], r"truncation.psi=\[0,x\]: give a number from -4"),
        (["mode=truncation", "truncation.psi=[]"], r"truncation.psi=\[\]: give a number"),
        (["film.fps=10"], "film.fps=10: has no effect with mode=grid"),
        (["mode=mix", "grid.columns=3"], "grid.columns=3: has no effect with mode=mix"),
        (["mode=mix", "mix.layers=4-1"], "mix.layers=4-1"),
        (["codes=x.npy", "seeds=1"], r"seeds=\[1\]: has no effect with codes=x.npy"),
        (["codes=x.npy", "classes=1"], r"classes=\[1\]: has no effect with codes=x.npy"),
        (["network=demo", "run=a"], "run=a: has no effect with network=demo"),
        (["network=demo", "snapshot=1"], "snapshot=1: has no effect with network=demo"),
        (["network=demo", "blend.res=8"], r"blend.res=\[8\]: has no effect with network=demo"),
        (["network=demo", "base=x"], "base=x: has no effect with network=demo"),
        (["base=x"], "base=x: has no effect without a blend"),
        (["mode=pairs", "network=demo"], "network=demo: has no effect with mode=pairs"),
        (["mode=blends", "network=demo"], "network=demo: has no effect with mode=blends"),
        (["mode=blends", "pairs.columns=best"], "pairs.columns=best: has no effect with mode=blends"),
        (["mode=pairs", "blend.res=8"], r"blend.res=\[8\]: has no effect with pairs.columns=best"),
        (["mode=pairs", "snapshot=1"], "snapshot=1: has no effect with pairs.columns=best"),
        (["pairs.columns=best"], "pairs.columns=best: has no effect with mode=grid"),
        (["blend.level=1"], "blend.level=1: has no effect without a blend: give blend.res"),
        (["blend.res=[8,16]"], r"blend.res=\[8,16\]: give one resolution"),
        (["blend.res=12"], "blend.res=12: give a power of two"),
        (["blend.res=8", "blend.direction=up"], "blend.direction=up"),
        (["blend.res=8", "blend.level=2"], "blend.level=2|level"),
        (["snapshot=all"], "snapshot=all: give one snapshot"),
        (["snapshot=[1,2]"], "give one snapshot"),
        (["device=abacus"], "device=abacus"),
        (["singles=perhaps"], "singles=perhaps: give true or false"),
        (["out=''"], "out=: give a path or null"),
        (["grid=3"], "grid=3: is a group of options"),
    ],
)
def test_wrong_options_are_one_line(options, words):
    with pytest.raises(UserError, match=words) as error:
        read(GenerateSettings, compose_config("generate", options))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["run=none"], "run=none: neither a run"),
        (["network=nowhere.pkl"], "nowhere.pkl"),
        (["snapshot=9"], "snapshot=9: the run has snapshots at 0, 1, 2 kimg"),
        (["blend.res=32"], "blend.res=32: .* un-blended low network"),
        (["blend.res=256"], "blend.res=256"),
        (["cutoff=9"], "cutoff=9: the network has 8 layers; 8 is the highest"),
        (["classes=0"], "the network has no classes"),
        (["mode=mix", "mix.layers=8"], "mix.layers=8: the network has 8 layers; 7 is the highest"),
        (["mode=film", "seeds=1"], "at least 2 codes"),
        (["mode=pairs", "pairs.columns=snapshots", "snapshot=0"], "no snapshot after its start"),
        (["mode=pairs", "base=demo"], r"best.safetensors was not fine-tuned from .*demo.safetensors: its resolution"),
        (["mode=pairs", "pairs.columns=snapshots", "base=demo"], "was not fine-tuned from"),
        (["codes=nowhere"], "codes=nowhere: no such file"),
        (["seeds=0-2100", "grid.columns=1000", "mode=grid", "network=ffhq"], "ffhq"),
        (["seeds=0-9999", "grid.columns=1"], "a sheet of 32x320000 px is too large"),
        (["out=a-file"], "out=a-file: is a file"),
        (["paths.runs=nothing"], "no run with snapshots in nothing: .*network=demo is always there"),
    ],
)
def test_what_the_network_cannot_do_is_one_line_and_nothing_is_written(render, runs, tmp_path, options, words):
    (tmp_path / "a-file").write_text("")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UserError, match=words) as error:
        render(*options)
    assert "\n" not in str(error.value)
    assert sorted(tmp_path.rglob("*")) == before


def test_best_pairs_need_a_sweep(render, runs):
    (runs / "first/sweeps/cartoon-low/best.safetensors").unlink()
    with pytest.raises(UserError, match=r"has no recommended blend: run sweep\.py first"):
        render("mode=pairs")


@pytest.mark.script
def test_the_script_prints_where_the_pictures_are(tmp_path):
    done = start("generate.py", "network=demo", "seeds=0-3", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "pictures: generated/demo" in done.stdout
    assert sorted(p.name for p in (tmp_path / "generated/demo").iterdir()) == [
        "grid-0-3-psi0.7.jpg",
        "grid-0-3-psi0.7.json",
    ]
    failed = start("generate.py", "paths.runs=elsewhere", cwd=tmp_path)
    assert failed.returncode == 2 and "no run with snapshots in elsewhere" in failed.stderr and failed.stdout == ""
    assert len(failed.stderr.strip().splitlines()) == 1
