"""Every command of README.md runs, with budgets small enough for a test; every path and option in it exists."""

import re
import shlex
from pathlib import Path

import pytest
import yaml
from PIL import Image

from src.cli import compose_config
from src.demo import draw_photographs
from src.portraits import render_portraits

from .prepare.drawn_pictures import face, screenshot
from .prepare.trees import ferg_tree, write_files
from .scripts import start
from .weights.foreign import random_networks, tensorflow_pickle

pytestmark = pytest.mark.script

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()
SMALL = {
    "train.py": [
        *("total_kimg=0.032", "snapshot.kimg=[0,0.032]", "metrics.num_fakes=32", "batch=8", "tracker=none"),
    ],
    "prepare.py": ["resolution=16"],
    "caricature.py": ["projection.steps=3", "faces.align_px=64", "page.strengths=[1]"],
    "sweep.py": ["n_latents=64", "gates=false", "tracker=none", "snapshot=0.032"],  # and not that of 0 kimg
    "generate.py": ["save_codes=true"],
}


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


COMMANDS = [line for block in blocks("sh") for line in block.splitlines() if line.strip()]
SCRIPTS = [command for command in COMMANDS if command.startswith("python ")]


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    """A working folder with what the commands name: pictures, FERG's tree, a network."""
    folder = tmp_path_factory.mktemp("desk")
    for name, domain in (("my_cartoons", "cartoons"), ("my_faces", "people")):
        (folder / name).mkdir()
        for i, portrait in enumerate(render_portraits(domain, range(12), 80)):
            Image.fromarray(portrait).resize((80, 72)).save(folder / name / f"{i}.png")
    ferg_tree(folder / "FERG_DB_256", 19)
    shots = {f"{i}.png": screenshot((face(i), 80, 80), (face(50 + i), 300, 90), seed=i) for i in range(4)}
    write_files(folder / "screenshots", shots)
    draw_photographs(folder / "holiday", 2)
    networks = random_networks(z_dim=8, w_dim=8, num_mapping_layers=2)
    (folder / "theirs.pkl").write_bytes(tensorflow_pickle(networks))
    return folder


@pytest.mark.parametrize("command", SCRIPTS)
def test_command_runs(desk, command):
    _, script, *options = shlex.split(command)
    arguments = [script, *options] if script == "-m" else [script, *options, *SMALL[script]]
    if script == "prepare.py" and "dataset=yuanshen" in options:
        arguments.append("faces.detector=tests.prepare.drawn_pictures:find")
    done = start(*arguments, cwd=desk)
    assert done.returncode == 0, done.stderr
    if script == "-m":
        written = [name for name in options if name.endswith((".safetensors", ".pt"))][-1:]
        assert all((desk / name).exists() for name in written) and done.stdout.strip()
    elif script == "generate.py":
        folder = desk / done.stdout.split("pictures: ")[1].strip()
        (path,) = [p for p in folder.iterdir() if p.suffix in (".jpg", ".webp", ".mp4")]
        assert any(folder.glob(f"codes/{path.stem}/*.npy"))
    else:
        assert "report:" in done.stdout


def test_make_targets_exist():
    targets = [command.split()[1] for command in COMMANDS if command.startswith("make ")]
    assert {"demo", "test", "lint"} <= set(targets)
    for target in [*targets, "setup"]:
        assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE), target
    assert all(command.startswith(("python ", "make ")) for command in COMMANDS), COMMANDS


def test_python_example_runs(desk):
    (example,) = blocks("python")
    checks = "assert images.shape == (4, 3, 64, 64) and torch.equal(half(z), G(z))"
    done = start("-c", f"{example}\n{checks}", cwd=desk)
    assert done.returncode == 0, done.stderr


def test_options_named_in_the_table_exist():
    rows = re.findall(r"^\| (`.*?) \| (.*?) \|", README, re.MULTILINE)
    assert len(rows) > 5
    config = compose_config("train")
    for names, default in rows:
        for name in re.findall(r"`([\w.]+)`", names):
            value = config
            for part in name.split("."):
                assert part in value, name
                value = value[part]
            stated = default.strip("`")
            if isinstance(value, dict):
                assert value["name"] == stated, name
            elif value is not None:  # as YAML writes it
                assert yaml.safe_dump(value).splitlines()[0].removesuffix(".0") == stated, name


def test_linked_files_exist():
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / target).exists(), target
