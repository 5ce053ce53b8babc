"""What a run computes with: precision a phase, device, ops and allocator as the configuration says."""

from dataclasses import replace

import pytest
import torch

from src.errors import UserError
from src.networks import FP32, Precision
from src.ops import backend, set_policy
from src.ops.memory import choose_allocator, keep_for
from src.training import losses
from src.training.device import open_compute
from src.training.settings import TrainerSettings
from src.training.step import TrainingStep

from .test_step import make, reals, run

TRAINER = TrainerSettings(accelerator="cpu")


@pytest.fixture(autouse=True)
def policy_afterwards():
    before = backend.get_policy()
    yield
    set_policy(before)


def lowered(precision, settings=None):
    plain = make(settings)
    return TrainingStep(plain.G, plain.D, plain.settings, batch_size=4, precision=precision)


def noting_precision(phase, step, seen):
    def objective(batch, generator):
        seen[phase.name] = (step.D.precision.name, step.G.synthesis.precision.name)
        return phase.objective(batch, generator)

    return replace(phase, objective=objective)


def test_main_phases_are_lowered_and_regularisers_are_not():
    step, seen = lowered(Precision("bf16")), {}
    step.phases = [noting_precision(phase, step, seen) for phase in step.phases]
    step.run(reals(0), 0)
    assert seen["G_main"] == seen["D_main"] == ("bf16", "bf16")
    assert seen["G_reg"] == seen["D_reg"] == ("fp32", "fp32")
    assert step.D.precision == step.G.synthesis.precision == FP32
    assert all(p.dtype == torch.float32 for p in step.parameters())


def test_a_lowered_run_follows_the_float32_run():
    exact, step = make(), lowered(Precision("bf16"))
    start = [p.clone() for p in step.G.parameters()]
    run(exact, 0, 32)
    run(step, 0, 32)
    moved = torch.cat([(p - s).flatten() for p, s in zip(step.G.parameters(), start, strict=True)])
    wanted = torch.cat([(p - s).flatten() for p, s in zip(exact.G.parameters(), start, strict=True)])
    assert 0 < (moved - wanted).norm() < 0.5 * wanted.norm()


def test_overflowing_gradients_are_replaced_in_float16(monkeypatch):
    step = lowered(Precision("fp16"))
    monkeypatch.setattr(losses, "generator_loss", lambda logits: logits.mean() * float("inf"))
    step.run(reals(0), 0)
    assert all(torch.isfinite(p).all() for p in step.parameters())


def test_compute_is_what_the_trainer_group_says():
    compute = open_compute(TRAINER, 64)
    assert (compute.device.type, compute.precision, compute.keeps_memory) == ("cpu", FP32, False)
    assert compute.summary(3) == "processor, fp32, 3 threads"
    compute = open_compute(replace(TRAINER, precision="bf16", ops="reference"), 64)
    assert compute.precision == Precision("bf16") and compute.regularizer_precision == FP32
    assert "bf16, regularisers fp32" in compute.summary(1) and "asked for" in compute.ops
    assert backend.get_policy() == "reference"


def test_float16_on_a_processor_is_refused():
    with pytest.raises(UserError, match=r"trainer\.precision=fp16: fp16 needs a CUDA device"):
        open_compute(replace(TRAINER, precision="fp16"), 64)


def test_the_allocator_keeps_memory_for_large_pictures_on_a_processor(monkeypatch):
    told = []
    monkeypatch.setattr("src.ops.memory._keep", lambda: told.append(True) or True)
    assert not choose_allocator("auto", "cpu", 128) and not choose_allocator("auto", "cuda", 1024)
    assert not choose_allocator("system", "cpu", 1024) and not told
    assert choose_allocator("auto", "cpu", 256) and choose_allocator("keep", "cpu", 64) and len(told) == 2
    monkeypatch.setattr("src.ops.memory._keep", lambda: False)
    assert not choose_allocator("auto", "cpu", 256)
    with pytest.raises(UserError, match=r"trainer\.allocator=keep: this system"):
        open_compute(replace(TRAINER, allocator="keep"), 64)
    monkeypatch.setenv("CARICATURE_ALLOCATOR", "mine")
    with pytest.raises(UserError, match="CARICATURE_ALLOCATOR=mine: the allocator is one of auto, keep"):
        keep_for("cpu", 64)
