"""Whole runs on the pretended device: no two places meet, phases are captured, the host waits only where named."""

import json
import shutil

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from src.networks import Generator
from src.tracking import read_rows
from tests.training.conftest import run, run_options, tensors

pytestmark = pytest.mark.filterwarnings("ignore:GPU available but not used")  # Lightning looks at the real strategy

#: Constants made on the host in the first run of a phase, and kept.
CONSTANTS = {
    "augment/geometry.py:_constant",
    "augment/geometry.py:_up_table",
    "augment/geometry.py:_down_operator",
    "augment/color.py:_basis",
    "augment/filter.py:_band_power",
    "augment/filter.py:_band_operators",
    "data/blur.py:_operator",  # the matrix of a blur
}
#: Where the host may wait between iterations.
BETWEEN = {
    "training/step.py:_apply",  # the networks come to the device, and go at the end
    "augment/ada.py:apply",
    "data/datamodule.py:__init__",  # so do the pictures, once
    "training/module.py:_one_hot",  # a check of labels that PyTorch makes on a processor alone
    "training/callbacks.py:_look",  # every 16th iteration, and before anything is written
    "training/callbacks.py:after",  # a row of the log
    "training/callbacks.py:save",  # a checkpoint
    "device.py:on_host",  # its tensors, and those of a snapshot, all at once
    "training/snapshots.py:sample_grid",
    "training/fit.py:_extra",  # a row of the log
    "training/fit.py:fit",  # Lightning takes the optimisers from the device at the end
}
#: Where it waits in an evaluation, besides.
EVALUATION = {
    "metrics/extractors.py:__init__",  # the network comes to the device
    "metrics/extractors.py:<listcomp>",
    "metrics/extractors.py:__call__",  # features of a chunk
}
FRESH = ["pretrained=none", "pretrained.source=null", "model=tiny", "loss=scratch", "dataset.resolution=16"]
VARIANTS = {
    "bf16, ADA": ["augment=ada", "augment.augment_p=0.3", "augment.pipe=bgcfnc"],
    "fp16": ["trainer.precision=fp16"],
    "op by op, tf32": ["trainer.graphs=false", "trainer.tf32=true", "augment=ada", "augment.augment_p=0.3"],
    "classes": [*FRESH, "model.conditional=true"],
    "frozen, structure": [
        *("loss.freeze_d=2", "loss.freeze_g_resolution=4", "loss.freeze_mapping=true"),
        *("loss.structure_weight=1", "loss.structure_resolution=8", "loss.blur_px=1"),
    ],
}
LAZY = ["loss.pl_interval=2", "loss.r1_interval=2", "trainer.ops=reference", "run=r", "checkpoint_kimg=0.02"]

#: What PyTorch's deterministic algorithms are not on CUDA, by the documentation, of what pictures may go through.
IN_ANY_ORDER = {
    *("grid_sampler_2d_backward", "reflection_pad2d_backward", "replication_pad2d_backward"),
    *("upsample_bilinear2d_backward", "_upsample_bilinear2d_aa_backward"),
    *("upsample_bicubic2d_backward", "_upsample_bicubic2d_aa_backward"),
    *("adaptive_avg_pool2d_backward", "_adaptive_avg_pool2d_backward"),
    *("kthvalue", "histc", "bincount", "cumsum", "put_"),
}


class Noting(TorchDispatchMode):
    """Notes the operations by name."""

    def __init__(self):
        super().__init__()
        self.seen = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.seen.add(func.overloadpacket.__name__)
        return func(*args, **(kwargs or {}))


@pytest.fixture
def options(tiny_network, picture_folder, tmp_path):
    pictures = shutil.copytree(picture_folder, tmp_path / "pictures")
    names = sorted(path.name for path in pictures.iterdir())
    (pictures / "dataset.json").write_text(json.dumps({"labels": [[name, i % 3] for i, name in enumerate(names)]}))
    return [*run_options(tiny_network, pictures, tmp_path), *LAZY]


@pytest.mark.parametrize("name", VARIANTS)
def test_a_run(name, options, training):
    folder = run(options, *VARIANTS[name], "snapshot.kimg=[0,0.02]")
    assert training.waiting() <= BETWEEN | CONSTANTS
    assert set(training.iterations) <= CONSTANTS
    assert training.recorder.captures == (0 if "trainer.graphs=false" in VARIANTS[name] else 4)
    before, after = tensors(folder, "kimg-000000.00"), tensors(folder, "kimg-000000.02")
    assert any(not torch.equal(before[key], after[key]) for key in before)
    assert all(value.isfinite().all() for value in after.values() if value.is_floating_point())


def test_a_run_goes_on_from_its_checkpoint(options, training):
    run(options, "snapshot.kimg=[0,0.008]")
    folder = run(options, "snapshot.kimg=[0,0.008,0.02]")
    assert training.waiting() <= BETWEEN | {"training/step.py:_optimizer_loaded"}
    assert not training.iterations
    assert (folder / "snapshots" / "kimg-000000.02.safetensors").exists()


def test_an_evaluation_is_captured_and_finds_the_same(options, training, monkeypatch):
    """Six whole chunks of two pictures, of which three go op by op, and one of a picture alone."""
    monkeypatch.setattr(Generator, "chunk_size", 2)
    measured = ["metrics=embedded", "metrics.num_fakes=13", "snapshot.kimg=[0,0.02]"]
    folder = run(options, *measured)
    assert training.recorder.captures == 4 + 2
    assert training.waiting() <= BETWEEN | CONSTANTS | EVALUATION
    plain = run(options, *measured, "trainer.graphs=false", "run=plain")
    assert training.recorder.captures == 4 + 2
    first, second = (read_rows(folder / "metrics.jsonl") for folder in (folder, plain))
    assert [row["kid"] for row in first] == [row["kid"] for row in second] and first[0]["kid"] != first[1]["kid"]


@pytest.mark.parametrize("deterministic", [True, False])
def test_deterministic_runs_add_up_in_order(options, training, deterministic):
    more = ["augment=ada", "augment.augment_p=0.5", "metrics=embedded", "metrics.num_fakes=8", "trainer.graphs=false"]
    with Noting() as noted:
        try:
            run(options, *more, "snapshot.kimg=[0,0.012]", f"trainer.deterministic={deterministic}".lower())
            assert torch.are_deterministic_algorithms_enabled() == deterministic
        finally:
            torch.use_deterministic_algorithms(False)
    assert noted.seen & IN_ANY_ORDER == (set() if deterministic else {"grid_sampler_2d_backward"})
