"""Processor time of a sweep, beside that of another checkout, such as 18fbb5f (before this score and before racing).

    python -m experiments.cariscore.costs runs/NAME --other FOLDER --kimg 1 2 3 5 8 --res 4 8 16 32 --unraced
    python -m experiments.cariscore.costs runs/NAME --other FOLDER --kimg 4 8 --res 8 16 32 64 128 --grow 256

The time is the process's own, of the sweep alone, on one thread; each sweep is of a fresh copy of the run. `--grow`
makes networks of more pixels of the run's: the added blocks add nothing, so that the pictures are the same, enlarged.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import torch

from src.networks import Generator
from src.weights import load_network, save_network

SWEEP = """
import json, sys, time
import torch
from src.sweep.run import run_sweep
torch.set_num_threads(1)
run, resolutions, options = json.loads(sys.argv[1])
options["snapshot"] = tuple(options["snapshot"])
started = time.process_time()
_, ranking = run_sweep(run, resolutions, **options)
print("\\n" + json.dumps([time.process_time() - started, (ranking.get("race") or {}).get("rendered", 1.0)]))
"""
KEPT = ("run.json", "config.yaml")


def grown(G: Generator, resolution: int) -> Generator:
    """A network of more pixels with the same pictures: every added block's picture is black, and adds nothing."""
    channels = {r: G.synthesis.block(r).conv1.weight.shape[0] for r in G.synthesis.resolutions}
    last = G.resolution
    while last < resolution:
        channels[2 * last] = max(channels[last] // 2, 8)
        last *= 2
    layers = sum(name.endswith(".weight") for name, _ in G.mapping.named_parameters())
    shape = {"z_dim": G.z_dim, "w_dim": G.w_dim, "num_mapping_layers": layers}
    larger = Generator(resolution=resolution, channels=channels, **shape)
    own = {key: torch.zeros_like(value) if ".torgb." in key else value for key, value in larger.state_dict().items()}
    larger.load_state_dict(own | G.state_dict())
    return larger.eval()


def copied(run: Path, folder: Path, kimg: list[float], resolution: int | None) -> Path:
    """A copy of what a sweep needs of a run, its networks grown where that is asked."""
    (folder / "snapshots").mkdir(parents=True)
    for name in KEPT:
        shutil.copy(run / name, folder / name)
    for k in (0.0, *kimg):
        path = run / "snapshots" / f"kimg-{k:09.2f}.safetensors"
        if resolution is None:
            shutil.copy(path, folder / "snapshots")
        else:
            G = grown(load_network(path, parts=("G_ema",)).G_ema, resolution)
            save_network(folder / "snapshots" / path.name, G_ema=G, meta={"kimg": k})
    return folder


def timed(tree: Path, run: Path, options: argparse.Namespace, **more: object) -> tuple[float, float]:
    """Seconds of processor time of a sweep by a checkout's own code, and which part of the pictures it rendered."""
    chosen = {"snapshot": options.kimg, "n_latents": options.codes, **more}
    chosen |= {"base": str(run / "snapshots" / "kimg-000000.00.safetensors")}
    command = [sys.executable, "-c", SWEEP, json.dumps([str(run), options.res, chosen])]
    done = subprocess.run(command, cwd=tree, capture_output=True, text=True, check=True)
    seconds, rendered = json.loads(done.stdout.splitlines()[-1])
    return seconds, rendered


def main() -> None:
    """Print a row a sweep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--other", type=Path, required=True, help="a checkout of another version")
    parser.add_argument("--kimg", type=float, nargs="+", required=True)
    parser.add_argument("--res", type=int, nargs="+", required=True)
    parser.add_argument("--codes", type=int, default=256)
    parser.add_argument("--unraced", action="store_true", help="once more with race=false")
    parser.add_argument("--grow", type=int, help="resolution of the networks; the run's own without")
    options = parser.parse_args()
    here = Path(__file__).resolve().parents[2]
    first = None
    print(f"{len(options.kimg)} snapshots x {len(options.res)} resolutions, {options.codes} codes\n")
    print("| sweep | processor time, s | to the other's | pictures |\n|---|---|---|---|")
    sweeps: list[tuple[str, Path, dict[str, object]]] = [("the other version", options.other, {})]
    sweeps += [(f"race={race}", here, {"race": race == "true"}) for race in ("true", "false")[: 1 + options.unraced]]
    for name, tree, more in sweeps:
        with tempfile.TemporaryDirectory() as folder:
            run = copied(options.run, Path(folder) / "run", options.kimg, options.grow)
            seconds, rendered = timed(tree, run, options, **more)
        first = first or seconds
        print(f"| {name} | {seconds:.1f} | {seconds / first:.2f} | {rendered:.2f} |", flush=True)


if __name__ == "__main__":
    main()
