"""The CUDA warp kernels, run thread by thread on the CPU, against float64 matrix products."""

import ctypes

import pytest
import torch

from src.augment import geometry
from src.ops import backend, kernels, set_policy

from . import cuda_library as lib

SHAPES = [(2, 3, 40, 33), (1, 4, 16, 16), (3, 1, 5, 70), (1, 3, 3, 2)]


def maps(n, seed=0):
    """The identity, then turns, stretches and shifts of all sizes."""
    generator = torch.Generator().manual_seed(seed)
    affine = 0.7 * torch.randn([n, 2, 3], generator=generator, dtype=torch.float64) + torch.eye(2, 3)
    affine[:, :, 2] *= 8
    affine[0] = torch.eye(2, 3)
    return affine


@pytest.fixture
def reference(monkeypatch):
    monkeypatch.setattr(backend, "_policy", None)
    set_policy("reference")


def run(library, x, affine, margins, adjoint, dtype):
    given, mapped, limits = (lib.Buffer(t.to(dtype)) for t in (x, affine, margins))
    result = lib.Buffer(torch.zeros(x.shape, dtype=dtype)) if adjoint else lib.unwritten(x.shape, dtype)
    taps = (ctypes.c_double * len(geometry.SYM6))(*geometry.SYM6)
    n, c, h, w = x.shape
    arguments = kernels.Warp(
        x=given.pointer, y=result.pointer, affine=mapped.pointer, margins=limits.pointer, taps=taps,
        n=n, c=c, h=h, w=w, adjoint=adjoint, dtype=kernels.DTYPES[dtype],
    )  # fmt: skip
    lib.call(library, "ops_warp", arguments)
    return result.read()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("shape", SHAPES)
def test_gather_and_scatter(shape, dtype, emulated, order, reference):
    torch.manual_seed(0)
    x, affine = torch.randn(shape, dtype=torch.float64), maps(shape[0])
    if dtype == torch.float32:
        x, affine = x.float().double(), affine.float().double()
    margins = geometry.padding_margins(affine, *shape[2:])
    leaf = x.clone().requires_grad_()
    expected = geometry.warp(leaf, affine)
    values = expected.detach()
    g = torch.randn(shape, dtype=torch.float64).to(dtype).double()
    (gradient,) = torch.autograd.grad(expected, leaf, g)
    tolerance = {torch.float32: 3e-4, torch.float64: 1e-11}[dtype]  # float32 positions are off by 1e-5 of the size
    for adjoint, given, wanted in ((0, x, values), (1, g, gradient)):
        found = run(emulated, given, affine, margins, adjoint, dtype)
        assert float((found - wanted).abs().max()) <= tolerance * float(wanted.abs().max())


def test_the_scatter_is_the_gathers_adjoint(emulated):
    torch.manual_seed(1)
    x, g = torch.randn(2, 2, 3, 24, 20, dtype=torch.float64)
    affine = maps(2, seed=3)
    margins = geometry.padding_margins(affine, 24, 20)
    there, back = (run(emulated, t, affine, margins, i, torch.float64) for i, t in enumerate((x, g)))
    assert float((there * g).sum()) == pytest.approx(float((x * back).sum()), rel=1e-10)


def test_numbers_that_are_none_and_sizes_that_cannot_be(emulated):
    x, affine = torch.ones(1, 3, 8, 8), torch.full([1, 2, 3], float("nan"))
    found = run(emulated, x, affine, torch.full([4], 7.0), 0, torch.float32)
    assert torch.equal(found, torch.zeros_like(found))
    arguments = kernels.Warp(n=1, c=3, h=1 << 24, w=8, dtype=kernels.DTYPES[torch.float32])
    assert emulated.ops_warp(ctypes.byref(arguments)) != 0
    arguments = kernels.Warp(n=1, c=3, h=8, w=8, dtype=kernels.DTYPES[torch.bfloat16])
    assert emulated.ops_error(emulated.ops_warp(ctypes.byref(arguments))) == b"unknown element type"
