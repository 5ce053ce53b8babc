"""Whole runs on a CUDA device."""

import pytest
import torch


def test_a_deterministic_run_in_two_sittings_is_one_to_the_bit(tiny_network, picture_folder, tmp_path):
    pytest.importorskip("hydra")
    from tests.training.conftest import run as train, run_options, tensors

    options = run_options(tiny_network, picture_folder, tmp_path)
    more = ["trainer.accelerator=gpu", "trainer.deterministic=true", "loss.r1_interval=2", "augment=ada"]
    more.append("augment.augment_p=0.5")
    try:
        whole = train(options, *more, "snapshot.kimg=[0,0.06,0.12]", "run=whole")
        train(options, *more, "snapshot.kimg=[0,0.06]", "run=split")
        split = train(options, *more, "snapshot.kimg=[0,0.06,0.12]", "run=split")
    finally:
        torch.use_deterministic_algorithms(False)
    a, b = tensors(whole, "kimg-000000.12"), tensors(split, "kimg-000000.12")
    assert all(torch.equal(a[key], b[key]) for key in a)


def test_a_run_on_graphs_goes_on_as_one_without(tiny_network, picture_folder, tmp_path):
    """Across a resume, to what atomic additions leave of equality; the first snapshot is of the same weights."""
    pytest.importorskip("hydra")
    from tests.training.conftest import run as train, run_options, tensors

    options = run_options(tiny_network, picture_folder, tmp_path)
    more = ["trainer.accelerator=gpu", "loss.r1_interval=2", "augment=ada", "augment.augment_p=0.2"]
    eager = train(options, *more, "trainer.graphs=false", "snapshot.kimg=[0,0.06,0.12]", "run=eager")
    train(options, *more, "snapshot.kimg=[0,0.06]", "run=graphs")
    graphs = train(options, *more, "snapshot.kimg=[0,0.06,0.12]", "run=graphs")
    for name, limit in (("kimg-000000.00", 0.0), ("kimg-000000.06", 0.05), ("kimg-000000.12", 0.05)):
        a, b = tensors(eager, name), tensors(graphs, name)
        keys = [key for key in a if key.startswith("G_ema.synthesis") and a[key].is_floating_point()]
        ours, theirs = (torch.cat([t[key].float().flatten() for key in keys]) for t in (a, b))
        assert float((ours - theirs).norm() / ours.norm()) <= limit, name
