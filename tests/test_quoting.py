"""Options that are names or paths arrive as they were typed, through every script."""

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from PIL import Image

from src.cli import CONF, VERSION_BASE, check_overrides, compose_config, typed
from src.data import open_dataset
from src.files import expanded
from src.training.run_folder import find_run_folder

from .scripts import start

TYPED = [
    *("2024.10", "12_34", "1e5", "007", "0x10", "1_000.50", "true", "inf", "-1", "2024-01-01", "~", "..", "a,b", "[x]"),
    *(
        "{a}",
        r"a\b (1).jpg",
        r"C:\x",
        "a\\",
        "a\\\\",
        r"\'",
        "it's",
        '"',
        "a${b}.jpg",
        r"a\${b}",
        r"a\\${b}",
        "${",
        "$a",
    ),
    *("${oc.env:HOME}", "#1", "Jürgen im Urlaub", "x=y", " x ", "choices(a,b)", "'a' b 'c'", "a: b", "nulls"),
]
KEYS = {
    "train": ("run", "pretrained.source", "paths.runs", "weights.folder", "tracker.project", "metrics.weights_sha256"),
    "sweep": ("run", "base", "name", "weights.mirror"),
    "prepare": ("source", "out", "drop", "background", "align.points", "faces.detector", "faces.sha256"),
    "caricature": ("photos", "codes", "out", "run", "base", "network", "sweep", "faces.landmarks", "projection.start"),
    "generate": ("network", "run", "base", "codes", "out"),
}
NEEDED = {"train": ["pretrained=file", "pretrained.source=x", "metrics=fid"], "prepare": ["source=x"]}


def value_of(config, key):
    for part in key.split("."):
        config = config[part]
    return config


@pytest.mark.parametrize("name", KEYS)
def test_a_text_is_what_was_typed(name):
    needed = NEEDED.get(name, [])
    for number, text in enumerate(TYPED):
        key = KEYS[name][number % len(KEYS[name])]
        (argument,) = typed(name, [f"{key}={text}"])
        assert typed(name, [argument]) == [argument]
        assert value_of(compose_config(name, [*needed, argument]), key) == text, (key, text)
    everything = typed(name, [f"{key}=${{x}} 1e5" for key in KEYS[name]])
    check_overrides(name, [*needed, *everything])
    config = compose_config(name, [*needed, *everything])
    assert {value_of(config, key) for key in KEYS[name]} == {"${x} 1e5"}


def test_null_and_what_is_in_quotes_stay():
    assert compose_config("caricature", ["photos=null", "out=NULL"])["photos"] is None
    assert compose_config("caricature", ["photos='null'"])["photos"] == "null"
    assert compose_config("caricature", ['photos="a b"'])["photos"] == "a b"
    arguments = ["photos=", "blend.res=8,16", "snapshot=1,2,4", "strength=[1,0.5]", "strength=0.5", "--help"]
    assert typed("caricature", arguments) == arguments


@pytest.mark.parametrize(
    ("typed_as", "values"),
    [
        ("a,b", ["a", "b"]),
        ("2024.10,1e5,~/my pictures (1)", ["2024.10", "1e5", "~/my pictures (1)"]),
        ("'a,b',c", ["a,b", "c"]),
        ('"a,b"', ["a,b"]),
        ("it's,that's", ["it's", "that's"]),
        (r"C:\x,D:\y", [r"C:\x", r"D:\y"]),
        ("null,null,x", [None, None, "x"]),
        ("choice(a,b)", ["a", "b"]),
        ("r_${seed}", ["r_7"]),
        (r"r_\${seed},'${batch} of ${seed}'", ["r_${seed}", "8 of 7"]),
    ],
)
def test_with_m_a_comma_separates_texts_and_references_resolve(typed_as, values):
    (argument,) = typed("train", [f"run={typed_as}"], swept=True)
    assert typed("train", [argument], swept=True) == [argument]
    (override,) = OverridesParser.create().parse_overrides([argument])
    jobs = [f"run={v}" for v in override.sweep_string_iterator()] if override.is_sweep_override() else [argument]
    with initialize_config_dir(config_dir=str(CONF), **VERSION_BASE):
        assert [compose("train", [job, "seed=7"]).run for job in jobs] == values
    check_overrides("train", ["-m", argument])


@pytest.mark.script
def test_prepare_reads_and_writes_the_folders_that_were_typed(tmp_path):
    source = tmp_path / "2024.10"
    source.mkdir()
    for number in range(2):
        Image.effect_noise((32, 32), 60 + number).save(source / f"{number}.png")
    done = start("prepare.py", "source=2024.10", "out=${x} 2024.20", "format=tfrecord", "resolution=16", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert list((tmp_path / "${x} 2024.20").glob("*.tfrecords"))
    assert not (tmp_path / "2024.2").exists() and not (tmp_path / "2024.1").exists()


@pytest.mark.parametrize(
    ("script", "argument", "words"),
    [
        ("train.py", "seed=${nope}", "seed: Interpolation key 'nope' not found"),
        ("train.py", "seed=${seed}", "seed: Recursive interpolation detected"),
        ("train.py", "hydra.run.dir=${nope}", "Interpolation key 'nope' not found"),
        ("sweep.py", "psi=${nope}", "psi: Interpolation key 'nope' not found"),
        ("generate.py", "network=a${b}\\c.pkl", "network 'a${b}\\\\c.pkl': neither a file"),
        ("caricature.py", "run=12_34", "run=12_34: neither a run"),
        ("sweep.py", "run=1e5", "run=1e5: neither a run"),
    ],
)
@pytest.mark.script
def test_what_cannot_be_resolved_is_one_line(script, argument, words, tmp_path):
    more = ["codes=x"] if script == "caricature.py" else []
    done = start(script, argument, *more, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert words in done.stderr and done.stderr.startswith("error: ") and done.stderr.count("\n") == 1, done.stderr


def test_a_tilde_is_the_home_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert expanded("~/x") == tmp_path / "x"
    assert str(expanded("~nobody-here/x")) == "~nobody-here/x"
    assert str(expanded("a/~")) == "a/~"


def test_runs_may_be_made_in_the_home_folder(monkeypatch, tmp_path, picture_folder):
    monkeypatch.setenv("HOME", str(tmp_path))
    dataset = open_dataset(picture_folder)
    for run, folder in (("a", "runs/a"), ("~/other/b", "other/b")):
        config = compose_config("train", ["paths.runs=~/runs", f"run={run}"])
        assert find_run_folder(config, dataset).path == tmp_path / folder
