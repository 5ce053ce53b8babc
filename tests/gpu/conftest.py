"""Tests that need a CUDA device: `pytest -m gpu` collects these alone, and needs neither Hydra nor W&B.

The compiled kernels are required: where they cannot be built every test fails with the compiler's words, instead of
passing on the reference. float32 is IEEE unless a test says otherwise.
"""

import pytest
import torch

from src.device import float32_in
from src.ops import backend, backend_info, set_policy

HERE = __name__.rpartition(".")[0]


def pytest_collection_modifyitems(items):
    for item in items:
        if item.module.__name__.startswith(HERE):
            item.add_marker(pytest.mark.gpu)
            if not torch.cuda.is_available():
                item.add_marker(pytest.mark.skip(reason="needs a CUDA device"))


@pytest.fixture
def cuda():
    """The device."""
    return torch.device("cuda", torch.cuda.current_device())


@pytest.fixture(autouse=True)
def compiled_kernels(monkeypatch):
    monkeypatch.setattr(backend, "_policy", None)
    set_policy("required")
    backend_info("cuda")
    with float32_in(tf32=False):
        yield
