"""Products times a number: values and derivatives are PyTorch's, and no pass goes to the number alone."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from src.ops import linear, product


def operands(*shapes):
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(shape, generator=generator, dtype=torch.float64).requires_grad_() for shape in shapes]


CASES = {
    "linear": (
        lambda x, w, b: linear(x, w, b, gain=0.3),
        lambda x, w, b: 0.3 * (x @ w.t()) + b,
        ([4, 5], [3, 5], [3]),
    ),
    "product": (lambda a, b: product(a, b, -0.7), lambda a, b: -0.7 * (a @ b), ([4, 5], [5, 3])),
    "of a batch": (lambda a, b: product(a, b.mT, 0.3), lambda a, b: 0.3 * (a @ b.mT), ([2, 4, 5], [2, 3, 5])),
}


@pytest.mark.parametrize("name", CASES)
def test_derivatives_equal_those_of_the_plain_form(name):
    ours, plain, shapes = CASES[name]

    def found(op):
        tensors = operands(*shapes)
        made = [op(*tensors)]
        for _ in range(3):
            value = (made[-1].square() * (1 + 0.1 * made[-1])).sum()
            grads = torch.autograd.grad(value, tensors, create_graph=True)
            made.append(torch.cat([g.flatten() for g in grads]))
        return made

    torch.testing.assert_close(found(ours), found(plain), rtol=1e-11, atol=1e-11)
    assert torch.autograd.gradgradcheck(ours, operands(*shapes))


@pytest.mark.parametrize("name", CASES)
def test_autocast_has_its_types_and_gradients_those_of_the_operands(name):
    ours, plain, shapes = CASES[name]
    tensors = [t.detach().float().requires_grad_() for t in operands(*shapes)]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = ours(*tensors)
    assert y.dtype == torch.bfloat16
    found = torch.autograd.grad(y.float().sum(), tensors)
    exact = operands(*shapes)
    for a, b in zip(found, torch.autograd.grad(plain(*exact).sum(), exact), strict=True):
        torch.testing.assert_close(a.double(), b, rtol=0.02, atol=0.02)


class Seen(TorchDispatchMode):
    """Names of the operations that run, without views."""

    def __init__(self):
        super().__init__()
        self.names = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.overloadpacket.__name__
        self.names += [] if name in ("t", "detach", "new_empty", "transpose") else [name]
        return func(*args, **(kwargs or {}))


def test_a_gradient_is_a_product_and_only_those_wanted_are_made():
    x, weight, bias = operands([4, 5], [3, 5], [3])
    y = linear(x, weight, bias, gain=0.3)
    g = torch.ones_like(y)
    with Seen() as seen:
        torch.autograd.grad(y, x, g, retain_graph=True)
        assert seen.names == ["addmm"]
        torch.autograd.grad(y, (x, weight, bias), g)
    assert seen.names == ["addmm"] * 3 + ["sum"]


def test_gradients_of_any_order_have_the_layout_of_their_operands():
    """A picture's would be copied otherwise, by what takes it in the picture's layout alone."""
    pixels, weight = operands([2, 64, 5], [2, 3, 5])
    y = product(pixels, weight.mT)
    first = torch.autograd.grad(y.pow(2).sum(), (pixels, weight), create_graph=True)
    second = torch.autograd.grad(sum(g.pow(2).sum() for g in first), (pixels, weight))
    assert all(g.is_contiguous() for g in (*first, *second))


def test_memory_that_beta_0_leaves_out_is_not_read(monkeypatch):
    a, b = operands([2, 4, 5], [2, 5, 3])
    monkeypatch.setattr(torch.Tensor, "new_empty", lambda t, size: t.detach().new_full(size, float("nan")))
    for x, y in ((a, b), (a[0], b[0])):
        assert torch.equal(product(x, y, 0.5), torch.nan_to_num(product(x, y, 0.5)))
        torch.testing.assert_close(product(x, y, 0.5), 0.5 * (x @ y))
