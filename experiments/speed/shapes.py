"""Shapes of networks to time, and our networks and variants in them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from src.networks import Discriminator, Generator, Precision, choose_precision, computing_in
from src.ops.backend import POLICIES, get_policy, set_policy


@dataclass(frozen=True)
class Shape:
    """Size of a generator and discriminator, and how many images go through them at a time."""

    resolution: int
    channel_base: int
    channel_max: int
    mapping_layers: int
    batch: int
    batch_cuda: int

    def batch_on(self, device: str) -> int:
        """Images at a time on a device."""
        return self.batch_cuda if torch.device(device).type == "cuda" else self.batch

    @property
    def widths(self) -> dict[str, Any]:
        """The keywords that our networks and NVIDIA's have in common."""
        return {"channel_base": self.channel_base, "channel_max": self.channel_max}

    @property
    def channels(self) -> dict[int, int]:
        """Feature maps of each resolution."""
        resolutions = [2**k for k in range(2, self.resolution.bit_length())]
        return {r: min(self.channel_base // r, self.channel_max) for r in resolutions}


PRESETS = {
    "16t": Shape(16, 128, 8, 2, 4, 4),  # for tests of this code
    "64s": Shape(64, 4096, 128, 2, 8, 8),
    "64e": Shape(64, 16384, 512, 8, 8, 16),
    "256e": Shape(256, 16384, 512, 8, 2, 16),
    "512f": Shape(512, 32768, 512, 8, 1, 8),
    "1024f": Shape(1024, 32768, 512, 8, 1, 4),
}


@dataclass(frozen=True)
class Variant:
    """A row of ours: a precision and a policy for compiled ops."""

    precision: str
    ops: str
    name: str

    def precision_on(self, device: str, resolution: int) -> Precision:
        """The precision of a network on a device."""
        return choose_precision(self.precision, device, resolution)

    @contextmanager
    def active(self, shape: Shape, device: str, *networks: Any) -> Iterator[None]:
        """Compute as this variant does while the block runs."""
        before = get_policy()
        set_policy(self.ops)
        try:
            with computing_in(self.precision_on(device, shape.resolution), *networks):
                yield
        finally:
            set_policy(before)

    def wrap(self, run: Callable[[], object], shape: Shape, device: str, *networks: Any) -> Callable[[], None]:
        """A call that computes as this variant does."""

        def wrapped() -> None:
            with self.active(shape, device, *networks):
                run()

        return wrapped


def parse_variant(text: str, ops: str) -> Variant:
    """Read `fp32`, `bf16`, `fp16`, or one of them with a policy: `fp32/reference`."""
    precision, _, named = text.partition("/")
    if precision not in ("fp32", "bf16", "fp16") or (named and named not in POLICIES):
        raise SystemExit(f"{text}: give fp32, bf16 or fp16, and after a slash {', '.join(POLICIES)} if you like")
    return Variant(precision, named or ops, f"ours {precision}" + (f" {named}" if named else ""))


def our_generator(shape: Shape, device: str, *, conv_clamp: float | None = None, seed: int = 0) -> Generator:
    """A generator with random weights; noise strengths are not 0, so that noise costs what it costs when trained."""
    torch.manual_seed(seed)
    G = Generator(
        resolution=shape.resolution, num_mapping_layers=shape.mapping_layers, conv_clamp=conv_clamp, **shape.widths
    )
    for name, parameter in G.named_parameters():
        if name.endswith("noise_strength"):
            parameter.data.fill_(0.1)
    return G.to(device)


def our_discriminator(shape: Shape, device: str, *, conv_clamp: float | None = None) -> Discriminator:
    """A discriminator with random weights."""
    return Discriminator(resolution=shape.resolution, conv_clamp=conv_clamp, **shape.widths).to(device)


def clamp_of(precision: str) -> float | None:
    """float16 needs its convolutions' outputs bounded."""
    return 256.0 if precision == "fp16" else None
