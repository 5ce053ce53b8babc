"""trainer.profile=true: what a profile says, that it changes nothing, and the arithmetic of its report."""

import gzip
import json
import re
from types import SimpleNamespace

import pytest
import torch

from src.errors import UserError
from src.training.profile_report import OTHER, kind_of, phase_rows, shares, top_operations
from tests.scripts import start
from tests.training.conftest import run, tensors


@pytest.mark.script
def test_a_profile_through_the_script(options, tmp_path):
    more = ["snapshot.kimg=[0.048]", "loss.r1_interval=4"]
    plain = run(options, *more, "run=plain")
    done = start("train.py", *options, *more, "run=measured", "trainer.profile=true")
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "measured"
    assert f"{folder / 'profile.txt'}" in done.stdout + done.stderr
    text = (folder / "profile.txt").read_text()
    rows = {line.split()[0]: line.split() for line in text.splitlines() if re.match(r"(G|D)_(main|reg) +\d", line)}
    assert {name: int(row[1]) for name, row in rows.items()} == {"G_main": 1, "G_reg": 4, "D_main": 1, "D_reg": 4}
    assert all(float(row[2]) > 0 for row in rows.values())
    parts = [float(v) for v in re.findall(r"([\d.]+)%", text.split("Kinds of work")[1])]
    assert sum(parts) == pytest.approx(100, abs=1)
    for kind in ("convolution", "FIR filter", "epilogue", "optimizer", "average", "data"):
        assert kind in text
    with gzip.open(folder / "profile.json.gz") as file:
        names = {event.get("name") for event in json.load(file)["traceEvents"]}
    assert {"G_main", "G_reg", "D_main", "D_reg", "optimizer", "ema", "data"} <= names
    ours, theirs = tensors(folder, "kimg-000000.05"), tensors(plain, "kimg-000000.05")
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)


def test_a_run_too_short_to_be_profiled_is_refused(options):
    with pytest.raises(UserError, match=r"complete at 0\.144 kimg, the run ends at 0\.1: set total_kimg=0\.144"):
        run(options, "snapshot.kimg=[0.1]", "trainer.profile=true", "run=short")


@pytest.mark.parametrize(
    ("names", "kind"),
    [
        (["aten::conv2d", "aten::mkldnn_convolution"], "convolution"),
        (["_Upfirdn2d", "aten::conv2d"], "FIR filter"),
        (["_EpilogueBackward", "aten::mul"], "epilogue"),
        (["optimizer", "Optimizer.step#Adam.step", "aten::_fused_adam_"], "optimizer"),
        (["ema", "aten::_foreach_lerp_"], "average"),
        (["void conv_depthwise2d_forward_kernel<float>"], "FIR filter"),
        (["sm90_xmma_fprop_implicit_gemm_bf16bf16"], "convolution"),
        (["void at::native::schema_kernel"], OTHER),
    ],
)
def test_kinds_of_work(names, kind):
    assert kind_of(names) == kind


def test_a_lazy_phase_counts_by_its_interval():
    times = {"G_main": [0.1, 0.1, 0.1, 0.1], "G_reg": [0.4], "iteration": [0.6, 0.2, 0.2, 0.2]}
    rows = phase_rows(times, {"G_main": 1, "G_reg": 4, "D_reg": 16})
    assert [(row.name, round(row.run_ms), round(row.iteration_ms)) for row in rows] == [
        ("G_main", 100, 100),
        ("G_reg", 400, 100),
        ("rest (ADA, conversion)", 100, 100),
    ]


def test_kernels_are_counted_without_the_labels_beside_them():
    def event(name, us, device="CUDA"):
        time_range = SimpleNamespace(elapsed_us=lambda: us)
        return SimpleNamespace(
            name=name, device_type=SimpleNamespace(name=device), time_range=time_range, self_cpu_time_total=1.0
        )

    events = [event("cudnn_conv", 30), event("cudnn_conv", 30), event("adam", 40), event("G_main", 100)]
    events.append(event("aten::conv2d", 500, device="CPU"))
    assert shares(events, "cuda") == {"convolution": 0.6, "optimizer": 0.4}
    assert [(op.name, op.calls, op.ms) for op in top_operations(events, "cuda")] == [
        ("cudnn_conv", 2, 0.06),
        ("adam", 1, 0.04),
    ]
