"""Images a second of what a Fréchet distance needs: generating pictures, and extracting their features.

    python -m experiments.speed.fid --preset 256e --ada PATH --ours fp32 bf16 --batch 8 --out OUT

Extractors are this project's shipped one, and with random weights the Inception network of FID and DINOv2: their speed
is that of the trained ones, their features mean nothing. A peer generates (latent to uint8 picture) and does no more:
its own Inception is a file that is not part of its checkout.
"""

import argparse
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from src.data import to_uint8
from src.metrics import get_extractor
from src.metrics.dinov2 import VisionTransformer, dinov2_extractor
from src.metrics.inception import FidInception
from src.metrics.inception_extractor import inception_extractor
from src.metrics.network_extractor import NetworkExtractor

from .common import Builder, Contender, Part, measure, report
from .options import add_options, prepare
from .peers import Peer, frozen, peers_of
from .shapes import PRESETS, Shape, Variant, clamp_of, our_generator

EXTRACTORS = ("embedded", "inception", "dinov2")


def random_dinov2(device: str) -> NetworkExtractor:
    """The extractor with the network's initial weights."""
    network = VisionTransformer().eval().requires_grad_(False).to(device)
    return dinov2_extractor(network, sha256="random", device=torch.device(device))


def random_inception(device: str) -> NetworkExtractor:
    """The extractor with the network's initial weights, laid out as the loaded one's."""
    network = FidInception().eval().requires_grad_(False)
    for parameter in network.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    return inception_extractor(network.to(device), sha256="random", resizer="tf1", device=torch.device(device))


RANDOM = {"inception": random_inception, "dinov2": random_dinov2}


def our_contender(variant: Variant, shape: Shape, args: argparse.Namespace) -> Contender:
    """Generating, each extractor alone, and both together."""
    G = frozen(our_generator(shape, args.device, conv_clamp=clamp_of(variant.precision)))

    @torch.inference_mode()
    def generate() -> Tensor:
        return to_uint8(G(torch.randn([args.batch, 512], device=args.device)))

    runs: dict[str, Callable[[], object]] = {"generate": generate}
    with variant.active(shape, args.device, G.synthesis):
        pictures = generate()
    for name in args.extractors:
        extract: Any = RANDOM[name](args.device) if name in RANDOM else get_extractor(name)
        runs[name] = partial(extract, pictures)
        runs[f"generate + {name}"] = partial(_generate_and_extract, generate, extract)
    parts = {name: Part(variant.wrap(run, shape, args.device, G.synthesis), args.batch) for name, run in runs.items()}
    notes = ["the embedded extractor runs on the processor"] if torch.device(args.device).type == "cuda" else []
    return Contender(variant.name, parts, precision=variant.precision, notes=notes)


def _generate_and_extract(generate: Callable[[], Tensor], extract: Callable[[Tensor], Tensor]) -> Tensor:
    return extract(generate())


def peer_contender(peer: Peer, args: argparse.Namespace) -> Contender:
    """A peer's generation."""
    G = frozen(peer.generator())

    @torch.inference_mode()
    def generate() -> Tensor:
        images = peer.render(G, peer.map(G, torch.randn([args.batch, 512], device=peer.device)))
        return (images * 127.5 + 128).clamp(0, 255).to(torch.uint8)

    parts = {"generate": Part(generate, args.batch)}
    return Contender(peer.name, parts, ours=False, precision=peer.precision, notes=peer.notes)


def builders(args: argparse.Namespace) -> list[Builder]:
    """The contenders that the options ask for."""
    variants, shape = prepare(args), PRESETS[args.preset]
    ours: list[Builder] = [partial(our_contender, v, shape, args) for v in variants]
    peers: list[Builder] = [partial(peer_contender, p, args) for p in peers_of(args, shape)]
    return ours + peers


def main(argv: Sequence[str] | None = None) -> dict[str, Any]:
    """Time, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser, preset="256e", peers=("ada", "stylegan3", "rosinality"))
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--extractors", nargs="*", choices=EXTRACTORS, default=list(EXTRACTORS))
    args = parser.parse_args(argv)
    return report("fid", measure(builders(args), args), args)


if __name__ == "__main__":
    main()
