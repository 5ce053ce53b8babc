"""Network files as other programs write them, made without those programs: stand-in classes under the foreign names."""

import argparse
import io
import pickle
import sys
import types
from collections import OrderedDict
from contextlib import contextmanager
from unittest import mock

import numpy as np
import torch

from src.networks import Discriminator, Generator


def random_networks(seed=0, resolution=16, d=None, **options):
    """G, D and G_ema whose every tensor matters (biases, noise, w_avg are random)."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        size = {"resolution": resolution, "channel_base": 128, "channel_max": 8, **options}
        shared = ("resolution", "channel_base", "channel_max", "channels", "c_dim", "label_layout")
        judge = {"architecture": "resnet", **{k: v for k, v in size.items() if k in shared}, **(d or {})}
        networks = {"G": Generator(**size), "D": Discriminator(**judge), "G_ema": Generator(**size)}
        for module in networks.values():
            for name, value in module.state_dict().items():
                if name.endswith(("bias", "noise_strength", "w_avg")):
                    value.add_(torch.randn_like(value) * 0.3)
            module.eval().requires_grad_(False)
    return networks


@contextmanager
def foreign_modules():
    """Modules with the names that pickles refer to."""
    names = ("dnnlib", "dnnlib.util", "dnnlib.tflib", "dnnlib.tflib.network", "torch_utils", "torch_utils.persistence")
    modules = {name: types.ModuleType(name) for name in names}
    easy = type("EasyDict", (dict,), {"__module__": "dnnlib.util", "__qualname__": "EasyDict"})
    network = type("Network", (), {"__module__": "dnnlib.tflib.network", "__getstate__": lambda self: self.__dict__})

    def _reconstruct_persistent_obj(meta):
        raise AssertionError("a reader must not call this")

    _reconstruct_persistent_obj.__module__ = "torch_utils.persistence"
    _reconstruct_persistent_obj.__qualname__ = "_reconstruct_persistent_obj"
    modules["dnnlib.util"].EasyDict = easy
    modules["dnnlib.tflib.network"].Network = network
    modules["torch_utils.persistence"]._reconstruct_persistent_obj = _reconstruct_persistent_obj
    for name, module in modules.items():
        parent, _, last = name.rpartition(".")
        if parent:
            setattr(modules[parent], last, module)
    with mock.patch.dict(sys.modules, modules):
        yield types.SimpleNamespace(EasyDict=easy, Network=network, reconstruct=_reconstruct_persistent_obj)


# TensorFlow


def tensorflow_pickle(networks, *, protocol=4, kwargs=None, ada=False, drop=(), rename=None, version=4):
    """(G, D, Gs) as StyleGAN2 on TensorFlow pickles it; `ada` for StyleGAN2-ADA's function names."""
    with foreign_modules() as foreign:

        def network(function, variables, components, static):
            made = foreign.Network()
            made.__dict__.update(
                version=version,
                name=function,
                static_kwargs=static,
                components=components,
                build_module_src="raise SystemExit('executed')",
                build_func_name=function,
                variables=[(rename(k) if rename else k, v) for k, v in variables.items() if k not in drop],
            )
            return made

        def generator(G):
            static = {"resolution": G.resolution, **(kwargs or {})}
            parts = {"": {"lod": np.float32(0)}, "synthesis": {}, "mapping": {}}
            for key, value in G.state_dict().items():
                part, name, array = _to_tensorflow(key, value.numpy(), G.config["label_layout"])
                parts[part][name] = array
            components = {
                "synthesis": network("G_synthesis" if ada else "G_synthesis_stylegan2", parts["synthesis"], {}, static),
                "mapping": network("G_mapping", parts["mapping"], {}, {**static, "dlatent_broadcast": G.num_ws}),
            }
            return network("G_main", parts[""], components, static)

        def discriminator(D):
            variables = {}
            for key, value in D.state_dict().items():
                name, array = _d_to_tensorflow(key, value.numpy())
                variables[name] = array
            static = {"resolution": D.resolution, "label_size": D.c_dim, **(kwargs or {})}
            return network("D_main" if ada else "D_stylegan2", variables, {}, static)

        value = (generator(networks["G"]), discriminator(networks["D"]), generator(networks["G_ema"]))
        return pickle.dumps(value, protocol=protocol)


def _array(array, mirrored=False):
    if array.ndim == 4:
        array = array[:, :, ::-1, ::-1] if mirrored else array
        return np.ascontiguousarray(array.transpose(2, 3, 1, 0))
    if array.ndim == 2:
        return np.ascontiguousarray(array.T)
    return np.float32(array) if array.ndim == 0 else array


