"""How the phases run: what the options mean on which device, and that compiled networks take the same steps."""

import os
from dataclasses import replace

import pytest
import torch

import src.training.run as run_module
from src.errors import UserError
from src.training.compiled import CompiledNetworks
from src.training.device import Acceleration, accelerate, choose_acceleration
from src.training.settings import StepSettings, TrainerSettings
from tests.training.conftest import run as train
from tests.training.test_graphs import assert_same, assert_same_rows, make, plain_ops, run

assert plain_ops  # a fixture of all tests there, and here
CPU, CUDA = torch.device("cpu"), torch.device("cuda")
DEFAULT = TrainerSettings()


@pytest.mark.parametrize(
    ("given", "device", "expected"),
    [
        ({}, CPU, Acceleration(CPU)),
        ({}, CUDA, Acceleration(CPU, graphs=True)),
        ({"graphs": False}, CUDA, Acceleration(CPU)),
        ({"graphs": True, "tf32": True}, CUDA, Acceleration(CPU, graphs=True, tf32=True)),
        ({"compile": True}, CUDA, Acceleration(CPU, compile=True)),
        ({"deterministic": True}, CUDA, Acceleration(CPU, deterministic=True)),
        ({"compile": True}, CPU, Acceleration(CPU, compile=True)),
    ],
)
def test_what_options_mean_on_a_device(given, device, expected):
    assert choose_acceleration(replace(DEFAULT, **given), device) == replace(expected, device=device)


@pytest.mark.parametrize("name", ["graphs", "tf32", "deterministic"])
def test_options_without_effect_on_a_processor_are_refused(name, options):
    with pytest.raises(UserError, match=rf"trainer\.{name}=true: has no effect.*cpu"):
        train(options, f"trainer.{name}=true", "trainer.accelerator=cpu", "run=refused")


def test_cuda_finds_what_determinism_needs_in_the_environment(options, monkeypatch):
    """cuBLAS reads it once, and the processes of a run are the first to choose a device."""
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", "")  # put back afterwards
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG")
    found = []

    def processes(settings):
        found.append(os.environ.get("CUBLAS_WORKSPACE_CONFIG"))
        raise UserError("that is all")

    monkeypatch.setattr(run_module, "Processes", processes)
    for chosen in ("false", "true"):
        with pytest.raises(UserError, match="that is all"):
            train(options, f"trainer.deterministic={chosen}", "run=refused")
    assert found == [None, ":4096:8"]


def test_the_default_on_a_processor_changes_nothing():
    step = make(StepSettings(ada_target=None))
    accelerate(step, choose_acceleration(DEFAULT, CPU))
    assert step.graphs is None and step.compiled is None


def test_compiled_networks_take_the_same_steps():
    """With a backend that runs what the compiler captured op by op, so that rounding is the same too."""
    settings = StepSettings(augment_p=0.3, r1_interval=4)
    eager, compiled = make(settings, pipe="bgc"), make(settings, pipe="bgc")
    compiled.compiled = CompiledNetworks(compiled.G, compiled.D, backend="eager")
    assert_same_rows(run(eager, 0, 6), run(compiled, 0, 6))
    assert_same(eager, compiled)
