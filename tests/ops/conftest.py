"""Fixtures of the ops: both implementations in turn, and the CUDA kernels on an emulated device."""

import shutil

import pytest

from src.ops import backend, set_policy
from src.ops.build import BuildError, build

from . import cuda_library as lib


@pytest.fixture(scope="session")
def library():
    """The CPU library, or a skip where it cannot be built."""
    try:
        return build("cpu")
    except BuildError as error:
        pytest.skip(f"no compiled kernels: {error}")


@pytest.fixture(params=["reference", "required"])
def policy(request):
    """The implementation in force during a test."""
    if request.param == "required":
        request.getfixturevalue("library")
    before = backend.get_policy()
    set_policy(request.param)
    yield request.param
    set_policy(before)


@pytest.fixture(scope="session")
def emulated(made_once):
    """The CUDA library compiled for the CPU."""
    if shutil.which("g++") is None:
        pytest.skip("needs g++")
    return lib.load_emulated(made_once("emulated.so", lib.build_emulated))


@pytest.fixture(params=lib.ORDERS.values(), ids=lib.ORDERS)
def order(request, emulated):
    """Both orders of a block's threads: a missing barrier changes the result in one of them. Few blocks: each loops."""
    emulated.emulation_configure(*request.param)
    yield
    emulated.emulation_configure(*lib.ORDERS["forward"])
