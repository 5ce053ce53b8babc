"""A process that is killed in the middle of a file leaves the one before as it was: every kind of file."""

import os
import signal

import numpy as np
import pytest
import torch

from src.data import save_jpeg, save_png
from src.files import append_lines, remove_partials, write_text
from src.prepare.pack import write_zip
from src.prepare.work_folder import Unfinished
from src.projection import Codes, save_codes
from src.sweep.features import save_arrays
from src.training.checkpoint import LAST, AtomicCheckpointIO
from src.weights import save_network

from .tiny import make_tiny

resource = pytest.importorskip("resource")


def checkpoint(folder, seed):
    path = folder / LAST
    AtomicCheckpointIO(lambda: None, None).save_checkpoint({"nimg": seed, "w": torch.full([999], seed)}, path)
    return path


def snapshot(folder, seed):
    return save_network(folder / "kimg-000001.00.safetensors", G_ema=make_tiny(seed=seed)[0], meta={"kimg": 1.0})


def cell(folder, seed):
    save_arrays(folder / "cell.npz", pseudo=np.full([99, 2], float(seed)))
    return folder / "cell.npz"


def picture(folder, seed):
    return save_jpeg(folder / "cell.jpg", np.random.default_rng(seed).integers(0, 256, [32, 32, 3], np.uint8))


def drawn(folder, seed):
    return save_png(folder / "face.png", np.random.default_rng(seed).integers(0, 256, [32, 32, 3], np.uint8))


def zipped(folder, seed):
    (folder / "work").mkdir(exist_ok=True)
    work = Unfinished(folder / "work")
    for number in range(3):
        work.path(number).write_bytes(bytes([seed]) * 500)
    write_zip(folder / "set.zip", work, range(3), None, {})
    return folder / "set.zip"


def codes(folder, seed):
    save_codes(folder, Codes("anna", torch.full([4, 64], float(seed))))
    return folder / "anna.npy"


def page(folder, seed):
    return write_text(folder / "report.html", f"{seed}" * 999)


def killed_at(size, write, *arguments):
    """Call in a process that the system kills, or that fails, when a file of it grows beyond so many bytes."""
    child = os.fork()
    if not child:
        try:
            signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
            write(*arguments)
            os._exit(0)
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    assert status, "it has written all"


@pytest.mark.parametrize("write", [checkpoint, snapshot, cell, picture, drawn, zipped, codes, page])
def test_the_file_before_stands(tmp_path, write):
    path = write(tmp_path, 1)
    before, names = path.read_bytes(), {p.name for p in tmp_path.iterdir()}
    killed_at(len(before) // 2, write, tmp_path, 2)
    assert path.read_bytes() == before
    remove_partials(tmp_path)
    assert {p.name for p in tmp_path.iterdir()} == names, "what the process has left goes"
    assert write(tmp_path, 2).read_bytes() != before


def test_the_rows_before_stand_and_the_next_one_too(tmp_path):
    path = tmp_path / "metrics.jsonl"
    append_lines(path, ["first"])
    killed_at(9, append_lines, path, ["second"])
    append_lines(path, ["third"])
    assert path.read_text().splitlines() == ["first", "sec", "third"]
