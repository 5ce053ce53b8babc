"""Every test of an op runs twice: on the reference, and on the compiled kernels."""

import pytest

from src.ops import backend, set_policy
from src.ops.build import BuildError, build


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
