"""Networks and training steps at full size, and draws that are the same on every device."""

import torch
from torch.overrides import TorchFunctionMode

from src.augment.pipe import AugmentPipe
from src.networks import Discriminator, Generator
from src.training.settings import StepSettings
from src.training.step import TrainingStep

BATCH = 4


def networks(px=256):
    """Config-e with noise that counts, the same every time."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        G, D = Generator(resolution=px), Discriminator(resolution=px)
    for name, parameter in G.named_parameters():
        if name.endswith("noise_strength"):
            parameter.data.fill_(0.1)
    return G, D


def training_step(device, precision, regularizer_precision, px=256, batch=BATCH):
    """The shipped configuration: ADA on, R1 and path length in the first iteration and every eighth."""
    G, D = networks(px)
    settings = StepSettings(augment_p=0.4, r1_interval=8, pl_interval=8)
    step = TrainingStep(
        G,
        D,
        settings,
        batch_size=batch,
        augment=AugmentPipe.preset("bgc", static=True),
        precision=precision,
        regularizer_precision=regularizer_precision,
    )
    return step.to(device)


class SameDraws(TorchFunctionMode):
    """Random numbers come from a processor's generator of the same seed, and are then moved."""

    def __init__(self):
        super().__init__()
        self.generators = {}

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        given = kwargs.get("generator")
        if func not in (torch.rand, torch.randn) or given is None:
            return func(*args, **kwargs)
        seed = given.initial_seed()
        if seed not in self.generators:
            self.generators[seed] = torch.Generator().manual_seed(seed)
        device = kwargs.pop("device", None)
        return func(*args, **kwargs | {"generator": self.generators[seed]}).to(device or given.device)
