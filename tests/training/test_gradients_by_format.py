"""How far each phase's gradient is off float32's in each number format: the defaults are the formats within bounds.

On the shipped network, where the numbers are those of a trained one; and beside what another draw of the batch changes,
since the better G and D are balanced, the more of a gradient cancels, and what rounding adds does not. A processor has
no TF32, and takes a hundred times as long for fp16: there products and convolutions are made as tensor cores make them.
"""

from pathlib import Path

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only

from src.draws import Draws
from src.networks import FP32, TF32, Precision, computing_in
from src.ops import backend, set_policy
from src.training.settings import StepSettings
from src.training.step import Batch, TrainingStep
from src.weights import load_network

DEMO = Path(__file__).parents[2] / "src" / "weights" / "demo.safetensors"
BATCH = 4
DRAWS = 3
FORMATS = {"bf16": Precision("bf16"), "fp16": Precision("fp16", 8), "tf32": TF32}
WORSE = [("G_reg", "bf16"), ("D_reg", "bf16")]
# error of the whole gradient, over its standard deviation from batch to batch, in the formats that a phase uses:
# rounding adds at most 4 % to the variance in bf16, 1 % in the others
BOUNDS = {
    ("G_main", "bf16"): 0.2,
    ("G_main", "fp16"): 0.06,
    ("D_main", "bf16"): 0.2,
    ("D_main", "fp16"): 0.06,
    ("G_reg", "tf32"): 0.1,
    ("D_reg", "tf32"): 0.06,
}
aten = torch.ops.aten
PRODUCTS = {aten.mm, aten.bmm, aten.addmm, aten.baddbmm, aten.convolution, aten.convolution_backward}


def to_tf32(x):
    """Round to 10 bits of mantissa, to nearest."""
    return ((x.view(torch.int32) + 0x1000) & ~0x1FFF).view(torch.float32)


class TensorCores(TorchDispatchMode):
    """Products and convolutions: fp16 is added up in float32, operands of float32 are rounded if `tf32` asks for it."""

    def __init__(self, *, tf32):
        super().__init__()
        self.tf32 = tf32

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func._overloadpacket not in PRODUCTS:
            return func(*args, **(kwargs or {}))
        if not any(isinstance(a, torch.Tensor) and a.dtype == torch.float16 for a in args):
            args = tree_map_only(torch.Tensor, to_tf32, args) if self.tf32 else args
            return func(*args, **(kwargs or {}))
        found = func(*tree_map_only(torch.Tensor, torch.Tensor.float, args), **(kwargs or {}))
        return tree_map_only(torch.Tensor, torch.Tensor.half, found)


@pytest.fixture(scope="module")
def errors():
    """Error of the flat gradient by phase and format, root mean square over the draws, beside their spread."""
    before = backend.get_policy()
    set_policy("reference")
    networks = load_network(DEMO)
    step = TrainingStep(networks.G, networks.D, StepSettings(ada_target=None), batch_size=BATCH)
    found = {}
    for phase in step.phases:
        exact = gradients(step, phase, networks.G_ema, FP32, DRAWS)
        spread = exact.var(0).sum()
        for name in (name for of, name in [*BOUNDS, *WORSE] if of == phase.name):
            off = gradients(step, phase, networks.G_ema, FORMATS[name], DRAWS) - exact
            found[phase.name, name] = float((off.square().sum(1).mean() / spread).sqrt())
    set_policy(before)
    return found


def gradients(step, phase, G, precision, draws):
    """Flat gradients `[draws, P]`, each of pictures and draws of its own, with the mean path length that they have."""
    parameters = [p.requires_grad_(True) for p in getattr(step, phase.network).parameters()]
    flat = []
    for seed in range(draws):
        latents = torch.randn([BATCH, G.z_dim], generator=torch.Generator().manual_seed(seed))
        batch = Batch(G(latents).detach(), None)
        step.pl_mean.fill_(0.13)
        with computing_in(precision, step.G.synthesis, step.D), TensorCores(tf32=precision == TF32):
            loss, _ = phase.objective(batch, Draws(torch.Generator().manual_seed(seed)))
            found = torch.autograd.grad(loss, parameters, allow_unused=True)
        flat.append(torch.cat([g.flatten() for g in found if g is not None]))
    for p in parameters:
        p.requires_grad_(False)
    return torch.stack(flat)


@pytest.mark.parametrize(("phase", "name"), BOUNDS)
def test_the_formats_in_use_keep_the_gradient(errors, phase, name):
    assert errors[phase, name] < BOUNDS[phase, name]


@pytest.mark.parametrize("phase", ["G_reg", "D_reg"])
def test_regularisers_are_not_in_bf16_because_it_does_not(errors, phase):
    assert errors[phase, "bf16"] > BOUNDS[phase, "tf32"]


def test_tf32_keeps_ten_bits():
    x = torch.tensor([1.0, 1 + 2**-10, 1 + 2**-11 + 2**-20, 1 + 2**-12, -3.0e-30, 0.0])
    expected = torch.tensor([1.0, 1 + 2**-10, 1 + 2**-10, 1.0, -3.0e-30, 0.0])
    torch.testing.assert_close(to_tf32(x), expected, rtol=2**-11, atol=0)
    assert torch.equal(to_tf32(x)[:4], expected[:4])
