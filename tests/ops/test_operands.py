"""What the compiled kernels refuse: operands of another size, which they would read past."""

import pytest
import torch

from src.ops import wavelet_warp
from src.ops.build import build
from src.ops.kernels import Incoming, Kernels, Shape, Small

pytestmark = pytest.mark.usefixtures("library")


@pytest.mark.parametrize("name", ["scale", "noise", "bias", "style"])
def test_an_operand_of_another_size_is_refused(name):
    """By forward and backward: the kernels would read beyond it."""
    x = torch.ones(3, 5, 4, 4)
    fitting = {"scale": torch.ones(3, 5), "noise": torch.ones(3, 1, 4, 4), "bias": torch.ones(5)}
    fitting["style"] = torch.ones(3, 5)
    small = Small(**fitting | {name: fitting[name][:2]})
    kernels = Kernels(build("cpu"), frozenset())
    shape, message = Shape(0.2, 1.0, None), rf"{name} \[2.* does not fit \[3, 5, 4, 4\]"
    with pytest.raises(ValueError, match=message):
        kernels.epilogue(x, small, shape)
    given = Incoming(x, x, None, x)
    with pytest.raises(ValueError, match=message):
        kernels.epilogue_grad(given, small, shape, wanted=[True] * 5)
    with pytest.raises(ValueError, match=message):
        second = None, small
        kernels.epilogue_grad(given, Small(**fitting), shape, wanted=[True] * 7, second=second)


def test_a_gradient_of_another_size_or_without_its_style_is_refused():
    x, shape = torch.ones(2, 3, 4, 4), Shape(0.2, 1.0, None)
    kernels, nothing = Kernels(build("cpu"), frozenset()), Small(None, None, None, None)
    given, shared = Incoming(x, None, None, x), nothing._replace(noise=torch.ones(1, 1, 4, 4))
    with pytest.raises(ValueError, match=r"dy \[1, 3, 4, 4\]"):
        kernels.epilogue_grad(given._replace(dy=x[:1]), nothing, shape, wanted=[True] * 5)
    with pytest.raises(ValueError, match=r"ddx \[2, 3, 4\]"):
        kernels.epilogue_grad(given, nothing, shape, wanted=[True] * 7, second=(x[..., 0], nothing))
    with pytest.raises(ValueError, match=r"noise \[1, 1, 4, 4\]"):  # a gradient is of each sample's
        kernels.epilogue_grad(given, shared, shape, wanted=[True] * 7, second=(x, shared))
    with pytest.raises(ValueError, match="needs the style"):
        kernels.epilogue_grad(Incoming(None, x, None, x), nothing, shape, wanted=[True] * 5)


@pytest.mark.parametrize("wrong", ["affine", "margins", "taps"])
def test_maps_of_another_size_are_refused(wrong):
    given = {"affine": torch.eye(2, 3).repeat(2, 1, 1), "margins": torch.ones(4), "taps": torch.ones(12)}
    given[wrong] = given[wrong][:1]
    with pytest.raises(ValueError, match=r"affine \[1, 2, 3\]|margins \[1\]|12 taps, not 1"):
        wavelet_warp(torch.ones(2, 3, 8, 8), given["affine"], given["margins"], given["taps"].tolist())
