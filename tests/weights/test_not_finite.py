"""Networks of nan or inf are refused by the tensor's name, in every format, before anything is made of them."""

import math

import numpy as np
import pytest
import torch

from src.errors import UserError
from src.networks import Generator
from src.weights import load_matching, load_network, save_network
from src.weights.blend_files import blend_files
from src.weights.native import stored

from ..conftest import make_tiny
from .foreign import nvlabs_pickle, random_networks, rosinality_checkpoint, tensorflow_pickle

WRITERS = {"tensorflow": tensorflow_pickle, "ada": nvlabs_pickle, "rosinality": rosinality_checkpoint}
TENSOR = "synthesis.b8.conv0.weight"


def broken_networks(part, value):
    networks = random_networks(1, z_dim=8, w_dim=8, num_mapping_layers=2)
    name = "b8.conv0.weight" if part == "D" else TENSOR
    with torch.no_grad():
        networks[part].state_dict()[name].view(-1)[3] = value
    return networks


def native(networks, path):
    return save_network(path, G_ema=networks["G_ema"], G=networks["G"], D=networks["D"])


def write(form, networks, path):
    if form in WRITERS:
        path.write_bytes(WRITERS[form](networks))
    elif form == "native":
        native(networks, path)
    else:  # a dictionary of state dicts
        state = {name: module.state_dict() for name, module in networks.items()}
        torch.save(state, path)
    return path


@pytest.mark.parametrize("value", [math.nan, -math.inf])
@pytest.mark.parametrize("part", ["G_ema", "D"])
@pytest.mark.parametrize("form", [*WRITERS, "native", "state dicts"])
def test_every_reader_names_the_tensor(tmp_path, form, part, value):
    """At 18fbb5f they were read in silence: black pictures, exit code 0."""
    path = write(form, broken_networks(part, value), tmp_path / "network")
    what = "discriminator" if part == "D" else "generator"
    kind = "nan" if math.isnan(value) else "inf"
    with pytest.raises(UserError, match=rf"its {what} is not finite: \S*b8\.conv0\.weight holds {kind}; take") as error:
        load_network(path)
    assert str(path) in str(error.value) and "\n" not in str(error.value)
    if part == "D":
        assert load_network(path, parts=("G_ema",)).D is None  # which is not asked for


def test_the_checkpoint_of_a_run_is_read_by_the_same_rule(tmp_path):
    networks = broken_networks("G", math.nan)
    state = {
        f"step.{name}.{key}": value for name, module in networks.items() for key, value in module.state_dict().items()
    }
    configs = {"G": networks["G"].config, "D": networks["D"].config}
    torch.save({"networks": configs, "state_dict": state, "nimg": 1000}, tmp_path / "last.ckpt")
    with pytest.raises(UserError, match=rf"its generator is not finite: {TENSOR} holds nan"):
        load_network(tmp_path / "last.ckpt")


def test_several_tensors_are_counted(tmp_path):
    G, _ = make_tiny()
    for parameter in G.parameters():
        parameter.data.fill_(math.nan)
    path = save_network(tmp_path / "a.safetensors", G_ema=G)
    with pytest.raises(UserError, match=r"mapping\.fc0\.bias holds nan, and so do \d+ other tensors"):
        load_network(path)


def test_a_missing_average_is_not_estimated_from_nan(tmp_path):
    networks = random_networks(1, z_dim=8, w_dim=8, num_mapping_layers=2)
    with torch.no_grad():
        networks["G_ema"].mapping.fc1.bias[0] = math.nan
    (tmp_path / "a.pt").write_bytes(rosinality_checkpoint(networks))
    with pytest.raises(UserError, match=r"mapping\.fc1\.bias holds nan"):
        load_network(tmp_path / "a.pt")


def test_blends_of_them_are_refused_and_nothing_is_written(tmp_path):
    """At 18fbb5f a blend was written whose pictures "differ by nan"."""
    good = save_network(tmp_path / "good.safetensors", G_ema=make_tiny()[0])
    G, _ = make_tiny()
    G.synthesis.b16.conv1.weight.data[0, 0, 0, 0] = math.nan
    bad = save_network(tmp_path / "bad.safetensors", G_ema=G)
    for sources in ((good, bad), (bad, good)):
        with pytest.raises(UserError, match=r"bad\.safetensors: its generator is not finite"):
            blend_files(sources, tmp_path / "out.safetensors", resolution=8)
    G.synthesis.b16.conv1.weight.data[0, 0, 0, 0] = 0
    G.synthesis.b16.torgb.weight.data.fill_(1e38)
    large = save_network(tmp_path / "large.safetensors", G_ema=G)
    with pytest.raises(UserError, match=r"out\.safetensors: its pictures would not be finite"):
        blend_files((good, large), tmp_path / "out.safetensors", resolution=8)
    assert not (tmp_path / "out.safetensors").exists()


def test_half_precision_does_not_make_infinite_numbers(tmp_path):
    """At 18fbb5f a snapshot in fp16 of a weight above 65504 was written as inf."""
    G, _ = make_tiny()
    G.mapping.fc0.weight.data[0, 0] = 70_000
    full = save_network(tmp_path / "full.safetensors", G_ema=G)
    half = save_network(tmp_path / "half.safetensors", G_ema=G, dtype=torch.float16)
    assert float(load_network(half).G_ema.mapping.fc0.weight[0, 0]) == 70_000
    assert half.stat().st_size < 0.7 * full.stat().st_size
    assert stored(torch.tensor([1.0, math.nan]), torch.float16).dtype == torch.float16  # nan stays what it is


def test_other_networks_are_checked_too(tmp_path):
    module = torch.nn.Linear(2, 2)
    state = {key: value.clone() for key, value in module.state_dict().items()}
    state["bias"][0] = math.inf
    with pytest.raises(UserError, match="is not finite: bias holds inf; get the published file"):
        load_matching(module, state, tmp_path / "a.pth", ignore=())


def test_finite_extremes_are_fine(tmp_path):
    G, _ = make_tiny()
    G.mapping.w_avg.fill_(np.finfo(np.float32).max)
    assert isinstance(load_network(save_network(tmp_path / "a.safetensors", G_ema=G)).G_ema, Generator)
