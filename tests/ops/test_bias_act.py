"""bias_act and the epilogue against their formulas, with gradients of first and second order."""

import math

import pytest
import torch
import torch.nn.functional as F

from src.ops import backend_info, bias_act, epilogue
from src.ops.bias_act import ACTIVATIONS

pytestmark = pytest.mark.usefixtures("policy")

FORMULAS = {
    "linear": lambda x: x,
    "relu": lambda x: x.clamp(min=0) * math.sqrt(2),
    "lrelu": lambda x: torch.maximum(x, 0.2 * x) * math.sqrt(2),
    "tanh": torch.tanh,
    "sigmoid": lambda x: 1 / (1 + torch.exp(-x)),
    "elu": lambda x: torch.where(x > 0, x, torch.exp(x) - 1),
    "selu": F.selu,
    "softplus": lambda x: torch.log1p(torch.exp(x)),
    "swish": lambda x: x / (1 + torch.exp(-x)) * math.sqrt(2),
}


@pytest.mark.parametrize("act", sorted(ACTIVATIONS))
@pytest.mark.parametrize("dim", [0, 1, -1])
def test_value_and_gradients(act, dim):
    torch.manual_seed(0)
    x = torch.randn([2, 3, 4], dtype=torch.float64, requires_grad=True)
    b = torch.randn([x.shape[dim]], dtype=torch.float64, requires_grad=True)
    shape = [1, 1, 1]
    shape[dim] = -1
    torch.testing.assert_close(bias_act(x, b, dim=dim, act=act), FORMULAS[act](x + b.reshape(shape)))
    assert torch.autograd.gradcheck(lambda x, b: bias_act(x, b, dim=dim, act=act), (x, b))
    assert torch.autograd.gradgradcheck(lambda x, b: bias_act(x, b, dim=dim, act=act), (x, b))


def test_alpha_gain_and_clamp():
    x = torch.tensor([[-3.0, -1.0, 1.0, 3.0]])
    got = bias_act(x, act="lrelu", alpha=0.5, gain=2.0, clamp=2.5)
    torch.testing.assert_close(got, torch.tensor([[-2.5, -1.0, 2.0, 2.5]]))


def test_what_cannot_be_is_refused():
    with pytest.raises(ValueError, match="unknown activation"):
        bias_act(torch.zeros([1, 1]), act="gelu")
    with pytest.raises(ValueError, match="does not fit"):
        bias_act(torch.zeros([1, 2]), torch.zeros([3]))
    with pytest.raises(ValueError, match="clamp"):
        bias_act(torch.zeros([1, 2]), clamp=-1.0)


@pytest.mark.parametrize("with_scale", [False, True])
@pytest.mark.parametrize("noise_batch", [None, 1, 2])
@pytest.mark.parametrize("clamp", [None, 0.8])
def test_epilogue_is_its_formula(with_scale, noise_batch, clamp):
    torch.manual_seed(0)
    make = lambda *shape: torch.randn(shape, dtype=torch.float64, requires_grad=True)  # noqa: E731
    x, b = make(2, 3, 2, 3), make(3)
    scale = make(2, 3) if with_scale else None
    noise = None if noise_batch is None else make(noise_batch, 1, 2, 3)
    given = [t for t in (x, scale, noise, b) if t is not None]

    def run(*_):
        return epilogue(x * 1.0, scale, noise, b, gain=math.sqrt(2), clamp=clamp)[0]

    expected = x if scale is None else x * scale[:, :, None, None]
    expected = expected if noise is None else expected + noise
    expected = F.leaky_relu(expected + b[:, None, None], 0.2) * math.sqrt(2)
    expected = expected if clamp is None else expected.clamp(-clamp, clamp)
    torch.testing.assert_close(run(), expected)
    assert torch.autograd.gradcheck(run, given)
    assert torch.autograd.gradgradcheck(run, given)


def test_backend_info_names_every_op(policy):
    info = backend_info()
    assert {"upfirdn2d", "bias_act", "modulated_conv2d", "reason", "torch"} <= set(info)
    assert info["upfirdn2d"] == ("reference" if policy == "reference" else "cpu")
