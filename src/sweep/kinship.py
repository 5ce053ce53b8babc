"""Do two networks share an ancestor? Corresponding weights of a fine-tuned network still point the same way."""

import torch

from ..networks import Generator

KINSHIP_FLOOR = 0.5  # below: drifted so far that layers no longer fit (a gate)
UNRELATED = 0.1  # below: not fine-tuned from this network at all (an error)


def kinship(a: Generator, b: Generator) -> float:
    """Mean cosine of corresponding synthesis convolution weights.

    Two networks trained apart are near 0; a network and one fine-tuned from it for some dozen kimg are above 0.9.

    Returns:
        A number in [-1, 1].
    """
    ours, theirs = dict(a.named_parameters()), dict(b.named_parameters())
    cosines = [
        torch.nn.functional.cosine_similarity(ours[key].flatten(), theirs[key].flatten(), dim=0)
        for key in ours
        if key.startswith("synthesis.") and ours[key].ndim == 4
    ]
    return float(torch.stack(cosines).mean())
