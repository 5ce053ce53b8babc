"""Speed of synthesis from the same style codes, stored noise maps, beside other implementations.

    python -m experiments.speed.inference --preset 256e --ada PATH --ours fp32 bf16 --batches 1 8 --out OUT

Where a peer's layout holds our weights it gets them, and the largest difference of its images from ours in float32,
over their standard deviation, stands in the result.
"""

import argparse
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from .common import Builder, Contender, Part, measure, report
from .options import add_options, prepare
from .peers import Peer, frozen, peers_of
from .shapes import PRESETS, Shape, Variant, clamp_of, our_generator


def _parts(render: Callable[[Tensor], object], codes: Tensor, batches: Sequence[int]) -> dict[str, Part]:
    def runner(n: int) -> Callable[[], object]:
        @torch.no_grad()
        def run() -> object:
            return render(codes[:n])

        return run

    return {f"batch {n}": Part(runner(n), n) for n in batches}


def our_contender(variant: Variant, shape: Shape, codes: Tensor, args: argparse.Namespace) -> Contender:
    """Our synthesis network."""
    G = frozen(our_generator(shape, args.device, conv_clamp=clamp_of(variant.precision)))
    parts = _parts(G.synthesis, codes, args.batches)
    wrapped = {
        name: Part(variant.wrap(part.run, shape, args.device, G.synthesis), part.images) for name, part in parts.items()
    }
    return Contender(variant.name, wrapped, precision=variant.precision)


@torch.no_grad()
def peer_contender(peer: Peer, codes: Tensor, args: argparse.Namespace, equality: dict[str, float]) -> Contender:
    """A peer's, with our weights where they can be shared."""
    G = frozen(peer.generator())
    ours = frozen(our_generator(peer.shape, "cpu", conv_clamp=clamp_of(peer.precision)))
    if peer.take_weights(G, ours):
        wanted, got = ours.to(args.device).synthesis(codes[:2]), peer.render(G, codes[:2]).float()
        equality[peer.name] = float((wanted - got).abs().max() / wanted.std())
    parts = _parts(lambda ws: peer.render(G, ws), codes, args.batches)
    return Contender(peer.name, parts, ours=False, precision=peer.precision, notes=peer.notes)


def builders(args: argparse.Namespace, equality: dict[str, float]) -> list[Builder]:
    """The contenders that the options ask for."""
    variants, shape = prepare(args), PRESETS[args.preset]
    layers = 2 * len(shape.channels)
    codes = torch.randn([max(*args.batches, 2), layers, 512]).to(args.device)
    ours: list[Builder] = [partial(our_contender, v, shape, codes, args) for v in variants]
    peers: list[Builder] = [partial(peer_contender, p, codes, args, equality) for p in peers_of(args, shape)]
    return ours + peers


def main(argv: Sequence[str] | None = None) -> dict[str, Any]:
    """Time, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser, preset="256e", peers=("ada", "stylegan3", "rosinality"))
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8])
    args = parser.parse_args(argv)
    equality: dict[str, float] = {}
    measured = measure(builders(args, equality), args)
    for name, difference in equality.items():
        print(f"{name}: images differ by at most {difference:.1e} of their standard deviation")
    return report("inference", measured, args, extra={"largest_difference_over_std": equality})


if __name__ == "__main__":
    main()
