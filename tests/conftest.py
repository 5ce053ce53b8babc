"""Shared fixtures: one thread (small tensors), no network, caches in a temporary place, tiny networks and pictures."""

import contextlib
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from src.lock import exclusive
from src.weights import save_network

from . import scripts
from .browser import Browser, find_browser
from .tiny import TINY_PX, make_tiny

GPU_TESTS = Path(__file__).parent / "gpu"


def pytest_ignore_collect(collection_path, config):
    """`-m gpu` looks into one folder alone: a machine with a GPU may have neither Hydra nor W&B."""
    if config.option.markexpr != "gpu":
        return None
    inside = GPU_TESTS in (collection_path, *collection_path.parents)
    return None if inside or collection_path in GPU_TESTS.parents else True


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node, error):
    """Say how a worker of xdist has ended that ended unasked."""
    if error:
        process = node.gateway._io.popen
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(2)
        report = node.config.pluginmanager.get_plugin("terminalreporter")
        report.write_line(f"{node.gateway.id}: exit code {process.returncode}")


def pytest_runtest_setup(item):
    scripts.is_marked = item.get_closest_marker("script") is not None


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory):
    """A folder that all workers of this test run have."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "shared"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def made_once(shared_folder):
    """Make a file for all workers: `made_once(name, write)` is its path, which `write(path)` has made for the first."""

    def made(name, write):
        path = shared_folder / name
        with exclusive(shared_folder / f"{name}.lock"):
            if not path.exists():
                write(path)
        return path

    return made


@pytest.fixture(scope="session", autouse=True)
def quiet_machine(tmp_path_factory, shared_folder):
    """One thread, W&B offline, caches of this test run alone."""
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        root = tmp_path_factory.mktemp("home")
        patch.setenv("XDG_CACHE_HOME", str(shared_folder / "cache"))
        patch.setenv("WANDB_MODE", "offline")
        patch.setenv("OMP_NUM_THREADS", "1")
        patch.setattr(os, "fsync", lambda descriptor: None)  # which a test could see by a power failure alone
        for name in ("WANDB_CACHE_DIR", "WANDB_DATA_DIR", "WANDB_CONFIG_DIR"):
            patch.setenv(name, str(root / name.lower()))
        yield


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    """A headless browser; without one on the machine its tests are skipped."""
    if find_browser() is None:
        pytest.skip("no Chromium or Chrome")
    with Browser(tmp_path_factory.mktemp("browser")) as opened:
        yield opened


@pytest.fixture(scope="session")
def tiny_network(tmp_path_factory):
    """A full network file at 16 px."""
    G, D = make_tiny()
    return save_network(tmp_path_factory.mktemp("networks") / "tiny.safetensors", G_ema=G, G=G, D=D, meta={"kimg": 1.0})


@pytest.fixture(scope="session")
def small_network(tmp_path_factory):
    """A full network file at 32 px."""
    G, D = make_tiny(resolution=32)
    return save_network(
        tmp_path_factory.mktemp("networks") / "small.safetensors", G_ema=G, G=G, D=D, meta={"kimg": 1.0}
    )


@pytest.fixture(scope="session")
def picture_folder(tmp_path_factory):
    """24 smooth colour pictures of 16 px."""
    folder = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    for i in range(24):
        small = rng.integers(0, 256, [4, 4, 3], dtype=np.uint8)
        Image.fromarray(small).resize((TINY_PX, TINY_PX), Image.Resampling.BICUBIC).save(folder / f"{i}.png")
    return folder
