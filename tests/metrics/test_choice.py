"""Which metrics a run measures and keeps, why, and at what cost."""

import dataclasses
import json
from pathlib import Path

import pytest
import torch

from src.fetch import WeightsFolder
from src.metrics import MetricsSettings, changed_metrics, choose_metrics, evaluation_cost, published
from src.metrics.cost import CORE_SEC
from src.metrics.extractors import EMBEDDED_SHA256

AUTO = MetricsSettings()
CPU, CUDA = torch.device("cpu"), torch.device("cuda")
RECORDED = Path(__file__).resolve().parents[2] / "experiments/speed"


def protocol(extractor, n_fake):
    """Of a row of a run's evaluations."""
    sha256 = EMBEDDED_SHA256 if extractor == "embedded" else "ab"
    facts = {"extractor": extractor, "extractor_sha256": sha256, "n_fake": n_fake, "psi": 1.0}
    return {**facts, "chosen": "as it was said at first"}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder of weights; the published file is any, and nowhere to be fetched from."""
    nowhere = dataclasses.replace(published.INCEPTION, urls=("http://127.0.0.1:9/file.pth",), sha256=None, size=None)
    monkeypatch.setattr(published, "INCEPTION", nowhere)
    return WeightsFolder(folder=tmp_path)


@pytest.mark.parametrize(
    ("there", "resolution", "device", "extractor", "count", "words"),
    [
        (True, 256, CUDA, "inception", 5000, "5000 pictures (auto: 256 px, weights are there)"),
        (True, 128, CPU, "inception", 500, "500 pictures (auto: 128 px, weights are there)"),
        (True, 64, CPU, "embedded", 1000, "auto: 64 px; FID is for 128 px and up"),
        (False, 256, CPU, "embedded", 1000, "pt_inception-2015-12-05-6726825d.pth was neither there nor"),
    ],
)
def test_auto(folder, there, resolution, device, extractor, count, words, capsys):
    if there:
        folder.path(published.INCEPTION).write_bytes(b"weights")
    chosen, said = choose_metrics(AUTO, resolution, folder, device)
    assert (chosen.extractor, chosen.num_fakes) == (extractor, count)
    assert words in said and str(folder.folder) not in said
    assert (f"Put the file (licence: Apache-2.0) at {folder.folder}" in capsys.readouterr().out) == (not there)


@pytest.mark.parametrize("device", [CPU, CUDA])
@pytest.mark.parametrize(("extractor", "count"), [("inception", 500), ("inception", 5000), ("embedded", 300)])
def test_a_run_keeps_what_it_began_with_whatever_is_at_hand(folder, device, extractor, count):
    for resolution in (64, 256):
        chosen, said = choose_metrics(AUTO, resolution, folder, device, protocol(extractor, count))
        assert (chosen.extractor, chosen.num_fakes, said) == (extractor, count, "as it was said at first")
    named = MetricsSettings(name={"inception": "fid"}.get(extractor, extractor), extractor=extractor)
    assert choose_metrics(named, 256, folder, device, protocol(extractor, count)) == (chosen, said)


def test_what_is_asked_for_stands(folder):
    asked = MetricsSettings(name="embedded", extractor="embedded", num_fakes=300)
    assert choose_metrics(asked, 256, folder, CPU)[0] == asked
    chosen, said = choose_metrics(dataclasses.replace(AUTO, num_fakes=300), 64, folder, CPU)
    assert chosen.num_fakes == 300 and "300 pictures" in said
    none = MetricsSettings(name="none", extractor=None)
    assert choose_metrics(none, 256, folder, CPU) == (none, "none")
    chosen, said = choose_metrics(asked, 256, folder, CPU, protocol("inception", 500))  # of a fork
    assert chosen == asked and said == "KID on the shipped features, 300 pictures (metrics=embedded)"


@pytest.mark.parametrize(
    ("asked", "changed"),
    [
        ({}, {}),
        ({"num_fakes": 300}, {}),
        ({"name": "none", "extractor": None, "psi": 0.5}, {}),
        ({"name": "embedded", "extractor": "embedded"}, {}),
        ({"name": "fid", "extractor": "inception"}, {"metrics.extractor": "'embedded', now 'inception'"}),
        ({"num_fakes": 8, "psi": 0.5}, {"metrics.num_fakes": "300, now 8", "metrics.psi": "1.0, now 0.5"}),
    ],
)
def test_what_is_asked_for_is_compared_with_what_was(asked, changed):
    found = changed_metrics(MetricsSettings(**asked), protocol("embedded", 300))
    assert found == {name: f"{name} was {words}" for name, words in changed.items()}
    assert changed_metrics(MetricsSettings(**asked), None) == {}


def test_other_weights_are_another_measure():
    before, sha256 = protocol("inception", 500), "cd" * 32
    for asked, now in (
        (AUTO, published.INCEPTION.sha256),
        (MetricsSettings(weights="nvidia", weights_sha256=sha256), sha256),
    ):
        assert changed_metrics(asked, before) == {"metrics.weights": f"metrics.weights had sha256 'ab', now '{now}'"}
        assert changed_metrics(asked, before | {"extractor_sha256": now}) == {}


def test_the_cost_is_that_of_the_fakes_and_of_the_reals():
    chosen = MetricsSettings(name="fid", extractor="inception", num_fakes=500)
    minutes = [f"{count * CORE_SEC['inception'] / 60:.1f} min of one core" for count in (500, 1552, 20_000)]
    said = evaluation_cost(chosen, 776, CPU)
    assert (
        f"features of 500 pictures ({minutes[0]})" in said and f"also 1552 pictures ({minutes[1]}) of the data" in said
    )
    assert f"also 20000 pictures ({minutes[2]}) of the data" in evaluation_cost(chosen, 70_000, CPU)
    assert "features of 500 pictures, " in evaluation_cost(chosen, 776, CUDA)


@pytest.mark.parametrize("extractor", CORE_SEC)
def test_the_seconds_of_a_core_are_those_that_were_measured(extractor):
    other = "-dinov2" if extractor == "dinov2" else ""
    result = json.loads((RECORDED / f"fid-256e-core{other}.json").read_text())
    settings = result["settings"]
    assert (settings["threads"], settings["cpu_seconds"]) == (1, True)
    seconds = min(times["ours fp32"][extractor] for times in result["rounds"]) / settings["batch"]
    assert CORE_SEC[extractor] == float(f"{seconds:.2g}")
