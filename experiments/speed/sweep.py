"""Speed of rendering the cells of a sweep: snapshots x resolutions, the same codes in each.

    python -m experiments.speed.sweep --preset 256e --ada PATH --ours fp32 bf16 --batch 1 --out OUT

`ours shared` renders as `src.sweep` does: a snapshot's layers once, and only the layers above the switch for each
resolution. `ours whole` renders every blended generator from its first layer, and so does a peer, whose generators need
not be blends to take their time. Blending itself is outside the timing on all sides.
"""

import argparse
from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from src.networks import Generator, blend
from src.sweep.pictures import shared_prefix

from .common import Builder, Contender, Part, measure, report
from .options import add_options, prepare
from .peers import Peer, frozen, peers_of
from .shapes import PRESETS, Shape, Variant, clamp_of, our_generator

CELLS = "all cells"


def _networks(variant: Variant, shape: Shape, args: argparse.Namespace) -> tuple[Generator, list[Generator]]:
    """The base network and its snapshots."""
    clamp = clamp_of(variant.precision)
    base, *snapshots = (
        frozen(our_generator(shape, args.device, conv_clamp=clamp, seed=seed)) for seed in range(args.snapshots + 1)
    )
    return base, snapshots


def shared_contender(variant: Variant, shape: Shape, codes: Tensor, args: argparse.Namespace) -> Contender:
    """Cells from a shared prefix, as `src.sweep` renders them."""
    base, snapshots = _networks(variant, shape, args)
    pairs = [(low, frozen(blend(low, base, low.synthesis.resolutions[0]))) for low in snapshots]

    def run() -> list[dict[int, Tensor]]:
        return [shared_prefix(low, tail, codes, args.resolutions, whole=False) for low, tail in pairs]

    networks = [G.synthesis for pair in pairs for G in pair]
    part = Part(variant.wrap(run, shape, args.device, *networks), _images(args))
    return Contender(f"{variant.name} shared", {CELLS: part}, precision=variant.precision)


def whole_contender(variant: Variant, shape: Shape, codes: Tensor, args: argparse.Namespace) -> Contender:
    """Every cell a whole generator."""
    base, snapshots = _networks(variant, shape, args)
    cells = [frozen(blend(low, base, r)) for low in snapshots for r in args.resolutions]

    @torch.inference_mode()
    def run() -> list[Tensor]:
        return [G.synthesis(codes) for G in cells]

    part = Part(variant.wrap(run, shape, args.device, *(G.synthesis for G in cells)), _images(args))
    return Contender(f"{variant.name} whole", {CELLS: part}, precision=variant.precision)


def peer_contender(peer: Peer, codes: Tensor, args: argparse.Namespace) -> Contender:
    """As many whole generators of a peer."""
    cells = [frozen(peer.generator()) for _ in range(args.snapshots * len(args.resolutions))]

    @torch.inference_mode()
    def run() -> list[Tensor]:
        return [peer.render(G, codes) for G in cells]

    part = Part(run, _images(args))
    return Contender(f"{peer.name} whole", {CELLS: part}, ours=False, precision=peer.precision, notes=peer.notes)


def _images(args: argparse.Namespace) -> int:
    return args.snapshots * len(args.resolutions) * args.batch


def builders(args: argparse.Namespace) -> list[Builder]:
    """The contenders that the options ask for."""
    variants, shape = prepare(args), PRESETS[args.preset]
    args.resolutions = args.resolutions or [r for r in shape.channels if 8 <= r < shape.resolution][:5]
    codes = torch.randn([args.batch, 2 * len(shape.channels), 512]).to(args.device)
    ours: list[Builder] = [
        partial(make, v, shape, codes, args)
        for v in variants
        for make in (shared_contender, whole_contender)
        if make is shared_contender or v.precision == "fp32"
    ]
    peers: list[Builder] = [partial(peer_contender, p, codes, args) for p in peers_of(args, shape)]
    return ours + peers


def main(argv: Sequence[str] | None = None) -> dict[str, Any]:
    """Time, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser, preset="256e", peers=("ada", "stylegan3", "rosinality"))
    parser.add_argument("--batch", type=int, default=1, help="codes at a time")
    parser.add_argument("--snapshots", type=int, default=2)
    parser.add_argument("--resolutions", type=int, nargs="+", help="of the switch; the five from 8 up")
    args = parser.parse_args(argv)
    return report("sweep", measure(builders(args), args), args)


if __name__ == "__main__":
    main()
