"""A run folder with a tiny base network and snapshots that drift from it, made once."""

import copy
import json
import shutil
from pathlib import Path

import pytest
import torch
import yaml

from src.networks import Generator
from src.options import read
from src.sweep import SweepSettings
from src.weights import save_network

RESOLUTION = 32
DATASET = {
    "name": "demo",
    "kind": "portraits",
    "domain": "cartoons",
    "num_images": 24,
    "resolution": RESOLUTION,
    "mirror": False,
}


def make_network(seed: int, resolution: int = RESOLUTION) -> Generator:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        G = Generator(z_dim=16, w_dim=16, num_mapping_layers=2, resolution=resolution, channel_base=512, channel_max=16)
        for module in G.modules():
            if hasattr(module, "noise_strength"):  # 0 at first: noise maps would have no effect
                module.noise_strength.data.fill_(0.3)
    return G.eval().requires_grad_(False)


def drifted(base: Generator, amount: float) -> Generator:
    """A stand-in for fine-tuning: every weight moved in a fixed direction."""
    G, generator = copy.deepcopy(base), torch.Generator().manual_seed(7)
    with torch.no_grad():
        for parameter in G.parameters():
            parameter += amount * parameter.std(correction=0) * torch.randn(parameter.shape, generator=generator)
        for buffer in (G.mapping.w_avg, *(m.noise_const for m in G.modules() if hasattr(m, "noise_const"))):
            buffer += 0.5 * torch.randn(buffer.shape, generator=generator)
    return G


def write_run(folder: Path, base: Generator, amounts: dict[float, float]) -> Path:
    from src.data import DatasetSettings, open_configured_dataset

    for kimg, amount in amounts.items():
        G = base if kimg == 0 else drifted(base, amount)
        save_network(folder / "snapshots" / f"kimg-{kimg:09.2f}.safetensors", G_ema=G, meta={"kimg": kimg})
    dataset = open_configured_dataset(read(DatasetSettings, DATASET))
    facts = {"name": folder.name, "dataset": {"fingerprint": dataset.fingerprint, "resolution": RESOLUTION}}
    (folder / "run.json").write_text(json.dumps(facts))
    config = {"dataset": DATASET, "pretrained": {"name": "file", "source": "base.safetensors"}}
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    return folder


def settings_of(resolutions, *, blend=None, **options) -> SweepSettings:
    """Settings of a sweep by the names of the options; `blend` are those of the group."""
    return read(SweepSettings, {"blend": {"res": resolutions, **(blend or {})}, **options})


@pytest.fixture(scope="session")
def base() -> Generator:
    return make_network(0)


@pytest.fixture(scope="session")
def trained_run(base, tmp_path_factory) -> Path:
    return write_run(tmp_path_factory.mktemp("runs") / "first", base, {0: 0.0, 1: 0.3, 2: 0.5})


@pytest.fixture
def run_dir(trained_run, tmp_path) -> Path:
    return Path(shutil.copytree(trained_run, tmp_path / "runs" / "first"))