def _to_tensorflow(key, array, label_layout):
    if key == "mapping.w_avg":
        return "", "dlatent_avg", array
    part, *path = key.split(".")
    if part == "mapping":
        if path[0] == "embed":
            layer = "LabelConcat" if label_layout == "matrix" else "LabelEmbed"
        else:
            layer = f"Dense{path[0][2:]}"
        return part, f"{layer}/{path[1]}", _array(array)
    r = int(path[0][1:])
    if path[1] == "const":
        return part, "4x4/Const/const", array[None]
    layer, name = path[1], "_".join(path[2:])
    if name == "noise_const":
        index = 0 if r == 4 else 2 * int(np.log2(r)) - 5 + int(layer == "conv1")
        return part, f"noise{index}", array[None, None]
    titles = {"conv0": "Conv0_up", "conv1": "Conv" if r == 4 else "Conv1", "torgb": "ToRGB", "skip": "Skip"}
    if name == "affine_bias":
        return part, f"{r}x{r}/{titles[layer]}/mod_bias", array - 1
    mirrored = layer in ("conv0", "skip") and name == "weight"
    return part, f"{r}x{r}/{titles[layer]}/{name.replace('affine_', 'mod_')}", _array(array, mirrored)


def _d_to_tensorflow(key, array):
    part, *path = key.split(".")
    if part == "mapping":
        layer = "LabelEmbed" if path[0] == "embed" else f"Mapping{path[0][2:]}"
        return f"{layer}/{path[1]}", _array(array)
    r = int(part[1:])
    titles = {
        "fromrgb": "FromRGB",
        "conv0": "Conv0",
        "conv1": "Conv1_down",
        "skip": "Skip",
        "conv": "Conv",
        "fc": "Dense0",
    }
    if path[0] == "out":
        return f"Output/{path[1]}", _array(array)
    return f"{r}x{r}/{titles[path[0]]}/{path[1]}", _array(array)


# NVIDIA's PyTorch repositories


def nvlabs_pickle(
    networks, *, protocol=4, numpy1=False, frozen=0, activation="lrelu", classes=None, p=0.25, change=None
):
    """The dictionary that stylegan2-ada-pytorch and the stylegan3 repository pickle."""
    with foreign_modules() as foreign:

        class Persistent:
            def __init__(self, kind, state):
                self.meta = foreign.EasyDict(
                    type="class",
                    version=6,
                    module_src="raise SystemExit('executed')",
                    class_name=kind,
                    state=state,
                )

            def __reduce__(self):
                return foreign.reconstruct, (self.meta,)

        def module(source, kind, attributes=None):
            state = {
                "training": False,
                "_parameters": OrderedDict(),
                "_buffers": OrderedDict(),
                "_non_persistent_buffers_set": set(),
                "_backward_hooks": OrderedDict(),
                "_modules": OrderedDict(),
                **(attributes or {}),
            }
            for name, value in source.named_parameters(recurse=False):
                state["_parameters"][name] = torch.nn.Parameter(value.detach().clone())
            for name, value in source.named_buffers(recurse=False):
                state["_buffers"][name] = value.clone()
            for name, child in source.named_children():
                state["_modules"][name] = module(child, *_kind(name, child, activation))
            return Persistent(kind, state)

        value = foreign.EasyDict(
            training_set_kwargs=foreign.EasyDict(path="x", max_size=3),
            G=module(networks["G"], "Generator"),
            D=_freeze(module(networks["D"], "Discriminator"), networks["D"], frozen),
            G_ema=module(networks["G_ema"], classes or "Generator"),
            augment_pipe=Persistent("AugmentPipe", {"_buffers": OrderedDict(p=torch.tensor(p)), "_modules": {}}),
        )
        D = value["D"].meta["state"]["_modules"]["b4"]
        made = Persistent("MinibatchStdLayer", {})
        made.meta["state"].update(
            group_size=networks["D"].config["mbstd_group_size"], num_channels=networks["D"].config["mbstd_channels"]
        )
        if networks["D"].config["mbstd_channels"]:
            D.meta["state"]["_modules"]["mbstd"] = made
        _change(value, change or {})
        data = pickle.dumps(value, protocol=protocol)
    if numpy1:
        assert protocol <= 3, "renaming a module needs the text form of a name"
        data = data.replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n")
    return data


def _change(value, change):
    """Give modules other attributes: `{"G.synthesis.b8.conv0": {"conv_clamp": 1.0}}`."""
    for path, attributes in change.items():
        name, *parts = path.split(".")
        part = value[name]
        for step in parts:
            part = part.meta["state"]["_modules"][step]
        part.meta["state"].update(attributes)


def _kind(name, child, activation):
    gain = {"bias_gain": np.float64(child.bias_gain)} if hasattr(child, "bias_gain") else {}
    if name.startswith("fc") and gain:  # ours folds the activation's gain into the bias
        gain = {"bias_gain": np.float64(child.bias_gain / np.sqrt(2))}
    linear = name in ("affine", "embed", "out", "skip")
    shared = {"activation": "linear" if linear else activation, **gain}
    if hasattr(child, "conv_clamp"):
        shared["conv_clamp"] = child.conv_clamp
    kinds = {"affine": "FullyConnectedLayer", "embed": "FullyConnectedLayer", "out": "FullyConnectedLayer"}
    if name.startswith("fc"):
        return "FullyConnectedLayer", shared
    if name.startswith("conv"):
        return "SynthesisLayer" if hasattr(child, "affine") else "Conv2dLayer", shared
    return kinds.get(name, name.capitalize()), shared if name in kinds else {}


