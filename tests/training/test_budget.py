"""What a training iteration at 256 px may ask of a GPU, counted without one: launches, bytes, layouts, kernel sizes."""

import copy
import json

import pytest
import torch

from experiments.gpu import predict
from experiments.gpu.counting import _counting, count_iteration, count_projection
from experiments.gpu.predict import CARDS, seconds, summary
from src.networks import TF32, Generator, Precision
from src.ops import bias_act

# of a phase at batch 4: launches, GB
BOUNDS = {
    "G_main": (885, 5.2),
    "G_reg": (1230, 6.5),
    "D_main": (570, 5.9),
    "D_reg": (500, 10.6),
    "average": (8, 0.25),
}


@pytest.fixture(scope="module")
def counted():
    return count_iteration(Precision("bf16"), TF32, batch=4)


def test_a_copied_network_stays_in_its_mode():
    """A mode that is copied too gives up PyTorch's references to its constants twice, and spoils the heap."""
    with _counting():
        G = Generator(resolution=8)
        modes = {id(buffer.fake_mode) for buffer in (*G.buffers(), *copy.deepcopy(G).buffers())}
    assert len(modes) == 1


def test_a_gradient_of_a_part_is_counted():
    """As zeros of the whole and a copy into them; a view on the way there starts nothing."""
    with _counting() as counter:
        x = torch.randn(4, 6, requires_grad=True)
        part = x[:, 1]
        counter.found = []
        part.unsqueeze(0).backward(part[None].detach())
    assert [(launch.name, launch.launches) for launch in counter.found] == [("select_backward.default", 2)]


def test_a_copy_to_the_layout_of_a_kernel_is_counted():
    """Here the gradient, which comes in another layout than the picture."""
    with _counting() as counter:
        x = torch.randn(2, 4, 8, 8).contiguous(memory_format=torch.channels_last).requires_grad_()
        y = bias_act(x, act="lrelu")
        counter.found = []
        y.backward(torch.empty(2, 4, 8, 8))
    assert [launch.name for launch in counter.found] == ["clone.default", "epilogue_grad"]


def convolutions(phases):
    return [launch for launches in phases.values() for launch in launches if launch.kind == "convolution"]


def test_no_convolution_has_picture_sized_kernels(counted):
    found = convolutions(counted[0])
    assert len(found) > 300 and max(launch.kernel_px for launch in found) == 3


def test_no_convolution_leaves_channels_last(counted):
    assert [launch for launch in convolutions(counted[0]) if launch.nchw] == []


def test_main_phases_convolve_in_bf16_and_regularisers_in_tf32(counted):
    for name, launches in counted[0].items():
        work = {}
        for launch in convolutions({name: launches}):
            work[launch.format] = work.get(launch.format, 0) + launch.flops
        fast = work.get("bf16" if name.endswith("main") else "tf32", 0)
        assert fast >= 0.99 * sum(work.values()), (name, work)


def test_r1_makes_no_gradients_that_are_thrown_away(counted):
    """Neither weights' on the way to the pictures', nor pictures' on the way to the weights'."""
    phase = counted[0]["D_reg"]
    assert [launch.name for launch in phase].count("warp_adjoint") == 1
    layers = sum(launch.name == "convolution.default" for launch in phase) / 2
    assert layers == 20 and sum(launch.name == "convolution_backward.default" for launch in phase) == 3 * layers


@pytest.mark.parametrize("phase", BOUNDS)
def test_launches_and_bytes_of_a_phase(counted, phase):
    launches, gigabytes = BOUNDS[phase]
    found = counted[0][phase]
    assert launches / 2 < sum(launch.launches for launch in found) <= launches
    assert gigabytes / 4 < sum(launch.bytes for launch in found) / 1e9 <= gigabytes


def test_no_gradient_of_features_is_copied_to_another_layout(counted):
    for launches in counted[0].values():
        copies = [found for found in launches if found.name == "clone.default"]
        assert [copy for copy in copies if copy.bytes > 8e6] == []  # larger than a picture's own, of 6.3 MB


def test_gradients_of_codes_and_weights_are_put_together_at_once(counted):
    """Not added up, each in zeros of the whole."""
    for name in ("G_main", "G_reg"):
        assert [found for found in counted[0][name] if found.name.startswith("select_backward")] == []


def test_launches_and_bytes_of_a_projection_step():
    found = count_projection("bf16", batch=4)
    assert 400 < sum(launch.launches for launch in found) <= 680
    assert sum(launch.bytes for launch in found) / 1e9 <= 2.4


def test_a_prediction_is_printed_and_written(counted, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(predict, "count_iteration", lambda *_, **__: counted)
    result = predict.main(["--card", "h200", "--batch", "4", "--out", str(tmp_path / "predicted.json")])
    assert json.loads((tmp_path / "predicted.json").read_text())["iteration"] == result["iteration"]
    assert f"{result['images_per_sec']:.0f} img/s" in capsys.readouterr().out


def test_a_prediction_adds_up(counted):
    phases, intervals = counted
    result = summary(phases, intervals, CARDS["h100"])
    assert intervals == {"G_main": 1, "G_reg": 4, "D_main": 1, "D_reg": 16, "average": 1}
    whole = sum(seconds(x, CARDS["h100"]) * 1e3 / intervals[name] for name in phases for x in phases[name])
    assert result["iteration"]["ms"] == pytest.approx(whole) == pytest.approx(sum(result["ms_by_kind"].values()))
    faster = summary(phases, intervals, CARDS["h200"])["iteration"]["ms"]
    assert 0.5 * whole < faster < whole
