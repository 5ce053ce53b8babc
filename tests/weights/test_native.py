"""Native network files: round trips, damage, refusals."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from src.errors import UserError
from src.networks import Generator
from src.weights import load_network, read_meta, save_network
from tests.tiny import make_tiny


def test_round_trip_is_bit_equal(tmp_path):
    G, D = make_tiny()
    G_ema, _ = make_tiny(1)
    path = save_network(tmp_path / "net.safetensors", G_ema=G_ema, G=G, D=D, meta={"kimg": 16.0})
    networks = load_network(path)
    for ours, theirs in ((G_ema, networks.G_ema), (G, networks.G), (D, networks.D)):
        assert theirs.config == ours.config
        assert all(torch.equal(a, theirs.state_dict()[key]) for key, a in ours.state_dict().items())
    assert networks.meta["kimg"] == 16.0
    assert read_meta(path)["architecture"]["G"]["resolution"] == 16
    z = torch.randn(2, 8)
    assert torch.equal(G_ema(z), networks.G_ema(z))


def test_half_precision_files_load_as_float(tmp_path):
    G, _ = make_tiny()
    full = save_network(tmp_path / "full.safetensors", G_ema=G)
    half = save_network(tmp_path / "half.safetensors", G_ema=G, dtype=torch.float16)
    assert half.stat().st_size < 0.7 * full.stat().st_size
    loaded = load_network(half).G_ema
    assert loaded.mapping.fc0.weight.dtype == torch.float32
    z = torch.randn(2, 8)
    torch.testing.assert_close(loaded(z), G(z), atol=0.05, rtol=0.05)


def test_classes_and_explicit_widths_survive(tmp_path):
    G = Generator(
        z_dim=8, w_dim=6, c_dim=3, resolution=8, channels={4: 10, 8: 7}, mapping_features=5, num_mapping_layers=3
    )
    loaded = load_network(save_network(tmp_path / "net.safetensors", G_ema=G)).G_ema
    z, c = torch.randn(2, 8), torch.eye(3)[:2]
    assert torch.equal(loaded(z, c), G(z, c))


def test_wrong_tensors_are_listed(tmp_path):
    G, _ = make_tiny()
    path = save_network(tmp_path / "net.safetensors", G_ema=G)
    tensors, meta = load_file(path), json.dumps(read_meta(path))
    del tensors["G_ema.mapping.w_avg"]
    tensors["G_ema.synthesis.b4.const"] = torch.zeros(3, 4, 4)
    tensors["G_ema.extra"] = torch.zeros(1)
    save_file(tensors, path, metadata={"caricature": meta})
    with pytest.raises(UserError, match=r"missing mapping.w_avg; unexpected extra; synthesis.b4.const is \[3, 4, 4\]"):
        load_network(path)


def test_other_files_are_refused_in_one_line(tmp_path):
    missing = tmp_path / "missing.safetensors"
    garbage = tmp_path / "garbage.safetensors"
    garbage.write_bytes(b"\x80\x04cos\nsystem\n" * 10)
    cut = save_network(tmp_path / "cut.safetensors", G_ema=make_tiny()[0])
    cut.write_bytes(cut.read_bytes()[:5000])
    foreign = tmp_path / "foreign.safetensors"
    save_file({"a": torch.zeros(1)}, foreign)
    future = tmp_path / "future.safetensors"
    save_file({"a": torch.zeros(1)}, future, metadata={"caricature": json.dumps({"format_version": 99})})
    for path, words in (
        (missing, "neither a file"),
        (garbage, "damaged pickle data"),
        (cut, "copied in full"),
        (foreign, "not a network of this project"),
        (future, "version 99"),
    ):
        with pytest.raises(UserError, match=words) as error:
            load_network(path)
        assert "\n" not in str(error.value)


def test_a_failed_write_leaves_nothing(tmp_path):
    path = tmp_path / "net.safetensors"
    with pytest.raises(TypeError):
        save_network(path, G_ema=make_tiny()[0], meta={"unserialisable": object()})
    assert list(tmp_path.iterdir()) == []
