"""Write the networks of a run's last checkpoint as one full file (G, D, G_ema) in fp16, as the demo network is shipped.

python experiments/demo_network/export.py runs/demo64 src/weights/demo.safetensors
"""

import argparse
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import torch

from src.weights import load_network, save_network


def main() -> None:
    """Read the run, save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("out", type=Path)
    args = parser.parse_args()
    networks = load_network(args.run)
    facts = json.loads((args.run / "run.json").read_text())
    meta = {
        **networks.meta,
        "dataset": {k: facts["dataset"][k] for k in ("name", "fingerprint")},
        "config_hash": facts["config_hash"],
        "code_version": facts["code_version"],
        "parent": (facts.get("pretrained") or {}).get("sha256"),
    }
    save_network(args.out, G_ema=networks.G_ema, G=networks.G, D=networks.D, meta=meta, dtype=torch.float16)
    print(f"{args.out}: {networks.meta['kimg']:g} kimg, {args.out.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
