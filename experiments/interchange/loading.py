"""Time and memory of loading a 256 px config-e network (G, D and G_ema, some 300 MB) in each family's format.

    python -m experiments.interchange.loading --rounds 5 --out experiments/interchange/loading.json

Files have random weights and are written by the test suite's own writers. Each load is a process of its own; the peak
is the whole process's, Python and torch included.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import torch

from src.weights import Networks
from src.weights.export import export_network
from tests.weights.foreign import nvlabs_pickle, random_networks, rosinality_checkpoint, tensorflow_pickle

LOAD = """
import sys, time
import torch
from src.device import peak_memory
from src.weights import load_network
start = time.perf_counter()
load_network(sys.argv[1])
print(time.perf_counter() - start, peak_memory(torch.device("cpu")))
"""


FILES = {
    "TensorFlow pickle": "tf.pkl",
    "stylegan2-ada-pytorch pickle": "ada.pkl",
    "rosinality, in training": "ros.pt",
    "rosinality, old torch.save": "old.pt",
    "native": "own.safetensors",
}


def write_files(folder: Path) -> None:
    """One file a format."""
    networks = random_networks(resolution=256, channel_base=16384, channel_max=512)
    (folder / "tf.pkl").write_bytes(tensorflow_pickle(networks))
    (folder / "ada.pkl").write_bytes(nvlabs_pickle(networks))
    (folder / "ros.pt").write_bytes(rosinality_checkpoint(networks))
    (folder / "old.pt").write_bytes(rosinality_checkpoint(networks, legacy=True))
    export_network(Networks(**networks), folder / "own.safetensors", format="native")


def main() -> None:
    """Write the files, load each several times in turn, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--write", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.write:
        write_files(args.write)
        return
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        # written by a process of their own: a child's peak would begin at its parent's size
        subprocess.run([sys.executable, "-m", "experiments.interchange.loading", "--write", folder], check=True)
        files = {name: Path(folder) / file for name, file in FILES.items()}
        measured: dict[str, list[tuple[float, float]]] = {name: [] for name in files}
        for _ in range(args.rounds):
            for name, path in files.items():
                out = subprocess.run(
                    [sys.executable, "-c", LOAD, str(path)], capture_output=True, text=True, check=True
                )
                seconds, peak = map(float, out.stdout.split())
                measured[name].append((seconds, peak))
        for name, values in measured.items():
            size = files[name].stat().st_size
            seconds, peak = (statistics.median(v) for v in zip(*values, strict=True))
            worst = max(v[0] for v in values)
            rows.append({"format": name, "mb": size / 1e6, "sec": seconds, "worst_sec": worst, "peak_mb": peak / 1e6})
            shown = f"{seconds:.2f} (worst {worst:.2f}) | {peak / 1e6:.0f} | {peak / size:.2f}"
            print(f"| {name} | {size / 1e6:.0f} | {shown} |")
    if args.out:
        versions = {"python": sys.version.split()[0], "torch": torch.__version__, "threads": torch.get_num_threads()}
        args.out.write_text(json.dumps({"versions": versions, "rounds": args.rounds, "rows": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
