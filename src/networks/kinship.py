"""Do two networks share an ancestor? Corresponding weights of a fine-tuned network still point the same way."""

import torch

from .generator import Generator

UNRELATED = 0.1  # below: not fine-tuned from each other or from a common network


def kinship(a: Generator, b: Generator) -> float:
    """Mean cosine of corresponding synthesis convolution weights, in [-1, 1]; 0 when no layer corresponds.

    Two networks trained apart are near 0; a network and one fine-tuned from it for some dozen kimg are above 0.9.
    Layers that only one of them has, or of other shapes, are left out.
    """
    ours, theirs = dict(a.named_parameters()), dict(b.named_parameters())
    cosines = [
        torch.nn.functional.cosine_similarity(value.flatten(), theirs[key].flatten(), dim=0)
        for key, value in ours.items()
        if key.startswith("synthesis.") and value.ndim == 4 and key in theirs and theirs[key].shape == value.shape
    ]
    return float(torch.stack(cosines).mean()) if cosines else 0.0
