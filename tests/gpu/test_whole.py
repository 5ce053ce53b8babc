"""Whole networks and a whole iteration at 256 px against the processor: values, first and second derivatives."""

import copy

import pytest
import torch

from src.networks import FP32, TF32, Precision, computing_in
from src.ops import set_policy
from src.training.losses import path_lengths, r1_penalty
from src.training.step import Batch
from tests.gpu.whole import BATCH, SameDraws, networks, training_step

PX = 256
FORMATS = {"fp32": FP32, "tf32": TF32, "bf16": Precision("bf16"), "fp16": Precision("fp16", PX >> 3)}
# relative errors of: values, gradients, gradients of gradients
LIMITS = {
    "fp32": (1e-4, 2e-3, 5e-3),
    "tf32": (1e-2, 5e-2, 0.15),
    "bf16": (5e-2, 0.15, None),
    "fp16": (2e-2, 5e-2, None),
}


def quantities(G, D, device, precision):
    """Images, logits, penalties, and their gradients as flat tensors."""
    generator = torch.Generator().manual_seed(3)
    z, real, direction = (torch.randn(s, generator=generator) for s in ([2, 512], [2, 3, PX, PX], [2, 3, PX, PX]))
    found = {}
    with computing_in(precision, G.synthesis, D):
        images = G(z.to(device))
        logits = D(images)
        found["value"] = [images, logits]
        found["gradient"] = [flat(logits.sum(), G.synthesis)]
        x = real.to(device).requires_grad_()
        penalty = r1_penalty(D(x), x).mean()
        ws = G.mapping(z.to(device))
        lengths = path_lengths(G.synthesis(ws), ws, direction.to(device))
        found["gradient"] += [penalty, lengths]
        found["second"] = [flat(penalty, D), flat(lengths.sum(), G.synthesis)]
    return {kind: [t.detach().double().cpu() for t in tensors] for kind, tensors in found.items()}


def flat(value, network):
    grads = torch.autograd.grad(value, list(network.parameters()), allow_unused=True)
    return torch.cat([g.flatten() for g in grads if g is not None])


@pytest.fixture(scope="module")
def expected():
    """By the reference on the processor, in float32."""
    set_policy("reference")
    return quantities(*networks(PX), "cpu", FP32)


@pytest.mark.parametrize("name", FORMATS)
def test_networks_equal_the_processors(name, expected, compiled_kernels, cuda):
    set_policy("required")
    G, D = (network.to(cuda) for network in networks(PX))
    found = quantities(G, D, cuda, FORMATS[name])
    for kind, limit in zip(("value", "gradient", "second"), LIMITS[name], strict=True):
        for ours, theirs in zip(found[kind], expected[kind], strict=True):
            error = float((ours - theirs).norm() / theirs.norm())
            assert limit is None or error < limit, f"{kind}: {error:.1e}"


def test_an_iteration_equals_the_processors(cuda):
    """All four phases with their optimiser steps, ADA, average: the same draws, float32, batch 4."""
    images = torch.randn([BATCH, 3, PX, PX], generator=torch.Generator().manual_seed(5)).clamp(-1, 1)
    with SameDraws():
        step = training_step(cuda, FP32, FP32)
        start = copy.deepcopy(step.state_dict())
        ours = step.run(Batch(images.to(cuda), None), 0)
    set_policy("reference")
    theirs_step = training_step("cpu", FP32, FP32)
    theirs = theirs_step.run(Batch(images, None), 0)
    assert ours.keys() == theirs.keys() and len(ours) == 6
    for key, value in theirs.items():
        torch.testing.assert_close(ours[key].cpu(), value, rtol=1e-3, atol=1e-4, msg=key)
    for name in ("G", "D", "G_ema"):
        keys = [key for key in start if key.startswith(f"{name}.") and start[key].is_floating_point()]
        moved, wanted = (
            torch.cat([(state[key].cpu() - start[key].cpu()).flatten().double() for key in keys])
            for state in (step.state_dict(), theirs_step.state_dict())
        )
        # Adam's first steps are signs of gradients: the few near zero may differ
        assert float((moved - wanted).norm() / wanted.norm()) < 0.1, name
