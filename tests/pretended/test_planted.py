"""The pretended device catches what a GPU, or a CUDA graph, would trip over: mistakes planted in a training step."""

import pytest
import torch

from src.augment.ada import AdaController
from src.augment.draws import AugmentDraws
from src.augment.pipe import AugmentPipe
from src.draws import Draws
from src.networks.synthesis_layers import SynthesisLayer
from src.training import losses
from src.training.ema import GeneratorEma
from src.training.graphs import PhaseGraphs
from src.training.settings import StepSettings
from src.training.step import Batch, TrainingStep
from tests.pretended.cuda import CUDA, Recorder, WrongPlace
from tests.tiny import make_tiny

PX, BATCH = 16, 4


def run(pretended, plant=lambda: None, iterations=5):
    """The tiny step with ADA on the device, its phases captured in their second run."""
    G, D = make_tiny()
    settings = StepSettings(augment_p=0.5, r1_interval=2, pl_interval=2)
    step = TrainingStep(G, D, settings, batch_size=BATCH, augment=AugmentPipe.preset("bgc")).to(CUDA)
    step.graphs = PhaseGraphs(Recorder(pretended), eager_runs=1)
    plant()
    for i in range(iterations):
        step.run(Batch(torch.randn([BATCH, 3, PX, PX], device=CUDA), None), BATCH * i)
        if i == 2:
            pretended.waits.clear()  # what constants took
    return step


def test_without_a_mistake(pretended):
    assert len(run(pretended).graphs.captured) == 4
    assert not pretended.waits


def wrapped(owner, name, change):
    """`owner.name` with its result, or an argument, changed."""
    original = getattr(owner, name)
    return owner, name, lambda *args, **kwargs: change(original, *args, **kwargs)


def reads_logits(original, logits):
    return original(logits) * float(logits.detach().mean())


def noise_of_the_host(original, self, x, noise, generator):
    shape = [x.shape[0], 1, self.resolution, self.resolution]
    return torch.randn(shape).to(x.device) * self.noise_strength


def number_of_the_host(original, self, p):
    return original(self, torch.tensor(0.5))


def kept_number(original, self, real_logits):
    return original(self, real_logits * HALF)


def picks_images(original, self, images, **options):
    images = original(self, images, **options)
    return images[images.mean(dim=(1, 2, 3)) > -100]


def left_behind(original, *arguments):
    return original(*arguments) + LEFT_BEHIND


def other_generator(original, *arguments):
    return original(*arguments[:-1], Draws(torch.Generator().manual_seed(0)))


def moves_through_the_host(original, self, generator, nimg, batch):
    original(self, generator, nimg, batch)
    self.module.mapping.w_avg.copy_(generator.mapping.w_avg.cpu())


HALF, LEFT_BEHIND = torch.tensor(0.5), torch.zeros([1, 1, 8])
PLANTED = {
    "a loss is read in a phase": (
        wrapped(losses, "generator_loss", lambda f, x: f(x) * float(x.detach().mean())),
        "item",
    ),
    "noise is drawn on the host": (wrapped(SynthesisLayer, "_noise", noise_of_the_host), "randn on the host"),
    "a constant is made in a phase": (wrapped(AugmentDraws, "_thresholds", number_of_the_host), "tensor on the host"),
    "a number of the host is kept": (
        wrapped(AdaController, "accumulate", kept_number),
        "number of the host",
    ),
    "a shape depends on data": (wrapped(AugmentPipe, "forward", picks_images), "boolean indexing"),
    "a tensor is left on the host": (wrapped(losses, "style_codes", left_behind), "tensors of both devices"),
    "a generator is of the host": (wrapped(losses, "style_codes", other_generator), "tensors of both devices"),
    "the device is asked for its size": (
        wrapped(losses, "r1_penalty", lambda f, y, x: f(y, x) / x.abs().sum().cpu()),
        "copy to the host",
    ),
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_mistake_in_a_phase(name, pretended, monkeypatch):
    (owner, attribute, mistaken), words = PLANTED[name]
    with pytest.raises(WrongPlace, match=words):
        run(pretended, lambda: monkeypatch.setattr(owner, attribute, mistaken))


def test_a_wait_outside_the_phases_is_noted(pretended, monkeypatch):
    run(pretended, lambda: monkeypatch.setattr(*wrapped(GeneratorEma, "update", moves_through_the_host)))
    assert pretended.waiting() == {"training/step.py:run"}
