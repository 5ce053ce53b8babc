"""`metrics=auto`: which features, why, and at what cost."""

import dataclasses

import pytest
import torch

from src.fetch import WeightsFolder
from src.metrics import MetricsSettings, choose_metrics, published

AUTO = MetricsSettings()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder of weights; the published file is any, and nowhere to be fetched from."""
    nowhere = dataclasses.replace(published.INCEPTION, urls=("http://127.0.0.1:9/file.pth",), sha256=None, size=None)
    monkeypatch.setattr(published, "INCEPTION", nowhere)
    return WeightsFolder(folder=tmp_path)


@pytest.mark.parametrize(
    ("there", "resolution", "before", "device", "extractor", "count", "words"),
    [
        (True, 256, None, "cuda", "inception", 5000, "auto: 256 px, weights are there"),
        (True, 128, None, "cpu", "inception", 500, "about 1.2 min a snapshot on a processor"),
        (True, 64, None, "cpu", "embedded", 1000, "auto: 64 px; FID is for 128 px and up"),
        (False, 256, None, "cpu", "embedded", 1000, "can neither be found"),
        (True, 256, "embedded", "cpu", "embedded", 1000, "as the run's evaluations so far"),
    ],
)
def test_auto(folder, there, resolution, before, device, extractor, count, words):
    if there:
        folder.path(published.INCEPTION).write_bytes(b"weights")
    chosen, said = choose_metrics(AUTO, resolution, folder, torch.device(device), before)
    assert (chosen.extractor, chosen.num_fakes) == (extractor, count)
    assert words in said


def test_what_is_asked_for_stands(folder):
    asked = MetricsSettings(name="embedded", extractor="embedded", num_fakes=300)
    assert choose_metrics(asked, 256, folder, torch.device("cpu"))[0] == asked
    chosen, said = choose_metrics(dataclasses.replace(AUTO, num_fakes=300), 64, folder, torch.device("cpu"))
    assert chosen.num_fakes == 300 and "300 pictures" in said
    none = MetricsSettings(name="none", extractor=None)
    assert choose_metrics(none, 256, folder, torch.device("cpu")) == (none, "none")
