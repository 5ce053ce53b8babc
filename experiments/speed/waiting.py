"""How waiting threads share the cores with other programs: img/s of the shipped network, forward and backward.

    python -m experiments.speed.waiting --out RESULT.json

Each setting runs in a process of its own, in turn, on a quiet machine and beside one process that computes without a
pause; quoted are medians.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from src import SPIN_ROUNDS

from .results import environment

SETTINGS = {
    "the library's own": {"GOMP_SPINCOUNT": "300000"},
    "this project's": {"GOMP_SPINCOUNT": str(SPIN_ROUNDS)},
    "passive": {"OMP_WAIT_POLICY": "passive"},
}
BATCH = 16


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(images_per_second(options.seconds))
        return
    result = {"rounds": options.rounds, "seconds": options.seconds, **environment("cpu")}
    for name, busy in (("quiet", 0), ("beside one busy process", 1)):
        others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(busy)]
        try:
            result[name] = measured(options.rounds, options.seconds)
        finally:
            for other in others:
                other.kill()
                other.wait()
        print(name, {key: round(value["median"], 1) for key, value in result[name].items()}, flush=True)
    if options.out is not None:
        options.out.write_text(json.dumps(result, indent=2) + "\n")


def measured(rounds: int, seconds: float) -> dict[str, dict[str, object]]:
    """Images per second by setting: all rounds and their median."""
    clean = {k: v for k, v in os.environ.items() if k not in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")}
    values: dict[str, list[float]] = {name: [] for name in SETTINGS}
    for _ in range(rounds):
        for name, setting in SETTINGS.items():
            command = [sys.executable, "-m", __spec__.name, "--measure", "--seconds", str(seconds)]
            done = subprocess.run(command, env=clean | setting, capture_output=True, text=True, check=True)
            values[name].append(float(done.stdout))
    return {name: {"median": statistics.median(v), "rounds": v} for name, v in values.items()}


def images_per_second(seconds: float) -> float:
    """Forward and backward of G and D in batches of 16, after three that do not count."""
    import torch

    from src.weights import load_network

    networks = load_network("demo")
    assert networks.D is not None
    G, D = networks.G_ema.requires_grad_(True), networks.D.requires_grad_(True)
    count, started = -3, time.perf_counter()
    while count <= 0 or time.perf_counter() - started < seconds:
        if count == 0:
            started = time.perf_counter()
        loss = torch.nn.functional.softplus(-D(G(torch.randn(BATCH, G.z_dim)))).mean()
        torch.autograd.backward(loss)
        count += 1
    return round(BATCH * count / (time.perf_counter() - started), 2)


if __name__ == "__main__":
    main()
