"""Other StyleGAN2 implementations as contenders, driven through their own classes from a checkout given by path.

NVIDIA's two repositories share module names (`dnnlib`, `torch_utils`, `training`): each is imported with its checkout
first on the path, and its modules are forgotten afterwards, so that both can be had in one process. On CUDA they would
build extension modules of one name, so there they are refused together.
"""

import argparse
import importlib
import importlib.util
import sys
import tempfile
import types
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn

from src.errors import UserError
from src.networks import Generator
from src.weights import Networks
from src.weights.export import channel_multiplier, export_network

from .shapes import Shape, clamp_of

NAMES = {"ada": "stylegan2-ada-pytorch", "stylegan3": "stylegan3 (StyleGAN2)", "rosinality": "rosinality"}
OWN_MODULES = {"rosinality": ("model", "op")} | dict.fromkeys(
    ("ada", "stylegan3"), ("dnnlib", "torch_utils", "training")
)


class Peer:
    """One peer: makes its networks in a shape and runs them. `notes` says what is special about this one."""

    def __init__(self, kind: str, checkout: Path, shape: Shape, device: str, precision: str) -> None:
        self.kind, self.shape, self.device = kind, shape, torch.device(device)
        self.precision = "fp32" if kind == "rosinality" else precision
        self.name = NAMES[kind] + (f" {self.precision}" if self.precision != "fp32" else "")
        self.notes: list[str] = []
        if not checkout.is_dir():
            raise SystemExit(f"--{kind} {checkout}: no such folder")
        self._modules: dict[str, Any] = {}
        with _imported_from(checkout, kind):
            self._load()
            self._modules = _modules_of(kind)

    def _load(self) -> None:
        if self.kind == "rosinality":
            self._load_rosinality()
            return
        module = "networks" if self.kind == "ada" else "networks_stylegan2"
        self.networks = importlib.import_module(f"training.{module}")
        self.loss = importlib.import_module("training.loss")
        self.augment = importlib.import_module("training.augment")
        if self.device.type != "cuda":
            return
        for op in ("bias_act", "upfirdn2d"):
            module_of_op: Any = importlib.import_module(f"torch_utils.ops.{op}")
            try:
                built = bool(module_of_op._init())
            except Exception as error:  # a compiler's failure can be anything
                built = False
                self.notes.append(f"{op}: {type(error).__name__}")
            if not built:
                module_of_op._init = lambda: False
            self.notes.append(f"{op}: {'its own CUDA op' if built else 'reference ops, its CUDA op does not build'}")

    def _load_rosinality(self) -> None:
        if self.device.type == "cuda":
            try:
                self.networks = importlib.import_module("model")
                self.notes.append("its own CUDA ops")
                return
            except Exception as error:
                raise SystemExit(
                    f"rosinality's CUDA ops do not build here, and it has no path without them on CUDA: {error}"
                ) from error
        with mock.patch("torch.utils.cpp_extension.load", lambda *a, **k: None):  # CUDA ops: not used on a processor
            self.networks = importlib.import_module("model")

    @property
    def fits(self) -> bool:
        """Whether the peer has networks of these widths: rosinality's come from a table."""
        return self.kind != "rosinality" or channel_multiplier(self.shape.channels) is not None

    def generator(self) -> Any:
        """A generator with its own initial weights."""
        with self._modules_present():
            G = self._new_generator()
        for name, parameter in G.named_parameters():
            if name.endswith(("noise_strength", "noise.weight")):
                parameter.data.fill_(0.1)
        return G.to(self.device)

    def _new_generator(self) -> Any:
        shape = self.shape
        if self.kind == "rosinality":
            multiplier = channel_multiplier(shape.channels)
            return self.networks.Generator(shape.resolution, 512, shape.mapping_layers, channel_multiplier=multiplier)
        synthesis = self._widths()
        if self.kind == "stylegan3":
            synthesis["fused_modconv_default"] = "inference_only"  # as its train.py sets it for StyleGAN2
        keywords = {"synthesis_kwargs": synthesis} if self.kind == "ada" else synthesis
        return self.networks.Generator(
            z_dim=512, c_dim=0, w_dim=512, img_resolution=shape.resolution, img_channels=3,
            mapping_kwargs={"num_layers": shape.mapping_layers}, **keywords,
        )  # fmt: skip

    def augmentation(self, p: float, multipliers: dict[str, int]) -> Any:
        """NVIDIA's pipe at a fixed probability."""
        with self._modules_present():
            pipe = self.augment.AugmentPipe(**multipliers).train().requires_grad_(False).to(self.device)
        pipe.p.copy_(torch.as_tensor(p))
        return pipe

    def discriminator(self) -> Any:
        """A discriminator with its own initial weights."""
        if self.kind == "rosinality":
            multiplier = channel_multiplier(self.shape.channels)
            return self.networks.Discriminator(self.shape.resolution, channel_multiplier=multiplier).to(self.device)
        with self._modules_present():
            D = self.networks.Discriminator(
                c_dim=0, img_resolution=self.shape.resolution, img_channels=3, **self._widths()
            )
        return D.to(self.device)

    @contextmanager
    def _modules_present(self) -> Iterator[None]:
        """With the checkout's modules importable again: NVIDIA's constructors check that they can be pickled."""
        hidden = _modules_of(self.kind)
        sys.modules.update(self._modules)
        try:
            yield
        finally:
            for name in self._modules:
                sys.modules.pop(name, None)
            sys.modules.update(hidden)

    def _widths(self) -> dict[str, Any]:
        low = {"num_fp16_res": 4 if self.precision == "fp16" else 0, "conv_clamp": clamp_of(self.precision)}
        return {**self.shape.widths, **low}

    def render(self, G: Any, ws: Tensor) -> Tensor:
        """Images of codes `[N, L, 512]` with the stored noise maps."""
        if self.kind == "rosinality":
            return G([ws], input_is_latent=True, randomize_noise=False)[0]
        return G.synthesis(ws, noise_mode="const")

    def map(self, G: Any, z: Tensor) -> Tensor:
        """Codes `[N, L, 512]` of latents."""
        if self.kind == "rosinality":
            return G.style(z)[:, None].expand(-1, G.n_latent, -1)
        return G.mapping(z, None)

    def take_weights(self, peer: Any, G: Generator) -> bool:
        """Load our generator's weights; False where its layout cannot hold them."""
        with tempfile.TemporaryDirectory() as folder:
            layout = "rosinality" if self.kind == "rosinality" else "ada"
            try:
                path = export_network(Networks(G_ema=G), Path(folder) / "ours.pt", format=layout)
            except UserError as error:
                self.notes.append(f"weights not shared: {error}")
                return False
            stored = torch.load(path, weights_only=True)["g_ema" if layout == "rosinality" else "G_ema"]
        peer.load_state_dict(stored)
        return True


