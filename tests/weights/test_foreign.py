"""Network files of other programs: every tensor lands where it belongs, whatever the variant."""

import argparse
import datetime
import io
import json
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from src.errors import UserError
from src.weights import load_network

from .foreign import nvlabs_pickle, random_networks, rosinality_checkpoint, tensorflow_pickle

FIXTURES = Path(__file__).parents[3] / "shared" / "fixtures"
SQUARE = {"z_dim": 8, "w_dim": 8, "num_mapping_layers": 3}
VARIANTS = {
    "plain": {**SQUARE},
    "sizes": {"z_dim": 6, "w_dim": 10, "num_mapping_layers": 4, "mapping_features": 12, "resolution": 32},
    "widths": {**SQUARE, "channels": {4: 5, 8: 9, 16: 3}},
    "resnet": {**SQUARE, "architecture": "resnet", "d": {"architecture": "skip"}},
    "orig": {**SQUARE, "architecture": "orig", "d": {"architecture": "orig"}},
    "shallow": {"z_dim": 8, "w_dim": 6, "num_mapping_layers": 1, "resolution": 8},
    "stddev": {**SQUARE, "d": {"mbstd_group_size": 2, "mbstd_channels": 2}},
    "no stddev": {**SQUARE, "d": {"mbstd_channels": 0}},
    "classes": {"z_dim": 6, "w_dim": 8, "c_dim": 3, "num_mapping_layers": 2, "d": {"num_mapping_layers": 2}},
    "clamped": {**SQUARE, "conv_clamp": 0.5, "d": {"conv_clamp": 0.5}},
    "slow mapping": {**SQUARE, "mapping_lr_multiplier": 0.1},
}


def same_tensors(found, networks):
    for name, module in networks.items():
        ours, theirs = getattr(found, name).state_dict(), module.state_dict()
        assert ours.keys() == theirs.keys()
        for key, value in theirs.items():
            torch.testing.assert_close(
                ours[key], value, rtol=0, atol=1e-6 if key.endswith("affine.bias") else 0, msg=key
            )


