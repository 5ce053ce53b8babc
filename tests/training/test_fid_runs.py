"""Runs with `metrics=fid`: what they log, what they refuse, and another extractor at the next sitting."""

import dataclasses

import pytest
import torch
import torch.nn.functional as F

from src.errors import UserError
from src.files import file_sha256
from src.metrics import published
from src.metrics.extractors import get_extractor
from src.tracking import read_rows
from tests.training.conftest import run


class Pixels(torch.nn.Module):
    """A quick network with the call of NVIDIA's file: 2048 values of the enlarged picture."""

    def forward(self, img, return_features: bool = False):
        return F.interpolate(img.float(), [32, 32]).flatten(1)[:, :2048]


@pytest.fixture
def inception(tmp_path):
    """Options that take `Pixels` for the TorchScript file."""
    path = tmp_path / published.INCEPTION_NVIDIA.name
    torch.jit.script(Pixels()).save(str(path))
    yield [
        f"weights.folder={tmp_path}",
        "metrics=fid",
        "metrics.weights=nvidia",
        f"metrics.weights_sha256={file_sha256(path)}",
    ]
    get_extractor.cache_clear()


@pytest.mark.filterwarnings("ignore:`torch.jit.script`:DeprecationWarning")
def test_fid_is_logged_and_not_mixed_with_other_features(options, inception):
    few = ["metrics.num_fakes=8", "run=fid"]
    run(options, *few, "metrics=embedded", "snapshot.kimg=[0,0.02]")
    folder = run(options, *inception, *few, "snapshot.kimg=[0,0.02,0.04]")
    rows = read_rows(folder / "metrics.jsonl")
    assert ["fid" in row for row in rows] == [False, False, True]
    assert ["frechet" in row for row in rows] == [True, True, False]
    protocol = rows[-1]["protocol"]
    assert protocol["extractor"] == "inception" and inception[-1].endswith(protocol["extractor_sha256"])
    assert (protocol["resizer"], protocol["n_fake"], protocol["n_real"]) == ("in-torchscript-file", 8, 24)
    assert rows[-1]["kid"] > rows[0]["kid"] and rows[-1]["best"] is True  # the first of its series
    report = (folder / "report.html").read_text()
    assert ">FID</th>" in report and "Fréchet (embedded)" in report and report.count(">lowest KID<") == 1
    assert "2 earlier evaluations were measured in another way" in report
    with pytest.raises(UserError, match=r"snapshot\.keep_best=2 compares KIDs"):
        run(options, "metrics=embedded", *few, "snapshot.kimg=[0,0.02,0.04,0.06]", "snapshot.keep_best=2")


def test_without_weights_nothing_is_begun(options, tmp_path, monkeypatch):
    nowhere = dataclasses.replace(published.INCEPTION, urls=("http://127.0.0.1:9/file.pth",))
    monkeypatch.setattr(published, "INCEPTION", nowhere)
    with pytest.raises(UserError, match=r"pt_inception-2015-12-05-6726825d\.pth"):
        run(options, f"weights.folder={tmp_path / 'none'}", "metrics=fid", "snapshot.kimg=[0]", "run=refused")
    assert not (tmp_path / "refused").exists()
