"""How the phases run: what the options mean on which device, and that compiled networks take the same steps."""

from dataclasses import replace

import pytest
import torch

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
