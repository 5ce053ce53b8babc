"""What uses trained networks, on the pretended device: evaluation, sweep, projection, tuning, generate, files."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch

from src.cli import compose_config
from src.data import open_portraits
from src.faces import NetworkLandmarks
from src.generate.run import generate
from src.metrics import Evaluator, Judge, locate
from src.metrics.cariscore import References
from src.metrics.inception_extractor import inception_extractor
from src.projection import project, projector, tune
from src.projection.schedule import ProjectionSettings
from src.sweep.run import run_sweep
from src.weights import load_network, save_network
from tests.pretended.cuda import CUDA, Recorder
from tests.sweep.conftest import make_network, take_plain_landmarks, write_run
from tests.tiny import make_tiny

FILES = {"weights/load.py:load_network", "device.py:on_host"}


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory):
    """A run with its base network and one snapshot, made before there is a device."""
    base = make_network(0)
    folder = write_run(tmp_path_factory.mktemp("runs") / "first", base, {0: 0.0, 1: 0.3})
    save_network(folder / "base.safetensors", G_ema=base, meta={})
    return folder


def pictures(n, px):
    return torch.randint(0, 256, [n, 3, px, px], dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def test_files(pretended, tmp_path):
    G, D = make_tiny()
    path = save_network(
        tmp_path / "a.safetensors", G_ema=copy.deepcopy(G).to(CUDA), G=G.to(CUDA), D=D.to(CUDA), meta={}
    )
    assert pretended.waits["copy to the host", "device.py:on_host"] == 1, "all tensors at once"
    loaded = load_network(path, device="cuda")
    assert all(t.is_cuda for network in (loaded.G, loaded.D, loaded.G_ema) for t in network.state_dict().values())
    z = torch.randn([2, 8], device=CUDA)
    assert torch.equal(loaded.G_ema(z), G(z)) and loaded.G_ema(z).is_cuda


def test_evaluation(pretended):
    """By a network on the device, as Inception is, and by the embedded one; the rows are numbers of the host."""
    G = make_tiny()[0].to(CUDA)
    weight = torch.randn([48, 2048], device=CUDA)

    def network(images):
        return images.float()[:, :, ::4, ::4].flatten(1) @ weight

    reals = [(x, None) for x in pictures(8, 16)]
    for extractor in (inception_extractor(network, sha256="0", resizer="none", device=CUDA), "embedded"):
        fakes = [(G(torch.randn([4, 8], device=CUDA)) * 127.5 + 128).clamp(0, 255).to(torch.uint8) for _ in range(2)]
        row = Evaluator(extractor, reals, seed=0).evaluate(fakes, psi=1.0).row
        assert isinstance(row["kid"], float) and row["protocol"]["float32"] == "ieee"
    assert pretended.waiting() <= {
        "metrics/network_extractor.py:__call__",
        "metrics/extractors.py:__call__",
        "metrics/extractors.py:__init__",
        "metrics/extractors.py:<listcomp>",  # the reals, which lie on the host
        "a test",
    }


def test_features_of_faces(pretended):
    """Measured where the pictures are, by the network's landmarks: the numbers of the host."""
    people, cartoons = (open_portraits(domain, 12, 64).images for domain in ("people", "cartoons"))
    provider = NetworkLandmarks()
    judge = Judge(References.of(*(locate(x, provider) for x in (people, cartoons, people)), "cartoon_low"))
    found = locate(people.to(CUDA), NetworkLandmarks(device=CUDA))
    assert found.images.is_cuda and found.marks.is_cuda
    ours, theirs = judge.rows(found), judge.rows(locate(people, provider))
    for a, b in zip((*ours.axes, ours.looks, ours.found), (*theirs.axes, theirs.looks, theirs.found), strict=True):
        assert np.allclose(a, b, rtol=1e-3, atol=1e-3)


def test_a_sweep(pretended, run_dir, monkeypatch):
    take_plain_landmarks(monkeypatch)
    _, ranking = run_sweep(run_dir, (8, 16), base=str(run_dir / "base.safetensors"), n_latents=16, device="cuda")
    assert ranking["protocol"]["float32"] == "ieee"
    chunks = {"metrics/cariscore/faces.py:locate", "sweep/features.py:add"}  # these landmarks are of the host
    once = {
        "sweep/run.py:<listcomp>",
        "sweep/references.py:<listcomp>",
        "sweep/pictures.py:common_codes",
        "sweep/plan.py:_digest",
        "networks/kinship.py:kinship",
    }
    assert pretended.waiting() <= chunks | once | FILES


@pytest.mark.parametrize("patience", [None, 6])
@pytest.mark.parametrize("noise", [False, True])
def test_a_projection(pretended, noise, patience, monkeypatch):
    """Once a batch of pictures, never a step; with patience once in 16 steps."""
    recorder = Recorder(pretended)
    monkeypatch.setattr(projector, "CudaRecorder", lambda *_, **__: recorder)
    G = make_tiny()[0].to(CUDA)
    settings = ProjectionSettings(steps=20, noise=noise, patience=patience)
    found = project(G, pictures(2, 16), settings=settings, progress=False)
    assert found.codes.device.type == "cpu" and recorder.captures == 1
    once = {"metrics/extractors.py:__init__", "projection/samples.py:random_codes"}
    batch = {"projection/projector.py:_project_batch", "projection/projector.py:<listcomp>"}
    look = {"projection/descent.py:_look"}
    assert pretended.waiting() <= once | batch | look | {"a test"}
    assert pretended.waits["tolist", *look] == (0 if patience is None else 2)
    first = sum(count for (_, where), count in pretended.waits.items() if where != "a test")
    pretended.waits.clear()
    project(G, pictures(2, 16), settings=replace(settings, steps=32), progress=False)
    assert sum(pretended.waits.values()) <= first, "more steps, no more waits"


def test_tuning(pretended):
    G = make_tiny()[0].to(CUDA)
    codes = G.mapping(torch.randn([2, 8], device=CUDA)).detach().cpu()
    tuned = tune(G, pictures(2, 16), codes, steps=2, progress=False)
    assert tuned.steps == 2 and all(p.is_cuda for p in tuned.G.parameters())
    # a value a step: the mean distance, at which it stops
    assert pretended.waiting() <= {"projection/tuning.py:tune", "metrics/extractors.py:__init__", "a test"}


def test_pictures_of_a_network(pretended, run_dir, tmp_path):
    path = run_dir / "base.safetensors"
    folder = generate(compose_config("generate", [f"network={path}", "device=cuda", "seeds=0-3", f"out={tmp_path}"]))
    assert list(folder.glob("*.jpg"))
    codes = {"generate/codes.py:seed_codes", "generate/job.py:save_codes", "generate/job.py:digest_of"}
    assert pretended.waiting() <= codes | {"generate/sheet.py:render"} | FILES
