"""A run at 16 px that takes a second, shared by the tests of whole runs."""

import pytest
from safetensors.torch import load_file

from src.cli import compose_config
from src.training.run import train


@pytest.fixture
def options(tiny_network, picture_folder, tmp_path):
    """Options of a run at 16 px that takes a second."""
    return run_options(tiny_network, picture_folder, tmp_path)


def run_options(tiny_network, picture_folder, tmp_path):
    return [
        "dataset=folder",
        f"dataset.path={picture_folder}",
        "pretrained=file",
        f"pretrained.source={tiny_network}",
        "metrics=none",
        "tracker=none",
        "trainer.progress=false",
        "batch=4",
        "log_kimg=0.02",
        "checkpoint_kimg=0.04",
        f"paths.runs={tmp_path}",
    ]


def run(options, *more):
    return train(compose_config("train", [*options, *more]))


def tensors(folder, name):
    return load_file(folder / "snapshots" / f"{name}.safetensors")