def peers_of(args: argparse.Namespace, shape: Shape, kinds: Sequence[str] = tuple(NAMES)) -> list[Peer]:
    """The peers whose checkouts the options name."""
    given = [kind for kind in kinds if getattr(args, kind, None) is not None]
    if torch.device(args.device).type == "cuda" and {"ada", "stylegan3"} <= set(given):
        raise SystemExit("on CUDA give --ada or --stylegan3, not both: their extension modules have the same names")
    peers = [Peer(kind, getattr(args, kind), shape, args.device, args.peer_precision) for kind in given]
    for peer in peers:
        if not peer.fits:
            print(f"{peer.name} has no network of these widths ({args.preset}): left out", file=sys.stderr)
    return [peer for peer in peers if peer.fits]


def frozen(module: nn.Module) -> Any:
    """For inference: eval mode, no gradients of weights."""
    return module.eval().requires_grad_(False)


def _modules_of(kind: str) -> dict[str, Any]:
    return {name: module for name, module in sys.modules.items() if name.split(".")[0] in OWN_MODULES[kind]}


@contextmanager
def _imported_from(checkout: Path, kind: str) -> Iterator[None]:
    """Import from a checkout inside of the block; forget its modules afterwards."""
    own, path = OWN_MODULES[kind], str(checkout.resolve())
    hidden = _modules_of(kind)
    for name in hidden:
        del sys.modules[name]
    stand_in = {}
    if importlib.util.find_spec("pkg_resources") is None:  # newer setuptools have it no more
        legacy: Any = types.ModuleType("pkg_resources")
        legacy.parse_version = lambda text: tuple(int(part) for part in text.split("+")[0].split(".")[:2])
        stand_in["pkg_resources"] = legacy
    sys.path.insert(0, path)
    try:
        sys.modules.update(stand_in)
        yield
    finally:
        sys.path.remove(path)
        for name in [name for name in sys.modules if name.split(".")[0] in own or name in stand_in]:
            del sys.modules[name]
        sys.modules.update(hidden)
