"""A batch in parts, in rounds or by several processes, is trained on as a whole one."""

import pytest
import torch

from src.ops import set_policy
from src.training.graphs import PhaseGraphs
from tests.training.parts import in_processes, make, trained
from tests.training.recording import StandIn

ITERATIONS = 20


@pytest.fixture(scope="module")
def whole():
    return trained(make(), 0, ITERATIONS)


def parted(state):
    """Tensors of networks, and the state of ADA."""
    return {key: value for key, value in state.items() if key != "_extra_state"}, state["_extra_state"]


def assert_same_training(ours, theirs):
    assert ours["gradients"].keys() == theirs["gradients"].keys() == set(range(4)), "a step of each phase"
    for phase, gradients in theirs["gradients"].items():
        for a, b in zip(ours["gradients"][phase], gradients, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-6)
    for a, b in zip(ours["rows"], theirs["rows"], strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)
    (ours, ada), (theirs, expected) = (parted(result["state"]) for result in (ours, theirs))
    assert ada.keys() == expected.keys() and all(torch.equal(ada[key], expected[key]) for key in ada)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-4)


def test_rounds(whole):
    assert_same_training(trained(make(rounds=2), 0, ITERATIONS), whole)


def of_a_group(group):
    found = trained(make(group), 0, ITERATIONS)
    set_policy("reference")  # whose operations the stand-in for CUDA graphs sees
    rounds = [make(group, rounds=2, static=True) for _ in range(2)]
    rounds[1].graphs = PhaseGraphs(StandIn(), eager_runs=1)
    return found, *(trained(step, 0, 10) for step in rounds), rounds[1].graphs.captured


def test_two_processes(whole, tmp_path):
    first, second = in_processes(of_a_group, 2, tmp_path)
    for ours, theirs in zip(first[:3], second[:3], strict=True):
        (ours, _), (theirs, _) = parted(ours["state"]), parted(theirs["state"])
        assert all(torch.equal(ours[key], theirs[key]) for key in ours)
    assert_same_training(first[0], whole)
    _, eager, captured, names = first
    assert names == ["G_main", "G_reg", "D_main", "D_reg"]
    torch.testing.assert_close(captured["rows"], eager["rows"], rtol=0, atol=0)
    torch.testing.assert_close(parted(captured["state"]), parted(eager["state"]), rtol=0, atol=0)
