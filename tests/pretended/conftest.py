"""The pretended device, and whole runs on it; compiled kernels take no pretended tensors, so ops are the reference."""

import functools
from collections import Counter

import pytest
import torch
from pytorch_lightning.accelerators import CPUAccelerator
from pytorch_lightning.strategies import SingleDeviceStrategy

from src.ops import backend, set_policy
from src.training import device as training_device, trainer
from src.training.graphs import PhaseGraphs
from src.training.step import TrainingStep
from tests.pretended.cuda import CUDA, PretendedCuda, Recorder


@pytest.fixture(autouse=True)
def reference_ops(monkeypatch):
    monkeypatch.setenv("CARICATURE_OPS", "reference")
    monkeypatch.setattr(backend, "_policy", None)
    set_policy("reference")


@pytest.fixture
def pretended():
    """The device."""
    with PretendedCuda() as device:
        yield device


@pytest.fixture
def training(pretended, monkeypatch):
    """Lightning believes in the device, and phases are captured by `Recorder` in their second run.

    Attributes of what it gives: `recorder`, `iterations` (waits within iterations, by function).
    """
    pretended.recorder, pretended.iterations = Recorder(pretended), Counter()
    monkeypatch.setattr(training_device, "CudaRecorder", lambda *_, **__: pretended.recorder)
    monkeypatch.setattr(training_device, "PhaseGraphs", functools.partial(PhaseGraphs, eager_runs=1))
    monkeypatch.setattr(CPUAccelerator, "setup_device", lambda *_: None)
    monkeypatch.setattr(trainer, "RunTrainer", _trainer(trainer.RunTrainer))
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", False)
    monkeypatch.setattr(TrainingStep, "run", _noting(TrainingStep.run, pretended))
    return pretended


def _trainer(real):
    def make(**options):
        assert options.pop("accelerator") == "gpu"
        return real(accelerator="cpu", strategy=SingleDeviceStrategy(device=CUDA), **options)

    return make


def _noting(run, pretended):
    def noting(step, batch, nimg):
        assert batch.images.is_cuda and next(step.parameters()).is_cuda
        before = Counter(pretended.waits)
        stats = run(step, batch, nimg)
        for (_, where), count in (pretended.waits - before).items():
            pretended.iterations[where] += count
        return stats

    return noting