def same_outputs(found, networks):
    for name in ("G", "G_ema"):
        ours, theirs = getattr(found, name), networks[name]
        z = torch.randn([4, theirs.z_dim], generator=torch.Generator().manual_seed(0))
        c = torch.eye(theirs.c_dim)[torch.arange(4) % theirs.c_dim] if theirs.c_dim else None
        images = theirs(z, c, psi=0.7, cutoff=3)
        torch.testing.assert_close(ours(z, c, psi=0.7, cutoff=3), images, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(found.D(images, c), networks["D"](images, c), rtol=1e-5, atol=1e-5)


def load(tmp_path, data, name="network.pkl"):
    path = tmp_path / name
    path.write_bytes(data)
    return load_network(path)


def static(networks):
    """The arguments that the TensorFlow program would have been given."""
    G, D = networks["G"].config, networks["D"].config
    given = {"conv_clamp": G["conv_clamp"], "mapping_lrmul": G["mapping_lr_multiplier"]}
    return {**given, "mbstd_group_size": D["mbstd_group_size"], "mbstd_num_features": D["mbstd_channels"]}


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("ada", [False, True])
def test_tensorflow(tmp_path, variant, ada):
    options = dict(VARIANTS[variant])
    if variant == "classes":
        options["d"] = {**options["d"], "mapping_lr_multiplier": 0.1}
    networks = random_networks(1, **options)
    kwargs = static(networks) if variant != "classes" else {"mapping_lrmul": 0.01, "mbstd_group_size": 4}
    if variant == "classes":  # one argument for both networks there: give none and take each one's default
        kwargs.pop("mapping_lrmul")
    found = load(tmp_path, tensorflow_pickle(networks, ada=ada, kwargs=kwargs))
    same_tensors(found, networks)
    same_outputs(found, networks)
    assert found.meta["format"] == "StyleGAN2 on TensorFlow"


def test_tensorflow_defaults_of_the_stddev_group(tmp_path):
    for ada, group in ((False, 4), (True, None)):
        found = load(tmp_path, tensorflow_pickle(random_networks(**SQUARE), ada=ada))
        assert found.D.config["mbstd_group_size"] == group


def test_tensorflow_classes_as_a_matrix(tmp_path):
    """StyleGAN2's own layout: a row a class, normalised with z; D gives one score a class."""
    networks = random_networks(2, z_dim=6, w_dim=8, c_dim=3, num_mapping_layers=2, label_layout="matrix")
    found = load(tmp_path, tensorflow_pickle(networks))
    same_tensors(found, networks)
    G, D = found.G_ema, found.D
    z, c = torch.randn([4, 6]), torch.eye(3)[[0, 2, 1, 2]]
    x = np.concatenate([z.numpy(), c.numpy() @ G.mapping.embed.weight.numpy().T], axis=1)
    x = x / np.sqrt((x**2).mean(axis=1, keepdims=True) + 1e-8)
    for i in range(2):
        layer = G.mapping.get_submodule(f"fc{i}")
        x = x @ layer.weight.numpy().T * 0.01 / np.sqrt(x.shape[1]) + layer.bias.numpy() * 0.01
        x = np.where(x > 0, x, 0.2 * x) * np.sqrt(2)
    np.testing.assert_allclose(G.mapping(z, c)[:, 0], x, rtol=1e-4, atol=1e-5)
    images = G(z, c)
    each = torch.cat([D(images, torch.eye(3)[[k] * 4]) for k in range(3)], dim=1)
    torch.testing.assert_close(D(images, c), each.gather(1, c.argmax(dim=1, keepdim=True)))


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_pickle_protocols(tmp_path, protocol):
    networks = random_networks(3, **SQUARE)
    same_tensors(load(tmp_path, tensorflow_pickle(networks, protocol=protocol)), networks)
    same_tensors(load(tmp_path, nvlabs_pickle(networks, protocol=protocol)), networks)


@pytest.mark.parametrize("variant", VARIANTS)
def test_nvlabs(tmp_path, variant):
    networks = random_networks(4, **VARIANTS[variant])
    found = load(tmp_path, nvlabs_pickle(networks, frozen=3))
    same_tensors(found, networks)
    same_outputs(found, networks)
    assert found.G_ema.config == networks["G_ema"].config
    assert found.meta["augment_p"] == 0.25


def test_nvlabs_of_numpy_1_and_half_precision_strides(tmp_path):
    networks = random_networks(5, **SQUARE)
    same_tensors(load(tmp_path, nvlabs_pickle(networks, protocol=3, numpy1=True)), networks)
    for module in networks.values():
        for p in module.parameters():
            if p.ndim == 4:
                p.data = p.data.to(memory_format=torch.channels_last)
    same_tensors(load(tmp_path, nvlabs_pickle(networks)), networks)


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_rosinality(tmp_path, legacy, prefix):
    networks = random_networks(6, **SQUARE, channels={4: 6, 8: 6, 16: 5})
    found = load(tmp_path, rosinality_checkpoint(networks, legacy=legacy, prefix=prefix), "000007.pt")
    assert found.meta["w_avg"] == "not in the file: estimated from 10000 latents"
    many = networks["G_ema"].mapping.map(torch.randn([20000, 8])).mean(dim=0)
    torch.testing.assert_close(found.G_ema.mapping.w_avg, many, rtol=0, atol=0.05)
    for name in ("G", "G_ema"):
        getattr(found, name).mapping.w_avg.copy_(networks[name].mapping.w_avg)
    same_tensors(found, networks)
    same_outputs(found, networks)


def test_rosinality_converted(tmp_path):
    networks = random_networks(7, **SQUARE)
    average = networks["G_ema"].mapping.w_avg
    found = load(tmp_path, rosinality_checkpoint(networks, training=False, latent_avg=average), "converted.pt")
    assert found.G is None and found.D is None
    same_tensors(found, {"G_ema": networks["G_ema"]})


def test_rosinality_without_noise_maps_gets_seeded_ones(tmp_path):
    data = rosinality_checkpoint(random_networks(8, **SQUARE), training=False, noises=False)
    first, second = load(tmp_path, data), load(tmp_path, data, "again.pt")
    assert "seed 0" in first.meta["noise_const"]
    assert torch.equal(first.G_ema.synthesis.b16.conv1.noise_const, second.G_ema.synthesis.b16.conv1.noise_const)


@pytest.mark.parametrize(
    ("kwargs", "words"),
    [
        ({"num_channels": 1}, "num_channels=1"),
        ({"nonlinearity": "relu"}, "nonlinearity=relu; only nonlinearity=lrelu"),
        ({"resample_kernel": [1, 2, 1]}, r"resample_kernel=\[1, 2, 1\]"),
        ({"min_h": 5, "min_w": 3}, "non-square network, or one that begins at 5x3"),
        ({"normalize_latents": False}, "normalize_latents=False"),
        ({"resample_kernel": None}, "resample_kernel=None"),
        ({"adaptive_dropout": 0.1}, "adaptive_dropout=0.1"),
        ({"mapping_lrmul": "x"}, "mapping_lrmul=x, which is no number"),
        ({"conv_clamp": float("nan")}, "conv_clamp=nan, which cannot be"),
        ({"mbstd_group_size": -2}, "mbstd_group_size=-2, which cannot be"),
        ({"fancy_option": 1}, "fancy_option=1, which this version does not know"),
    ],
)
def test_what_tensorflow_networks_cannot_be(tmp_path, kwargs, words):
    with pytest.raises(UserError, match=words):
        load(tmp_path, tensorflow_pickle(random_networks(**SQUARE), kwargs=kwargs))


def test_layers_that_are_missing_or_left_over_are_named(tmp_path):
    networks = random_networks(**SQUARE)
    with pytest.raises(UserError, match=r"missing synthesis\.b8\.conv1\.bias"):
        load(tmp_path, tensorflow_pickle(networks, drop=("8x8/Conv1/bias",)))
    with pytest.raises(UserError, match="layers of its mapping network are missing"):
        load(tmp_path, tensorflow_pickle(networks, drop=("Dense1/weight", "Dense1/bias")))
    with pytest.raises(UserError, match="unexpected synthesis/8x8/attention"):
        load(tmp_path, tensorflow_pickle(networks, rename=lambda k: k.replace("8x8/ToRGB", "8x8/attention")))
    with pytest.raises(UserError, match=r"non-square network \(layers of .*8x5"):
        load(tmp_path, tensorflow_pickle(networks, rename=lambda k: k.replace("8x8/", "8x5/")))
    with pytest.raises(UserError, match="StyleGAN1"):
        load(tmp_path, tensorflow_pickle(networks, version=2))


def test_numpy_numbers_among_the_arguments_count(tmp_path):
    kwargs = {"mapping_lrmul": np.float32(0.5), "conv_clamp": np.float64(0.5), "mbstd_group_size": np.int64(2)}
    found = load(tmp_path, tensorflow_pickle(random_networks(**SQUARE), kwargs=kwargs))
    assert found.G_ema.config["mapping_lr_multiplier"] == 0.5 and found.G_ema.config["conv_clamp"] == 0.5
    assert found.D.config["mbstd_group_size"] == 2


@pytest.mark.parametrize(
    ("path", "attribute", "value"),
    [
        ("G_ema.synthesis.b8.conv0", "conv_clamp", 0.1),
        ("G_ema.synthesis.b8.conv1", "act_gain", 5.0),
        ("G_ema.synthesis.b8.conv1.affine", "weight_gain", 7.0),
        ("G_ema.synthesis.b8.conv1", "use_noise", False),
        ("D.b4.out", "weight_gain", 2.0),
    ],
)
def test_attributes_that_act_are_compared(tmp_path, path, attribute, value):
    """The shapes fit, but the original would compute something else."""
    data = nvlabs_pickle(random_networks(**SQUARE), change={path: {attribute: value}})
    with pytest.raises(UserError, match=f"has {attribute}={value}"):
        load(tmp_path, data)


def test_kernels_of_another_gain_are_refused(tmp_path):
    value = torch.load(io.BytesIO(rosinality_checkpoint(random_networks(**SQUARE), training=False)))
    value["g_ema"]["convs.0.conv.blur.kernel"] /= 4
    torch.save(value, tmp_path / "net.pt")
    with pytest.raises(UserError, match=r"convs\.0\.conv\.blur\.kernel is another"):
        load_network(tmp_path / "net.pt")


def test_things_beside_the_weights_do_not_matter(tmp_path):
    value = torch.load(io.BytesIO(rosinality_checkpoint(random_networks(**SQUARE), training=False)))
    value["args"] = argparse.Namespace(path=Path("/x"), when=datetime.datetime(2020, 1, 1), table={(1, "a"): 2})
    torch.save(value, tmp_path / "net.pt")
    assert load_network(tmp_path / "net.pt").G_ema.resolution == 16


def test_what_nvlabs_networks_cannot_be(tmp_path):
    networks = random_networks(**SQUARE)
    with pytest.raises(UserError, match="activation=relu; only lrelu"):
        load(tmp_path, nvlabs_pickle(networks, activation="relu"))
    with pytest.raises(UserError, match="'SuperGenerator'"):
        load(tmp_path, nvlabs_pickle(networks, classes="SuperGenerator"))
    networks["G_ema"].synthesis.b8.conv0.resample_filter.fill_(1 / 16)
    with pytest.raises(UserError, match="resampling filter"):
        load(tmp_path, nvlabs_pickle(networks))


def test_other_torch_files_are_described(tmp_path):
    torch.save({"state_dict": {"decoder.x": torch.zeros(2)}, "opts": 1}, tmp_path / "psp.pt")
    with pytest.raises(UserError, match="a dictionary of state_dict, opts"):
        load_network(tmp_path / "psp.pt")
    with warnings.catch_warnings(action="ignore"):
        torch.jit.script(torch.nn.Linear(2, 2)).save(tmp_path / "script.pt")
    with pytest.raises(UserError, match="TorchScript"):
        load_network(tmp_path / "script.pt")


@pytest.mark.skipif(not FIXTURES.exists(), reason="other programs' files are not at hand")
@pytest.mark.parametrize("name", [p.stem for p in sorted(FIXTURES.glob("*.json"))] if FIXTURES.exists() else [])
def test_files_of_the_programs_themselves(name):
    path = next(p for p in FIXTURES.glob(f"{name}.*") if p.suffix in (".pkl", ".pt"))
    kind = json.loads((FIXTURES / f"{name}.json").read_text())["kind"]
    wanted = {k: torch.from_numpy(np.asarray(v)).float() for k, v in np.load(FIXTURES / f"{name}.npz").items()}
    tolerance = 2e-4 if kind.startswith("tf") else 1e-4
    networks = load_network(path)
    G, z = networks.G_ema, wanted["z"]
    average = wanted.get("latent_avg", G.mapping.w_avg)  # a checkpoint in training has none of its own
    G.mapping.w_avg.copy_(average)
    truncations = {
        "images": {},
        "images_psi0.5": {"psi": 0.5},
        "images_psi0.7_cutoff4": {"psi": 0.7, "cutoff": 4},
        "images_noise_none": {"noise": "none"},
        "images_trunc0.5_latent_avg": {"psi": 0.5},
    }
    w = wanted["ws"] if "ws" in wanted else wanted["w"]
    torch.testing.assert_close(G.mapping(z), w.reshape(len(z), -1, G.w_dim).expand(-1, G.num_ws, -1), rtol=0, atol=5e-5)
    seen = 0
    for key, options in truncations.items():
        if key in wanted:
            torch.testing.assert_close(G(z, **options), wanted[key], rtol=0, atol=tolerance)
            seen += 1
    assert seen >= 2
    torch.testing.assert_close(networks.G(z), wanted["images_G"], rtol=0, atol=tolerance)
    for key, size in (("logits", len(z)), ("logits_mb4", 4), ("logits_mb1", 1)):
        logits = torch.cat([networks.D(part) for part in wanted["images"].split(size)])
        torch.testing.assert_close(logits, wanted[key], rtol=0, atol=5e-5)
