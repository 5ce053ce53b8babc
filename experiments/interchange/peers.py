"""Our files in other programs, run by those programs themselves, and their files here.

    python -m experiments.interchange.peers --rosinality CHECKOUT --ada CHECKOUT --stylegan3 CHECKOUT --out FILE.json

Each checkout is a clone of rosinality/stylegan2-pytorch, NVlabs/stylegan2-ada-pytorch, NVlabs/stylegan3. Networks have
random weights. Prints the largest difference of w, images, truncated images and logits over the images' spread.
"""

import argparse
import copy
import json
import pickle
import subprocess
import sys
import tempfile
import types
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn

from src.networks import Discriminator, Generator
from src.weights import Networks, load_network
from src.weights.export import channel_multiplier, export_network

N = 8


def randomised(module: nn.Module) -> nn.Module:
    """Biases, noise strengths and w_avg away from their initial values, so that each of them shows."""
    for name, value in [*module.named_parameters(), *module.named_buffers()]:
        if name.endswith(("bias", "noise_strength", "noise.weight")):
            value.data.add_(torch.randn_like(value) * 0.2)
        if name.endswith("w_avg"):
            value.data.normal_()
    return module.eval().requires_grad_(False)


def ours(size: int, multiplier: int, **options: Any) -> Networks:
    """A random network of a standard width."""
    widths = {"resolution": size, "channel_base": 16384 * multiplier}
    G, D = (
        Generator(**widths, **options),
        Discriminator(**widths, **{k: options[k] for k in ("c_dim",) if k in options}),
    )
    return Networks(G_ema=randomised(G), G=randomised(copy.deepcopy(G)), D=randomised(D))


def spread(wanted: Tensor, got: Tensor) -> float:
    """Largest difference over the standard deviation."""
    return float((wanted - got).abs().max() / wanted.std())


def rosinality(checkout: Path, folder: Path) -> list[dict[str, Any]]:
    """Both directions with rosinality's model.py; its CUDA ops are not built, it has a path without them on a CPU."""
    rows = []
    with mock.patch("torch.utils.cpp_extension.load", lambda *a, **k: None), on_path(checkout, "model", "op"):
        import model

        for size, multiplier in ((64, 1), (128, 2)):
            torch.manual_seed(size)
            networks = ours(size, multiplier)
            path = export_network(networks, folder / f"ros{size}.pt", format="rosinality")
            stored = torch.load(path, weights_only=True)
            assert channel_multiplier(networks.G_ema.config["channels"]) == multiplier
            peer = model.Generator(size, 512, 8, channel_multiplier=multiplier).eval()
            peer.load_state_dict(stored["g_ema"])
            judge = model.Discriminator(size, channel_multiplier=multiplier).eval()
            judge.load_state_dict(stored["d"])
            rows.append(compare_rosinality("ours -> rosinality", networks, peer, judge, stored["latent_avg"]))

            torch.manual_seed(size + 1)
            peer = randomised(model.Generator(size, 512, 8, channel_multiplier=multiplier))
            judge = randomised(model.Discriminator(size, channel_multiplier=multiplier))
            average = torch.randn([512])
            states = {"g_ema": peer.state_dict(), "g": peer.state_dict(), "d": judge.state_dict()}
            torch.save({**states, "latent_avg": average, "args": argparse.Namespace(size=size)}, folder / "theirs.pt")
            rows.append(
                compare_rosinality("rosinality -> ours", load_network(folder / "theirs.pt"), peer, judge, average)
            )
    return rows


def compare_rosinality(direction: str, networks: Networks, peer: Any, judge: Any, average: Tensor) -> dict[str, Any]:
    """One row of the table."""
    z = torch.randn([N, 512])
    with torch.no_grad():
        images = peer([z], randomize_noise=False)[0]
        truncated = peer([z], truncation=0.5, truncation_latent=average, randomize_noise=False)[0]
        assert networks.D is not None
        return {
            "direction": direction,
            "network": f"{networks.G_ema.resolution} px",
            "w": spread(peer.style(z), networks.G_ema.mapping(z)[:, 0]),
            "images": spread(images, networks.G_ema(z)),
            "truncated": spread(truncated, networks.G_ema(z, psi=0.5)),
            "logits": spread(judge(images), networks.D(images)),
        }


