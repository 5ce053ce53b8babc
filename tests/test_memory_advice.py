"""Memory runs out: one line says how much there is, and what to lower."""

import re

import pytest
import torch

from src.cli import compose_config
from src.cuda_graphs import CudaRecorder
from src.device import GB, memory_advice
from src.errors import UserError
from src.exits import EXIT_USER_ERROR, with_errors_as_lines
from src.options import read
from src.projection import ProjectionSettings, project
from src.training.memory import what_to_lower
from src.training.settings import TrainSettings
from src.training.step import TrainingStep
from tests.tiny import TINY_PX, make_tiny
from tests.training.conftest import run, run_options

FULL = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 1.50 GiB. GPU 0 has a total capacity of 8.00 GiB")
CPU = torch.device("cpu")


@pytest.fixture
def options(tiny_network, picture_folder, tmp_path):
    return run_options(tiny_network, picture_folder, tmp_path)


def fails(*_, **__):
    raise FULL


def test_figures_are_the_devices_own(monkeypatch):
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda _: 6 * GB)
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda _: 6.5 * GB)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (0.5 * GB, 8 * GB))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "Card")
    device, shares = torch.device("cuda"), []

    def runs_out(error, at_rest):
        with memory_advice(device, lambda share: shares.append(share) or "less", at_rest=at_rest):
            raise error

    words = r"Card has too little memory \(8.0 GB, 1.0 GB of it in other hands; 7.5 GB or more are needed\): less"
    for at_rest in (GB, 8 * GB):
        with pytest.raises(UserError, match=words):
            runs_out(FULL, at_rest)
    with pytest.raises(UserError, match="the machine has too little memory: less"):
        runs_out(MemoryError(), GB)  # while pictures are pinned for it
    assert shares == [pytest.approx((8 - 1 - 1) / (7.5 - 1)), None, None]


@pytest.mark.parametrize("error", [FULL, MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory")])
def test_a_processor_counts_nothing(error):
    with pytest.raises(UserError, match="the machine has too little memory: None"), memory_advice(CPU, str, at_rest=0):
        raise error
    with pytest.raises(RuntimeError, match="another"), memory_advice(CPU, str, at_rest=0):
        raise RuntimeError("another")


@pytest.mark.parametrize(
    ("at_once", "share", "words"),
    [
        ("null", None, "batch_gpu=8 is the same training with 8 pictures at once instead of 16"),
        ("null", 0.9, "batch_gpu=8 "),
        ("null", 0.3, "batch_gpu=4 "),
        ("null", 0.1, "batch_gpu=4 "),  # a group of D is not cut
        ("8", 0.6, "batch_gpu=4 is the same training with 4 pictures at once instead of 8"),
        ("4", 0.9, "batch_gpu cannot be below 4, since D compares the pictures of a group; trainer.precision=bf16"),
    ],
)
def test_what_fits_is_a_batch_gpu_that_the_run_would_take(at_once, share, words):
    settings = read(TrainSettings, compose_config("train", ["batch=16", f"batch_gpu={at_once}"]))
    assert what_to_lower(settings, make_tiny(0, TINY_PX)[1], 1, share).startswith(words)


def test_a_training_that_follows_the_advice_goes_on(options, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(TrainingStep, "run", fails)
        with pytest.raises(UserError) as error:
            run(options, "batch=8", "snapshot.kimg=[0.016]", "run=large")
    advice = re.search(r"too little memory: (batch_gpu=4) is the same training", str(error.value))[1]
    assert (run(options, "batch=8", "snapshot.kimg=[0.016]", "run=large", advice) / "checkpoints/last.ckpt").is_file()


@pytest.mark.parametrize(
    ("batch", "words"),
    [(6, "projection.batch=3 is"), (1, "a single picture: project with device=cpu"), (16, "projection.batch=3 is")],
)
def test_a_projection_says_which_batch_to_take(batch, words, monkeypatch):
    monkeypatch.setattr("src.projection.projector._project_batch", fails)
    G, _ = make_tiny(0, TINY_PX)
    targets = torch.zeros([6, 3, TINY_PX, TINY_PX], dtype=torch.uint8)
    with pytest.raises(UserError, match=words):
        project(G, targets, settings=ProjectionSettings(distance="embedded"), batch=batch, progress=False)


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (FULL, "the device has too little memory: end what else takes it, or use the processor"),
        (RuntimeError("CUDA error: out of memory"), "the device has too little memory"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate"), "the machine has too little memory: end"),
        (PermissionError(13, "Permission denied", "/photos/a.jpg"), "/photos/a.jpg: Permission denied\n"),
        (
            OSError(28, "No space left on device", "/runs/a"),
            "/runs/a: cannot be written (No space left on device): make",
        ),
    ],
)
def test_elsewhere_it_is_one_line_too(error, line, capsys):
    def fails():
        raise error

    with pytest.raises(SystemExit) as end:
        with_errors_as_lines(fails)
    err = capsys.readouterr().err
    assert end.value.code == EXIT_USER_ERROR and err.startswith(f"error: {line}") and err.count("\n") == 1


def test_a_capture_that_lacks_memory_is_no_work_that_cannot_be_captured(monkeypatch):
    recorder = CudaRecorder.__new__(CudaRecorder)
    recorder.pool = recorder.stream = None
    monkeypatch.setattr(torch.cuda, "CUDAGraph", fails)
    with pytest.raises(torch.OutOfMemoryError):
        recorder.capture(lambda: None, None)
