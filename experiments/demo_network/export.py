"""Write the networks of a run's last checkpoint as one full network file (G, D, G_ema), to start others from.

python experiments/demo_network/export.py runs/demo64 src/weights/demo.safetensors
"""

import argparse
import json
import sys
from pathlib import Path

import torch
import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from src.networks import Discriminator, Generator
from src.training.checkpoint import find_checkpoint
from src.weights import save_network
from src.weights.native import fill


def main() -> None:
    """Rebuild the networks from the run's configuration, fill them from its checkpoint, save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("out", type=Path)
    args = parser.parse_args()
    config = yaml.safe_load((args.run / "config.yaml").read_text())
    facts = json.loads((args.run / "run.json").read_text())
    path = find_checkpoint(args.run / "checkpoints")
    assert path is not None, f"{args.run} has no checkpoint"
    checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    resolution = facts["dataset"]["resolution"]
    model = {k: v for k, v in config["model"].items() if k != "name"}
    widths = {k: model[k] for k in ("channel_base", "channel_max")}
    networks = {
        "G": Generator(resolution=resolution, **model),
        "G_ema": Generator(resolution=resolution, **model),
        "D": Discriminator(resolution=resolution, **widths),
    }
    for name, module in networks.items():
        prefix = f"step.{name}."
        state = {k.removeprefix(prefix): v for k, v in checkpoint["state_dict"].items() if k.startswith(prefix)}
        fill(module, state, path)
    meta = {
        "kimg": checkpoint["nimg"] / 1000,
        "nimg": checkpoint["nimg"],
        "dataset": {k: facts["dataset"][k] for k in ("name", "fingerprint")},
        "config_hash": facts["config_hash"],
        "code_version": facts["code_version"],
        "parent": None,
    }
    save_network(args.out, G_ema=networks["G_ema"], G=networks["G"], D=networks["D"], meta=meta)
    print(f"{args.out}: {checkpoint['nimg'] / 1000:g} kimg, {args.out.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