def nvidia(name: str, checkout: Path, folder: Path) -> list[dict[str, Any]]:
    """State dicts of ours in NVIDIA's classes, and its pickles here."""
    rows = []
    legacy = types.ModuleType("pkg_resources")
    legacy.parse_version = lambda text: tuple(int(part) for part in text.split("+")[0].split(".")[:2])  # type: ignore
    modules = ("dnnlib", "torch_utils", "training")
    with mock.patch.dict(sys.modules, {"pkg_resources": legacy}), on_path(checkout, *modules):
        if name == "ada":
            from training import networks as nets
        else:
            from training import networks_stylegan2 as nets  # type: ignore
        for size, classes, clamp in ((64, 0, 256.0), (32, 5, None)):
            torch.manual_seed(size)
            networks = ours(size, 1, c_dim=classes, conv_clamp=clamp, num_mapping_layers=2)
            path = export_network(networks, folder / f"{name}{size}.pt", format="ada")
            stored = torch.load(path, weights_only=True)
            kwargs = stored["G_kwargs"]
            if name != "ada":
                kwargs = {**kwargs, **kwargs["synthesis_kwargs"]}
                del kwargs["synthesis_kwargs"]
            peer = nets.Generator(**kwargs).eval()
            peer.load_state_dict(stored["G_ema"])
            judge = nets.Discriminator(**stored["D_kwargs"]).eval()
            judge.load_state_dict(stored["D"])
            rows.append(compare_nvidia(f"ours -> {name}", networks, peer, judge))

            torch.manual_seed(size + 1)
            peer = randomised(nets.Generator(**{**kwargs, "z_dim": 96}))
            judge = randomised(nets.Discriminator(**stored["D_kwargs"], block_kwargs={"freeze_layers": 3}))
            with open(folder / "theirs.pkl", "wb") as file:
                pickle.dump({"G": peer, "D": judge, "G_ema": peer, "augment_pipe": None}, file)
            rows.append(compare_nvidia(f"{name} -> ours", load_network(folder / "theirs.pkl"), peer, judge))
    return rows


def compare_nvidia(direction: str, networks: Networks, peer: Any, judge: Any) -> dict[str, Any]:
    """One row of the table."""
    G = networks.G_ema
    z = torch.randn([N, G.z_dim])
    c = torch.eye(G.c_dim)[torch.arange(N) % G.c_dim] if G.c_dim else None
    with torch.no_grad():
        images = peer(z, c, noise_mode="const")
        truncated = peer(z, c, truncation_psi=0.5, noise_mode="const")
        assert networks.D is not None
        return {
            "direction": direction,
            "network": f"{G.resolution} px, {G.c_dim} classes",
            "w": spread(peer.mapping(z, c), G.mapping(z, c)),
            "images": spread(images, G(z, c)),
            "truncated": spread(truncated, G(z, c, psi=0.5)),
            "logits": spread(judge(images, c), networks.D(images, c)),
        }


class on_path:
    """Import from a checkout inside of the block, and forget its modules afterwards."""

    def __init__(self, checkout: Path, *names: str) -> None:
        self.checkout, self.names = str(checkout.resolve()), names

    def __enter__(self) -> None:
        sys.path.insert(0, self.checkout)

    def __exit__(self, *error: object) -> None:
        sys.path.remove(self.checkout)
        for name in [m for m in sys.modules if m.split(".")[0] in self.names]:
            del sys.modules[name]


def main() -> None:
    """Run the comparisons asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rosinality", type=Path)
    parser.add_argument("--ada", type=Path)
    parser.add_argument("--stylegan3", type=Path)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = rosinality(args.rosinality, Path(folder)) if args.rosinality else []
        for name in ("ada", "stylegan3"):
            if getattr(args, name):
                rows += nvidia(name, getattr(args, name), Path(folder))
    columns = ("w", "images", "truncated", "logits")
    for row in rows:
        print(f"| {row['direction']} | {row['network']} | " + " | ".join(f"{row[c]:.1e}" for c in columns) + " |")
    if args.out:
        commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
        versions = {"python": sys.version.split()[0], "torch": torch.__version__}
        args.out.write_text(json.dumps({"commit": commit, "versions": versions, "rows": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
