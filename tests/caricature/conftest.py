"""A run folder around the shipped network with a finished sweep, and photographs with their landmarks."""

import json
import shutil
from dataclasses import replace

import pytest

from src.caricature.settings import CaricatureSettings, PageSettings
from src.demo import draw_photographs
from src.faces import FaceSettings
from src.files import file_sha256
from src.networks import blend
from src.projection import ProjectionChoice
from src.runs import PathsSettings, Recipe, blend_header
from src.weights import load_network, save_network

from ..sweep.conftest import drifted

KIMG, RESOLUTION = 2, 16


def write_swept_run(folder):
    """Two snapshots, and a sweep that recommends the second at 16 px."""
    base = load_network("demo").G_ema
    paths = {}
    for kimg, amount in ((0, 0.0), (1, 0.05), (KIMG, 0.15)):
        G = drifted(base, amount) if kimg else base
        path = folder / "snapshots" / f"kimg-{kimg:09.2f}.safetensors"
        paths[kimg] = save_network(path, G_ema=G, meta={"kimg": kimg})
    (folder / "run.json").write_text("{}")
    tuned = load_network(paths[KIMG]).G_ema
    ours, theirs = ({"file": paths[k].name, "kimg": k, "sha256": file_sha256(paths[k])} for k in (KIMG, 0))
    made = blend_header(Recipe(RESOLUTION), ours, theirs)
    sweep = folder / "sweeps" / "cartoon-low"
    save_network(sweep / "best.safetensors", G_ema=blend(tuned, base, RESOLUTION), meta={"blend": made})
    (sweep / "ranking.json").write_text(json.dumps({"recommended": {"label": f"kimg-{KIMG:09.2f}/{RESOLUTION}"}}))
    return folder


@pytest.fixture(scope="session")
def swept_run(tmp_path_factory):
    return write_swept_run(tmp_path_factory.mktemp("runs") / "mine")


@pytest.fixture
def run_dir(swept_run, tmp_path):
    return shutil.copytree(swept_run, tmp_path / "runs" / "mine")


@pytest.fixture(scope="session")
def holiday(tmp_path_factory):
    """Three persons, a wall without a face, and a text that calls itself a picture."""
    folder = draw_photographs(tmp_path_factory.mktemp("pictures") / "holiday", 3)
    (folder / "broken.jpg").write_text("no picture")
    person = (folder / "person-00.png").read_bytes()
    (folder / "nobody.png").write_bytes(person)
    (folder / "nobody.json").write_text('{"faces": []}')
    return folder


@pytest.fixture
def settings(run_dir, holiday, tmp_path):
    """Quick ones."""
    return CaricatureSettings(
        photos=holiday,
        run=run_dir,
        out=tmp_path / "out",
        faces=FaceSettings(align_px=128),
        projection=ProjectionChoice(steps=4),
        page=PageSettings(strengths=(0.0, 1.0), resolutions=(8,)),
        paths=PathsSettings(runs=run_dir.parent),
    )


@pytest.fixture
def from_codes(settings, base_codes):
    """The same from codes alone: no projection."""
    return replace(settings, photos=None, codes=base_codes, faces=FaceSettings(), projection=ProjectionChoice())


@pytest.fixture(scope="session")
def base_codes(tmp_path_factory):
    """Two files of codes."""
    import numpy as np
    import torch

    G = load_network("demo").G_ema
    ws = G.mapping(torch.randn([2, G.z_dim], generator=torch.Generator().manual_seed(3)), psi=0.7)
    folder = tmp_path_factory.mktemp("codes")
    for name, w in zip(("anna", "bert"), ws.detach(), strict=True):
        np.save(folder / f"{name}.npy", w.numpy())
    return folder
