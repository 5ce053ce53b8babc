"""Training speed beside stylegan2-ada-pytorch: the same iteration, the same shapes, the same process, in alternation.

    python experiments/speed/training.py --peer PATH_OF_A_STYLEGAN2_ADA_PYTORCH_CHECKOUT

One round times one cycle of 16 iterations' worth of work on each side in rotating order: G main and D main, and path
length and R1 with their lazy weights 1/4 and 1/16. Both sides run fp32, reference ops, no augmentation, batch and
widths as given, Adam steps included. The figure to quote is the median of the rounds' ratios.
"""

import argparse
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).resolve().parents[2]
PHASES = {"G_main": 1, "G_reg": 4, "D_main": 1, "D_reg": 16}


def our_phases(args: argparse.Namespace) -> dict[str, Callable[[], None]]:
    """Each phase of `TrainingStep` as a callable."""
    sys.path.insert(0, str(ROOT))
    from src.networks import Discriminator, Generator
    from src.training.settings import StepSettings
    from src.training.step import Batch, TrainingStep

    widths = {"channel_base": args.channel_base, "channel_max": args.channel_max}
    G = Generator(resolution=args.resolution, num_mapping_layers=args.mapping_layers, **widths)
    D = Discriminator(resolution=args.resolution, **widths)
    step = TrainingStep(G, D, StepSettings(ada_target=None))
    batch = Batch(torch.randn([args.batch, 3, args.resolution, args.resolution]), None)

    def runner(phase: Any) -> Callable[[], None]:
        return lambda: step._run_phase(phase, batch, 0)

    return {phase.name: runner(phase) for phase in step.phases}


def peer_phases(args: argparse.Namespace) -> dict[str, Callable[[], None]]:
    """The peer's networks and loss, driven as its training loop drives them."""
    sys.path.insert(0, str(args.peer))
    from training import loss as peer_loss
    from training import networks as peer

    synthesis = {"channel_base": args.channel_base, "channel_max": args.channel_max, "num_fp16_res": 0}
    G = peer.Generator(
        z_dim=512,
        c_dim=0,
        w_dim=512,
        img_resolution=args.resolution,
        img_channels=3,
        mapping_kwargs={"num_layers": args.mapping_layers},
        synthesis_kwargs=synthesis,
    )
    D = peer.Discriminator(c_dim=0, img_resolution=args.resolution, img_channels=3, **synthesis)
    for module in (G, D):
        module.train().requires_grad_(False)
    loss = peer_loss.StyleGAN2Loss(
        device=torch.device("cpu"), G_mapping=G.mapping, G_synthesis=G.synthesis, D=D, r1_gamma=1.0
    )
    optimizers = {}
    for name, module, interval in (("G", G, 4), ("D", D, 16)):
        ratio = interval / (interval + 1)
        optimizers[name] = torch.optim.Adam(module.parameters(), lr=0.0025 * ratio, betas=(0.0, 0.99**ratio), eps=1e-8)
    size = [args.batch, 3, args.resolution, args.resolution]
    images, no_class = torch.randn(size), torch.zeros([args.batch, 0])

    def runner(peer_name: str, module: torch.nn.Module, interval: int) -> Callable[[], None]:
        def run() -> None:
            optimizer = optimizers[peer_name[0]]
            optimizer.zero_grad(set_to_none=True)
            module.requires_grad_(True)
            loss.accumulate_gradients(
                phase=peer_name,
                real_img=images,
                real_c=no_class,
                gen_z=torch.randn([args.batch, 512]),
                gen_c=no_class,
                sync=True,
                gain=interval,
            )
            module.requires_grad_(False)
            for parameter in module.parameters():
                if parameter.grad is not None:
                    torch.nan_to_num(parameter.grad, nan=0, posinf=1e5, neginf=-1e5, out=parameter.grad)
            optimizer.step()

        return run

    return {
        "G_main": runner("Gmain", G, 1),
        "G_reg": runner("Greg", G, 4),
        "D_main": runner("Dmain", D, 1),
        "D_reg": runner("Dreg", D, 16),
    }


def seconds(run: Callable[[], None], clock: Callable[[], float]) -> float:
    """Time one call."""
    start = clock()
    run()
    return clock() - start


def main() -> None:
    """Time, print a table, write the result as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", type=Path, required=True, help="checkout of stylegan2-ada-pytorch")
    parser.add_argument("--resolution", type=int, default=64)
    parser.add_argument("--channel-base", type=int, default=4096)
    parser.add_argument("--channel-max", type=int, default=128)
    parser.add_argument("--mapping-layers", type=int, default=2)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--cpu-seconds", action="store_true", help="time CPU seconds instead of wall clock")
    parser.add_argument("--out", type=Path, help="write the result to this JSON file")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    clock = time.process_time if args.cpu_seconds else time.perf_counter
    sides = {"ours": our_phases(args), "peer": peer_phases(args)}
    for phases in sides.values():
        for run in phases.values():
            run()
    rows: list[dict[str, dict[str, float]]] = []
    for i in range(args.rounds):
        order = list(sides) if i % 2 == 0 else list(reversed(sides))
        times: dict[str, dict[str, float]] = {side: {} for side in sides}
        for phase in PHASES:
            for side in order:
                times[side][phase] = seconds(sides[side][phase], clock)
        rows.append(times)
    result = summarize(rows, args)
    print(json.dumps(result, indent=2))
    if args.out:
        args.out.write_text(json.dumps(result, indent=2) + "\n")


def summarize(rows: list[dict[str, dict[str, float]]], args: argparse.Namespace) -> dict[str, Any]:
    """Medians of times and of per-round ratios."""

    def iteration(times: dict[str, float]) -> float:
        return sum(times[phase] / interval for phase, interval in PHASES.items())

    ratios = [iteration(row["peer"]) / iteration(row["ours"]) for row in rows]
    phases = {
        phase: {
            "ours_ms": round(1000 * statistics.median(row["ours"][phase] for row in rows), 1),
            "peer_ms": round(1000 * statistics.median(row["peer"][phase] for row in rows), 1),
            "ratio": round(statistics.median(row["peer"][phase] / row["ours"][phase] for row in rows), 3),
        }
        for phase in PHASES
    }
    settings = {k: str(v) if isinstance(v, Path) else v for k, v in vars(args).items() if k not in ("peer", "out")}
    return {
        "ratio_median": round(statistics.median(ratios), 3),
        "ratio_min": round(min(ratios), 3),
        "ratio_max": round(max(ratios), 3),
        "ours_img_per_sec": round(args.batch / statistics.median(iteration(row["ours"]) for row in rows), 2),
        "peer_img_per_sec": round(args.batch / statistics.median(iteration(row["peer"]) for row in rows), 2),
        "phases": phases,
        "settings": settings,
        "torch": torch.__version__,
        "python": platform.python_version(),
    }


if __name__ == "__main__":
    main()
