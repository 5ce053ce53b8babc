"""Random numbers as a pure function of (seed, nimg, stream): what makes a resumed run equal an unbroken one.

Processes that train together draw the same numbers, those of the whole batch; each keeps those of its own pictures.
"""

import hashlib

import torch


def phase_seed(seed: int, nimg: int, stream: str) -> int:
    """The seed of one phase of one iteration, a 63-bit number; arguments as of `seeded_generator`."""
    digest = hashlib.sha256(f"{seed}/{nimg}/0/{stream}".encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 1


def seeded_generator(seed: int, nimg: int, stream: str, device: torch.device | str = "cpu") -> torch.Generator:
    """Make the generator that one phase of one iteration draws from: the same on every machine (per device type).

    `nimg` are the real images shown so far; `stream` names the consumer, so that phases do not share numbers.
    """
    generator = torch.Generator(device=device)
    generator.manual_seed(phase_seed(seed, nimg, stream))
    return generator
