"""The peers' training phases: NVIDIA's through their own loss, rosinality's networks under the same four losses."""

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from src.augment.pipe import PIPES
from src.training.losses import discriminator_loss, generator_loss, path_lengths, r1_penalty

from .peers import Peer

PIPE = "bgc"  # of augmentation, the default of both
INTERVALS = {"G_main": 1, "G_reg": 4, "D_main": 1, "D_reg": 16}
Phases = dict[str, Callable[[], None]]


def optimizer_of(module: torch.nn.Module, interval: int) -> torch.optim.Optimizer:
    """Adam as both peers configure it for lazy regularisation."""
    ratio = interval / (interval + 1)
    return torch.optim.Adam(module.parameters(), lr=0.0025 * ratio, betas=(0.0, 0.99**ratio), eps=1e-8)


def nvidia_phases(peer: Peer, batch: int, p: float | None) -> Phases:
    """stylegan2-ada-pytorch's and stylegan3's StyleGAN2 loss, driven as their training loops drive it."""
    G, D = peer.generator().train().requires_grad_(False), peer.discriminator().train().requires_grad_(False)
    parts = {"G": G} if peer.kind == "stylegan3" else {"G_mapping": G.mapping, "G_synthesis": G.synthesis}
    options: dict[str, Any] = {"r1_gamma": 1.0, "style_mixing_prob": 0.9, "pl_weight": 2}
    if peer.kind == "stylegan3":
        options["pl_no_weight_grad"] = True  # as its train.py sets it for StyleGAN2
    if p is not None:
        options["augment_pipe"] = peer.augmentation(p, {name: 1 for name, weight in PIPES[PIPE].items() if weight})
    loss = peer.loss.StyleGAN2Loss(device=peer.device, D=D, **parts, **options)
    modules = {"G": (G, optimizer_of(G, 4)), "D": (D, optimizer_of(D, 16))}
    size = [batch, 3, peer.shape.resolution, peer.shape.resolution]
    images, no_class = torch.randn(size, device=peer.device), torch.zeros([batch, 0], device=peer.device)
    last = {"cur_nimg": 0} if peer.kind == "stylegan3" else {"sync": True}

    def runner(name: str, interval: int) -> Callable[[], None]:
        module, optimizer = modules[name[0]]

        def run() -> None:
            optimizer.zero_grad(set_to_none=True)
            module.requires_grad_(True)
            loss.accumulate_gradients(
                phase=name.replace("_", ""),
                real_img=images,
                real_c=no_class,
                gen_z=torch.randn([batch, 512], device=peer.device),
                gen_c=no_class,
                gain=interval,
                **last,
            )
            module.requires_grad_(False)
            for parameter in module.parameters():
                if parameter.grad is not None:
                    torch.nan_to_num(parameter.grad, nan=0, posinf=1e5, neginf=-1e5, out=parameter.grad)
            optimizer.step()

        return run

    phases = {name: runner(name, interval) for name, interval in INTERVALS.items()}
    return phases if p is None else phases | {"average": averaging(G)}


def averaging(G: torch.nn.Module) -> Callable[[], None]:
    """The average of a generator's weights as NVIDIA's training loops take it, tensor by tensor."""
    average = copy.deepcopy(G).eval()

    def run() -> None:
        with torch.no_grad():
            for ours, theirs in zip(average.parameters(), G.parameters(), strict=True):
                ours.copy_(theirs.lerp(ours, 0.998))
            for ours, theirs in zip(average.buffers(), G.buffers(), strict=True):
                ours.copy_(theirs)

    return run


def rosinality_phases(peer: Peer, batch: int) -> Phases:
    """rosinality's networks under this project's loss functions (its train.py is a script): the same mathematics."""
    G, D = peer.generator().requires_grad_(False), peer.discriminator().requires_grad_(False)
    modules = {"G": (G, optimizer_of(G, 4)), "D": (D, optimizer_of(D, 16))}
    size = [batch, 3, peer.shape.resolution, peer.shape.resolution]
    reals = torch.randn(size, device=peer.device)
    mean_length = torch.zeros([], device=peer.device)

    def fakes(n: int, latents: bool = False) -> tuple[Tensor, Tensor]:
        z = torch.randn([2, n, 512], device=peer.device).unbind(0)
        return G(list(z), return_latents=latents)

    def path_length() -> Tensor:
        images, ws = fakes(max(batch // 2, 1), latents=True)
        lengths = path_lengths(images, ws, torch.randn_like(images))
        mean = mean_length.lerp(lengths.mean(), 0.01)
        mean_length.copy_(mean.detach())
        return 2 * 4 * (lengths - mean).square().mean()

    def d_main() -> Tensor:
        with torch.no_grad():
            images = fakes(batch)[0]
        return discriminator_loss(D(reals), D(images))

    def r1() -> Tensor:
        images = reals.detach().requires_grad_(True)
        return 16 * 0.5 * r1_penalty(D(images), images).mean()

    losses = {"G_main": lambda: generator_loss(D(fakes(batch)[0])), "G_reg": path_length, "D_main": d_main, "D_reg": r1}

    def runner(name: str, loss: Callable[[], Tensor]) -> Callable[[], None]:
        module, optimizer = modules[name[0]]

        def run() -> None:
            optimizer.zero_grad(set_to_none=True)
            module.requires_grad_(True)
            loss().backward()
            module.requires_grad_(False)
            optimizer.step()

        return run

    return {name: runner(name, loss) for name, loss in losses.items()}


def training_phases(peer: Peer, batch: int, p: float | None = None) -> Phases:
    """A peer's phases as callables, optimiser steps included; with `p` augmentation and the average of weights."""
    if peer.kind != "rosinality":
        return nvidia_phases(peer, batch, p)
    if p is not None:
        raise SystemExit("rosinality is timed without --shipped: its augmentation is another")
    return rosinality_phases(peer, batch)
