"""Runs with `metrics=fid`: what they log, what they refuse, and that the next sitting measures as the first."""

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
def test_a_run_is_measured_in_one_way_and_a_fork_in_another(options, inception):
    few = ["metrics.num_fakes=8", "run=mine"]
    source = run(options, *few, "metrics=embedded", "snapshot.kimg=[0,0.02]")
    with pytest.raises(UserError, match=r"metrics\.extractor was 'embedded', now 'inception'; give .* or resume=fork"):
        run(options, *inception, *few, "snapshot.kimg=[0,0.02,0.04]")
    with pytest.raises(UserError, match=r"metrics\.num_fakes was 8, now 9"):
        run(options, "metrics=auto", "metrics.num_fakes=9", "run=mine", "snapshot.kimg=[0,0.02,0.04]")
    before = read_rows(source / "metrics.jsonl")
    fork = run(options, *inception, *few, "resume=fork", "snapshot.kimg=[0.04]")
    assert read_rows(source / "metrics.jsonl") == before and [row["nimg"] for row in before] == [0, 20]
    (row,) = read_rows(fork / "metrics.jsonl")
    assert "fid" in row and "frechet" not in row and row["best"] is True
    protocol = row["protocol"]
    assert protocol["extractor"] == "inception" and inception[-1].endswith(protocol["extractor_sha256"])
    assert (protocol["resizer"], protocol["n_fake"], protocol["n_real"]) == ("in-torchscript-file", 8, 24)
    assert ">FID</th>" in (fork / "report.html").read_text()
    assert run(options, *inception, *few, "resume=fork", "snapshot.kimg=[0.06]") == fork
    assert run(options, "metrics=auto", "run=mine", "snapshot.kimg=[0.04]") == source
    for folder, nimgs in ((fork, [40, 60]), (source, [0, 20, 40])):
        first, *others = rows = read_rows(folder / "metrics.jsonl")
        assert [row["nimg"] for row in rows] == nimgs
        assert all(row["protocol"] == first["protocol"] for row in others)


def test_without_weights_nothing_is_begun(options, tmp_path, monkeypatch):
    nowhere = dataclasses.replace(published.INCEPTION, urls=("http://127.0.0.1:9/file.pth",))
    monkeypatch.setattr(published, "INCEPTION", nowhere)
    with pytest.raises(UserError, match=r"pt_inception-2015-12-05-6726825d\.pth"):
        run(options, f"weights.folder={tmp_path / 'none'}", "metrics=fid", "snapshot.kimg=[0]", "run=refused")
    assert not (tmp_path / "refused").exists()
