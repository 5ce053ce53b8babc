"""A run with a sweep's recommendation, and `render`: `generate.py` in this process."""

import json
import shutil

import pytest

from src.cli import compose_config
from src.networks import blend
from src.runs import Recipe, blend_header
from src.weights import load_network, save_network

from ..sweep.conftest import drifted, make_network, write_run

RESOLUTION = 32


@pytest.fixture(scope="session")
def swept_runs(tmp_path_factory):
    """`runs/first` with snapshots at 0, 1 and 2 kimg, and a recommended blend of 1 kimg at 8."""
    runs, base = tmp_path_factory.mktemp("generate") / "runs", make_network(0)
    run = write_run(runs / "first", base, {0: 0.0, 1: 0.3, 2: 0.5})
    header = blend_header(Recipe(8), {"file": "kimg-000001.00.safetensors", "kimg": 1.0}, {})
    made, sweep = blend(drifted(base, 0.3), base, 8), run / "sweeps" / "cartoon-low"
    save_network(sweep / "best.safetensors", G_ema=made, meta={"kimg": 1.0, "blend": header})
    (sweep / "ranking.json").write_text(json.dumps({"recommended": {"label": "kimg-000001.00/8"}}))
    return runs


@pytest.fixture
def runs(swept_runs, tmp_path):
    return shutil.copytree(swept_runs, tmp_path / "runs")


@pytest.fixture
def render(runs, tmp_path, monkeypatch):
    """Call with options as on a command line: the folder of the pictures."""
    from src.generate.run import generate

    monkeypatch.chdir(tmp_path)
    return lambda *options: generate(compose_config("generate", list(options)))


def load(path):
    return load_network(path).G_ema