def _freeze(persistent, D, count):
    """FreezeD: the first layers' tensors are buffers."""
    layers = [(f"b{r}", name) for r in D.block_resolutions for name, _ in D.get_submodule(f"b{r}").named_children()]
    for block, name in layers[:count]:
        state = persistent.meta["state"]["_modules"][block].meta["state"]["_modules"][name].meta["state"]
        for key, value in list(state["_parameters"].items()):
            state["_buffers"][key] = value.detach()
            del state["_parameters"][key]
    return persistent


# rosinality


def rosinality_checkpoint(
    networks, *, training=True, legacy=False, prefix="", noises=True, latent_avg=None, extra=None
):
    """A checkpoint of rosinality's train.py, or a converted one."""
    G = {prefix + k: v for k, v in _to_rosinality(networks["G"]).items()}
    G_ema = {
        prefix + k: v for k, v in _to_rosinality(networks["G_ema"]).items() if noises or not k.startswith("noises.")
    }
    value = {"g_ema": G_ema}
    if training:
        weight = torch.nn.Parameter(torch.ones(3))
        optimiser = torch.optim.Adam([weight])
        weight.sum().backward()
        optimiser.step()
        value |= {"g": G, "d": _d_to_rosinality(networks["D"]), "g_optim": optimiser.state_dict()}
        value |= {"args": argparse.Namespace(size=16, start_iter=7), "ada_aug_p": 0.1}
    if latent_avg is not None:
        value["latent_avg"] = latent_avg
    file = io.BytesIO()
    torch.save(value, file, _use_new_zipfile_serialization=not legacy)
    return file.getvalue()


def _kernel(gain):
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0])
    return torch.outer(taps, taps) / 64 * gain


def _to_rosinality(G):
    own, state = G.state_dict(), OrderedDict()
    for i in range(G.mapping.num_layers):
        for part in ("weight", "bias"):
            state[f"style.{i + 1}.{part}"] = own[f"mapping.fc{i}.{part}"]
    state["input.input"] = own["synthesis.b4.const"][None]
    convs = [("conv1", "b4.conv1")]
    for k, r in enumerate(G.synthesis.resolutions[1:]):
        convs += [(f"convs.{2 * k}", f"b{r}.conv0"), (f"convs.{2 * k + 1}", f"b{r}.conv1")]
    for i, (theirs, ours) in enumerate(convs):
        layer = f"synthesis.{ours}"
        state[f"{theirs}.conv.weight"] = own[f"{layer}.weight"][None]
        state[f"{theirs}.conv.modulation.weight"] = own[f"{layer}.affine.weight"]
        state[f"{theirs}.conv.modulation.bias"] = own[f"{layer}.affine.bias"]
        state[f"{theirs}.noise.weight"] = own[f"{layer}.noise_strength"].reshape(1)
        state[f"{theirs}.activate.bias"] = own[f"{layer}.bias"]
        state[f"noises.noise_{i}"] = own[f"{layer}.noise_const"][None, None]
        if ours.endswith("conv0"):
            state[f"{theirs}.conv.blur.kernel"] = _kernel(4)
    for k, r in enumerate(G.synthesis.resolutions):
        theirs, layer = "to_rgb1" if k == 0 else f"to_rgbs.{k - 1}", f"synthesis.b{r}.torgb"
        state[f"{theirs}.conv.weight"] = own[f"{layer}.weight"][None]
        state[f"{theirs}.conv.modulation.weight"] = own[f"{layer}.affine.weight"]
        state[f"{theirs}.conv.modulation.bias"] = own[f"{layer}.affine.bias"]
        state[f"{theirs}.bias"] = own[f"{layer}.bias"].reshape(1, 3, 1, 1)
        if k:
            state[f"{theirs}.upsample.kernel"] = _kernel(4)
    return state


def _d_to_rosinality(D):
    own, state = D.state_dict(), OrderedDict()
    state["convs.0.0.weight"] = own[f"b{D.resolution}.fromrgb.weight"]
    state["convs.0.1.bias"] = own[f"b{D.resolution}.fromrgb.bias"]
    for i, r in enumerate(D.block_resolutions, start=1):
        state[f"convs.{i}.conv1.0.weight"] = own[f"b{r}.conv0.weight"]
        state[f"convs.{i}.conv1.1.bias"] = own[f"b{r}.conv0.bias"]
        state[f"convs.{i}.conv2.0.kernel"] = _kernel(1)
        state[f"convs.{i}.conv2.1.weight"] = own[f"b{r}.conv1.weight"]
        state[f"convs.{i}.conv2.2.bias"] = own[f"b{r}.conv1.bias"]
        state[f"convs.{i}.skip.0.kernel"] = _kernel(1)
        state[f"convs.{i}.skip.1.weight"] = own[f"b{r}.skip.weight"]
    for theirs, ours in (("final_conv.0.weight", "conv.weight"), ("final_conv.1.bias", "conv.bias")):
        state[theirs] = own[f"b4.{ours}"]
    for i, ours in enumerate(("fc", "out")):
        for part in ("weight", "bias"):
            state[f"final_linear.{i}.{part}"] = own[f"b4.{ours}.{part}"]
    return state
