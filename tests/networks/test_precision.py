"""Networks in bfloat16 and float16: close to float32, float32 where it matters, and back to normal afterwards."""

import os

import pytest
import torch
import torch.nn.functional as F

from src.networks import FP32, Discriminator, Generator, Precision, choose_precision, computing_in, slow_format
from src.networks.synthesis_layers import styles_for_fp16, weight_for_fp16
from src.ops import demodulation, filters_and_energy

SIZE = {"resolution": 32, "channel_base": 512, "channel_max": 32}


@pytest.fixture(scope="module")
def networks():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        G, D = Generator(num_mapping_layers=2, **SIZE), Discriminator(**SIZE)
        return G, D, torch.randn(4, G.num_ws, G.w_dim)


@pytest.mark.parametrize("precision", [Precision("bf16"), Precision("bf16", 16), Precision("fp16", 16)], ids=str)
def test_close_to_float32(networks, precision):
    """One in a hundred of the range: eight bits of mantissa through eight layers."""
    G, D, ws = networks
    codes = ws.clone().requires_grad_(True)
    expected = G.synthesis(codes)
    gradient = torch.autograd.grad(D(expected).sum(), codes)[0]
    with computing_in(precision, G.synthesis, D):
        got = G.synthesis(codes)
        lowered = torch.autograd.grad(D(got).sum(), codes)[0]
    assert got.dtype == torch.float32 and not torch.equal(got, expected)
    assert (got - expected).abs().max() < 0.02 * expected.abs().max()
    assert F.cosine_similarity(gradient.flatten(), lowered.flatten(), dim=0) > 0.99
    assert torch.equal(G.synthesis(codes), expected), "afterwards it computes in float32 again"


def test_autocast_is_for_others_and_works(networks):
    """Training here takes `computing_in`; the networks are modules that may stand in somebody's own."""
    G, D, _ = networks
    z = torch.randn(2, G.z_dim, generator=torch.Generator().manual_seed(1)).requires_grad_()
    exact = torch.autograd.grad(D(G(z)).sum(), z)[0]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = D(G(z))
    (found,) = torch.autograd.grad(y.float().sum(), z)
    assert y.dtype == torch.bfloat16
    assert F.cosine_similarity(exact.flatten(), found.flatten(), dim=0) > 0.97


def test_blocks_below_and_the_epilogue_stay_float32(networks):
    G, D, ws = networks
    seen = {}
    dtype_of = lambda out: (out if torch.is_tensor(out) else next(t for t in out if t is not None)).dtype  # noqa: E731
    hooks = [
        module.register_forward_hook(lambda m, a, out, name=name: seen.__setitem__(name, dtype_of(out)))
        for network in (G.synthesis, D)
        for name, module in network.named_modules()
        if name.endswith(("conv0", "conv1", "torgb", "conv"))
    ]
    with computing_in(Precision("bf16", 16), G.synthesis, D):
        D(G.synthesis(ws))
    for hook in hooks:
        hook.remove()
    assert seen["b8.conv1"] == seen["b4.conv"] == torch.float32
    assert seen["b16.conv0"] == seen["b32.conv1"] == torch.bfloat16
    assert seen["b32.torgb"] == torch.float32


def test_an_error_leaves_float32_behind(networks):
    G, _, _ = networks
    with pytest.raises(ZeroDivisionError), computing_in(Precision("bf16"), G.synthesis):
        raise ZeroDivisionError
    assert G.synthesis.precision == FP32


def test_scaling_for_float16_is_undone_by_demodulation():
    torch.manual_seed(0)
    styles, weight = torch.randn(3, 8) * 1000, torch.randn(6, 8, 3, 3) * 30
    small, scaled = styles_for_fp16(styles), weight_for_fp16(weight)
    assert small.abs().max() <= 1 and scaled.abs().max() <= 1 / 8**0.5
    x = torch.randn(3, 8, 5, 5)

    def layer(styles, weight):
        return (
            F.conv2d(x * styles[:, :, None, None], weight)
            * demodulation(filters_and_energy(weight, x)[1], styles)[:, :, None, None]
        )

    torch.testing.assert_close(layer(small, scaled), layer(styles, weight), atol=1e-5, rtol=1e-4)


def test_float16_bounds_what_would_overflow(networks):
    G, D, ws = networks
    loud = 1e6 * torch.ones(2, 3, 32, 32)
    with torch.no_grad(), computing_in(Precision("fp16"), G.synthesis, D):
        assert torch.isfinite(G.synthesis(100 * ws)).all()
        assert torch.isfinite(D(loud.clamp(max=6e4))).all()


def test_what_a_name_means_on_a_device():
    assert choose_precision("auto", "cpu", 256) == choose_precision("fp32", "cpu", 256) == FP32
    assert choose_precision("bf16", "cpu", 256) == Precision("bf16", 0)
    with pytest.raises(ValueError, match="needs a CUDA device"):
        choose_precision("fp16", "cpu", 256)
    with pytest.raises(ValueError, match="one of auto, fp32, bf16, fp16"):
        choose_precision("int8", "cpu", 256)


@pytest.mark.parametrize(("capability", "expected"), [((9, 0), Precision("bf16")), ((7, 0), Precision("fp16", 32))])
def test_on_a_cuda_device_bf16_covers_all_blocks_and_fp16_the_four_highest(monkeypatch, capability, expected):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert choose_precision("auto", "cuda", 256) == expected
    assert choose_precision("bf16", "cuda", 256) == Precision("bf16")
    assert choose_precision("fp16", "cuda", 1024) == Precision("fp16", 128)
    assert choose_precision("fp32", "cuda", 256) == FP32


def test_a_processor_without_bf16_says_that_it_is_slow(monkeypatch):
    monkeypatch.setattr("src.networks.precision._processor_has_bf16", lambda: False)
    assert "fp32 is many times faster" in (slow_format(Precision("bf16"), "cpu") or "")
    assert slow_format(FP32, "cpu") is None and slow_format(Precision("bf16"), "cuda") is None
    monkeypatch.setattr("src.networks.precision._processor_has_bf16", lambda: True)
    assert slow_format(Precision("bf16"), "cpu") is None
    monkeypatch.undo()
    told = "ATEN_CPU_CAPABILITY" in os.environ
    if torch.backends.cpu.get_cpu_capability() == "AVX2" and not told:  # oneDNN needs AVX-512 for bf16 on these
        assert slow_format(Precision("bf16"), "cpu")
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)  # as PyTorch is built for some machines
    assert slow_format(Precision("bf16"), "cpu")
