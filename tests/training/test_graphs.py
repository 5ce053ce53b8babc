"""Captured phases take the same steps as eager ones, bit for bit: on a processor with a stand-in for CUDA graphs."""

import copy

import pytest
import torch

from src.augment.pipe import AugmentPipe
from src.networks import Precision
from src.ops import backend, set_policy
from src.training.graphs import PhaseGraphs
from src.training.settings import StepSettings
from src.training.step import Batch, TrainingStep
from tests.tiny import make_tiny
from tests.training.recording import StandIn

PX, BATCH = 16, 4
LAZY = {"pl_interval": 2, "r1_interval": 2}  # more of their runs in fewer iterations


@pytest.fixture(autouse=True)
def plain_ops(monkeypatch):
    """Compiled processor kernels are no PyTorch operations: the stand-in would not see them."""
    monkeypatch.setattr(backend, "_policy", None)
    set_policy("reference")
    yield


def make(settings, *, pipe=None, classes=0, seed=0, device="cpu", **more):
    G, D = make_tiny(seed, PX, c_dim=classes, noise=0.0)
    source = make_tiny(seed + 1, PX)[0].requires_grad_(False) if settings.structure_weight > 0 else None
    augment = None if pipe is None else AugmentPipe.preset(pipe, static=True)
    return TrainingStep(G, D, settings, batch_size=BATCH, augment=augment, source=source, **more).to(device)


def graphed(step):
    step.graphs = PhaseGraphs(StandIn())
    return step


def run(step, start, stop, classes=0, device="cpu"):
    rows = []
    for i in range(start, stop):
        images = torch.randn([BATCH, 3, PX, PX], generator=torch.Generator().manual_seed(i))
        c = torch.eye(classes)[(torch.arange(BATCH) + i) % classes].to(device) if classes else None
        rows.append(step.run(Batch(images.to(device), c), BATCH * i))
    return rows


def assert_same(a, b):
    for (key, x), (_, y) in zip(a.state_dict().items(), b.state_dict().items(), strict=True):
        pairs = zip(x.values(), y.values(), strict=True) if isinstance(x, dict) else [(x, y)]
        assert all(torch.equal(u, v) for u, v in pairs), key
    for name, optimizer in a.optimizers.items():
        theirs = b.optimizers[name].state_dict()["state"]
        for index, state in optimizer.state_dict()["state"].items():
            assert all(torch.equal(value, theirs[index][key]) for key, value in state.items()), (name, index)


def assert_same_rows(a, b):
    for i, (x, y) in enumerate(zip(a, b, strict=True)):
        assert x.keys() == y.keys(), i
        assert all(torch.equal(x[key], y[key]) for key in x), i


CASES = {
    "ada": (
        StepSettings(augment_p=0.3, ada_kimg=0.1, ema_rampup=0.05, ema_kimg=1.0, r1_interval=8),
        {"pipe": "bgcfnc"},
    ),
    "fixed": (StepSettings(augment_p=0.5, ada_target=None, **LAZY), {"pipe": "bgc"}),
    "none": (StepSettings(ada_target=None, style_mixing_prob=0.0, **LAZY), {}),
    "classes": (StepSettings(ada_target=None, **LAZY), {"classes": 3}),
    "frozen": (StepSettings(freeze_d=3, freeze_g_resolution=8, freeze_mapping=True, ada_target=None, **LAZY), {}),
    "structure": (StepSettings(blur_px=1.0, structure_weight=1.0, structure_resolution=8, ada_target=None, **LAZY), {}),
    "bf16": (StepSettings(ada_target=None, **LAZY), {"precision": Precision("bf16")}),
    "rounds": (StepSettings(ada_target=None, pl_interval=2, r1_gamma=0.0), {"rounds": 2}),
    "no regularisers": (StepSettings(ada_target=None, pl_weight=0.0, r1_gamma=0.0), {}),
}


@pytest.mark.parametrize("name", CASES)
def test_captured_phases_take_the_same_steps(name):
    settings, more = CASES[name]
    iterations, classes = 44 if name == "ada" else 12, more.get("classes", 0)
    eager, captured = make(settings, **more), graphed(make(settings, **more))
    assert_same_rows(run(eager, 0, iterations, classes), run(captured, 0, iterations, classes))
    assert_same(eager, captured)
    assert captured.graphs.captured == [phase.name for phase in eager.phases]
    assert captured.graphs.recorder.eager_runs == 3 * len(eager.phases)
    if name == "ada":
        assert float(eager.ada.p) == float(captured.ada.p) == float(captured.augment.p) != pytest.approx(0.3)


def test_a_state_loaded_in_between_is_gone_on_from():
    """Neither the saving nor the loading side may matter: graphs to graphs, and over the graphs of another state."""
    settings = StepSettings(augment_p=0.3, ada_kimg=0.1, **LAZY)
    whole, first = make(settings, pipe="bgc"), graphed(make(settings, pipe="bgc"))
    run(whole, 0, 26)
    run(first, 0, 13)
    second = graphed(make(settings, pipe="bgc", seed=1))
    run(second, 0, 9)  # its graphs know tensors that the loaded optimisers will not have
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    for name, optimizer in first.optimizers.items():
        second.optimizers[name].load_state_dict(copy.deepcopy(optimizer.state_dict()))
    assert second.graphs.captured == []
    run(second, 13, 26)
    assert len(second.graphs.captured) == 4
    assert_same(whole, second)


def test_statistics_stay_when_a_phase_runs_again():
    step = graphed(make(StepSettings(ada_target=None)))
    rows = run(step, 0, 6)
    assert len({float(row["loss/D"]) for row in rows}) == 6


def test_another_shape_is_refused():
    step = graphed(make(StepSettings(ada_target=None)))
    run(step, 0, 1)
    with pytest.raises(ValueError, match=r"trainer\.graphs=false"):
        step.run(Batch(torch.zeros([2, 3, PX, PX]), None), 4)


def test_what_reads_back_is_not_captured():
    step = graphed(make(StepSettings(augment_p=0.5), pipe="bgc"))
    step.augment.static = False
    with pytest.raises(AssertionError, match="cannot be captured"):
        run(step, 0, 4)


def test_moving_the_networks_forgets_graphs():
    step = graphed(make(StepSettings(ada_target=None, pl_weight=0.0, r1_gamma=0.0)))
    run(step, 0, 4)
    assert step.graphs.captured
    step.to(torch.float32)
    assert step.graphs.captured == []
