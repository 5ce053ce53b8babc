"""Products times a number: values and derivatives are PyTorch's, and no pass goes to the number alone."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from src.ops import linear
from src.ops.product import product


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
