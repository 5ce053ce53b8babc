"""One float32 policy: the switches that every library reads, and that no number is made in TF32."""

import pytest
import torch
from lightning_fabric.accelerators import cuda as lightning

from src.device import float32_format, float32_in, set_float32
from src.networks import FP32, TF32, Precision, computing_in, regularizer_precision
from src.ops import start_ops
from src.training.device import Acceleration, accelerate
from tests.tiny import make_tiny


@pytest.fixture(autouse=True)
def switches_afterwards():
    with float32_in(tf32=False):
        yield


@pytest.mark.parametrize("tf32", [False, True])
def test_what_other_libraries_read_can_be_read(tf32, monkeypatch):
    """Lightning looks on every start on a card of the Ampere kind or later; cuDNN's own `flags` reads as well."""
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda *_: (9, 0))
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda *_: "a card")
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", False)
    accelerate(None, Acceleration(torch.device("cuda"), tf32=tf32))
    lightning._check_cuda_matmul_precision(torch.device("cuda", 0))
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        pass
    assert torch.backends.cudnn.benchmark and float32_format() == ("tf32" if tf32 else "ieee")


def test_a_script_starts_in_ieee_float32():
    torch.backends.cudnn.allow_tf32 = True  # PyTorch's default
    assert float32_format() == "tf32"
    start_ops("cpu", 64)
    assert float32_format() == "ieee"


def test_regularisers_turn_tf32_on_for_themselves_alone():
    _, D = make_tiny()
    with computing_in(TF32, D):
        assert float32_format() == "tf32" and D.precision.at(16) == torch.float32
    assert float32_format() == "ieee"
    set_float32(tf32=True)
    with computing_in(Precision("bf16"), D), float32_in(tf32=False):
        assert float32_format() == "ieee"
    assert float32_format() == "tf32"


@pytest.mark.parametrize(("capability", "expected"), [((9, 0), TF32), ((7, 0), Precision("fp16", 32))])
def test_regularisers_have_a_format_of_their_own(monkeypatch, capability, expected):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda *_: capability)
    assert regularizer_precision(Precision("fp16", 32), "cuda") == expected
    assert regularizer_precision(FP32, "cuda") == regularizer_precision(Precision("bf16"), "cpu") == FP32
