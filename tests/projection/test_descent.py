"""The steps of a projection: those of one Adam a picture, and the same from a graph."""

import pytest
import torch
from tqdm import tqdm

from src.cuda_graphs import EAGER_RUNS
from src.ops import backend, set_policy
from src.projection import PerceptualDistance, ProjectionSettings, descent
from src.projection.descent import Descent, Frame
from src.projection.noise_maps import fresh_maps, normalize_, not_noise
from src.projection.schedule import learning_rate, noise_scale
from tests.tiny import make_tiny
from tests.training.recording import StandIn

N, STEPS = 3, 14


@pytest.fixture(autouse=True)
def plain_ops(monkeypatch):
    """Compiled processor kernels are no PyTorch operations: the stand-in for graphs would not see them."""
    monkeypatch.setattr(backend, "_policy", None)
    set_policy("reference")


@pytest.fixture(scope="module")
def frozen():
    G = make_tiny()[0].requires_grad_(False)
    targets = torch.randn([N, 3, 16, 16], generator=torch.Generator().manual_seed(1)).clamp(-1, 1)
    distance = PerceptualDistance()
    return G, distance, distance.describe(targets)


def begin(frozen, settings, recorder=None):
    G, distance, described = frozen
    frame = Frame(G, settings, distance, torch.zeros([8]), torch.tensor(0.7), recorder)
    generators = [torch.Generator().manual_seed(i) for i in range(N)]
    drawn = [fresh_maps(G, generator) for generator in generators] if settings.noise else []
    maps = [torch.stack(each) for each in zip(*drawn, strict=True)]
    return frame, Descent(frame, described, torch.zeros([N, frame.num_codes, 8]), maps, generators)


def one_by_one(frame, described, index):
    """The plain form: a picture alone, with PyTorch's Adam."""
    G, settings = frame.G, frame.settings
    generator = torch.Generator().manual_seed(index)
    maps = [m[None].requires_grad_() for m in fresh_maps(G, generator)]
    codes = torch.zeros([1, frame.num_codes, 8], requires_grad=True)
    optimizer = torch.optim.Adam([codes, *maps], betas=(0.9, 0.999))
    for step in range(settings.steps):
        optimizer.param_groups[0]["lr"] = learning_rate(step, settings)
        optimizer.zero_grad()
        noise = torch.randn(codes.shape, generator=generator) * frame.w_std * noise_scale(step, settings)
        images = G.synthesis((codes + noise).expand(-1, G.num_ws, -1), noise=maps)
        loss = frame.distance.compare(images, [d[index : index + 1] for d in described])
        loss = loss + settings.code_weight * ((codes - frame.w_avg) / frame.w_std).square().mean(dim=(1, 2))
        (loss + settings.noise_weight * not_noise(maps)).sum().backward()
        optimizer.step()
        normalize_(maps)
    return codes.detach()[0], [m.detach()[0] for m in maps]


def test_steps_are_those_of_an_adam_a_picture(frozen):
    settings = ProjectionSettings(steps=6, noise=True)
    frame, batch = begin(frozen, settings)
    for index, found in enumerate(batch.run(tqdm(disable=True))):
        codes, maps = one_by_one(frame, frozen[2], index)
        torch.testing.assert_close(found.codes, codes, rtol=0, atol=1e-4)
        for ours, theirs in zip(found.maps, maps, strict=True):
            torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-4)


@pytest.mark.parametrize("patience", [None, 2])
@pytest.mark.parametrize("noise", [False, True])
def test_captured_steps_are_the_same(frozen, noise, patience, monkeypatch):
    """Bit for bit; of a picture that was done before the host looked, its noise maps to rounding."""
    monkeypatch.setattr(descent, "STRIDE", 4)
    settings = ProjectionSettings(steps=STEPS, noise=noise, patience=patience, plateau=0.5)
    recorder = StandIn()
    plain, captured = (begin(frozen, settings, r)[1].run(tqdm(disable=True)) for r in (None, recorder))
    assert recorder.replays >= (STEPS - EAGER_RUNS if patience is None else 1)
    assert [found.steps for found in captured] == [found.steps for found in plain]
    assert (min(found.steps for found in plain) < STEPS) == (patience is not None)
    for ours, theirs in zip(captured, plain, strict=True):
        assert torch.equal(ours.codes, theirs.codes)
        for a, b in zip(ours.maps, theirs.maps, strict=True):
            torch.testing.assert_close(a, b, rtol=0, atol=1e-5)
