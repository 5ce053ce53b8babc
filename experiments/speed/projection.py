"""Speed of one optimiser step of a projection, without a perceptual network on either side.

    python -m experiments.speed.projection --preset 256e --ada PATH --ours fp32 bf16 --batches 1 4 --out OUT

Ours is a step of `src.projection` as it stands (weights frozen, W+, fixed noise maps, its own precision setting, on
CUDA a graph) with the mean square of the image in place of the perceptual distance. A peer's is what its projector.py
does in a step: eval mode, weights frozen, one code of W repeated for all layers, noise added to it, stored noise maps,
Adam; its optimisation and regularisation of the noise maps are left out. Its projector takes one picture; in a batch
here it has a code a picture.
"""

import argparse
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, get_args

import torch
from torch import Tensor

from src.cuda_graphs import CudaRecorder
from src.projection.descent import Descent, Frame
from src.projection.schedule import Format, ProjectionSettings

from .common import Builder, Contender, Part, measure, report
from .options import add_options, prepare
from .peers import Peer, frozen, peers_of
from .shapes import PRESETS, Shape, Variant, our_generator

LR, NOISE = 0.01, 0.05


class MeanSquare:
    """Stands in for the perceptual distance: costs nothing beside the networks."""

    name = "mean square"

    def describe(self, targets: Tensor) -> list[Tensor]:
        """Nothing is needed of the targets."""
        return []

    def compare(self, images: Tensor, described: list[Tensor]) -> Tensor:
        """`[N]`, differentiable in the images."""
        return images.float().square().mean(dim=(1, 2, 3))


def our_contender(variant: Variant, shape: Shape, args: argparse.Namespace) -> Contender:
    """A step of `src.projection.descent`."""
    if variant.precision not in get_args(Format):
        raise SystemExit(f"projection computes in {' or '.join(get_args(Format))}, not {variant.precision}")
    G = frozen(our_generator(shape, args.device))
    settings = ProjectionSettings(lr=LR, precision=variant.precision, steps=10**4)
    w_avg, w_std = G.mapping.w_avg, torch.ones([], device=args.device)
    cuda = torch.device(args.device).type == "cuda"
    recorder = CudaRecorder(args.device, otherwise="time on the processor") if cuda else None
    frame = Frame(G, settings, MeanSquare(), w_avg, w_std, recorder)

    def runner(n: int) -> Callable[[], object]:
        generators = [torch.Generator().manual_seed(i) for i in range(n)]
        pictures = Descent(frame, [], w_avg.expand(n, frame.num_codes, -1), [], generators)
        # the policy alone: precision is a setting of the projector
        return variant.wrap(partial(pictures.advance, 1), shape, args.device)

    parts = {f"batch {n}": Part(runner(n), n) for n in args.batches}
    return Contender(variant.name, parts, precision=variant.precision)


def peer_contender(peer: Peer, args: argparse.Namespace) -> Contender:
    """A step of a peer."""
    G = frozen(peer.generator())
    layers = 2 * len(peer.shape.channels)

    def runner(n: int) -> Callable[[], object]:
        w = torch.zeros([n, 1, 512], device=peer.device, requires_grad=True)
        optimizer = torch.optim.Adam([w], betas=(0.9, 0.999), lr=LR)

        def run() -> None:
            ws = (w + torch.randn_like(w) * NOISE).repeat([1, layers, 1])
            loss = peer.render(G, ws).float().square().mean(dim=(1, 2, 3)).sum()
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()

        return run

    parts = {f"batch {n}": Part(runner(n), n) for n in args.batches}
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
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 4], help="photographs at a time")
    args = parser.parse_args(argv)
    return report("projection", measure(builders(args), args), args)


if __name__ == "__main__":
    main()
