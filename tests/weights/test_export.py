"""Networks out to other programs' layouts and back: bit-equal, or refused with the reason."""

import json
from pathlib import Path

import pytest
import torch

from src.errors import UserError
from src.weights import Networks, load_network, read_meta, save_network
from src.weights.__main__ import main
from src.weights.export import channel_limits, channel_multiplier, export_network

from .foreign import random_networks, rosinality_checkpoint, tensorflow_pickle

SQUARE = {"z_dim": 8, "w_dim": 8, "num_mapping_layers": 3}


def networks_of(**options):
    made = random_networks(**options)
    return Networks(**made)


def same(found, wanted, parts=("G_ema", "G", "D")):
    for name in parts:
        ours, theirs = getattr(found, name).state_dict(), getattr(wanted, name).state_dict()
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[key], theirs[key]) for key in theirs), name


@pytest.mark.parametrize("format", ["native", "rosinality", "ada"])
def test_written_and_read_back_is_bit_equal(tmp_path, format):
    networks = networks_of(**SQUARE)
    name = "net.safetensors" if format == "native" else "net.pt"
    path = export_network(networks, tmp_path / "sub" / name, format=format)
    same(load_network(path), networks)
    assert [p.name for p in (tmp_path / "sub").iterdir()] == [name], "nothing is left beside it"
    (tmp_path / "usual").write_text("")
    assert path.stat().st_mode == (tmp_path / "usual").stat().st_mode, "others may read it as any file of ours"


@pytest.mark.parametrize(
    "options",
    [
        {"z_dim": 6, "w_dim": 10, "num_mapping_layers": 4, "mapping_features": 12, "resolution": 32},
        {**SQUARE, "architecture": "resnet", "d": {"architecture": "skip"}},
        {**SQUARE, "c_dim": 3, "d": {"num_mapping_layers": 2, "mbstd_group_size": None}},
        {**SQUARE, "conv_clamp": 0.5, "d": {"conv_clamp": 0.5}},
    ],
)
def test_ada_state_dicts_keep_every_variant(tmp_path, options):
    networks = networks_of(**options)
    found = load_network(export_network(networks, tmp_path / "net.pt", format="ada"))
    same(found, networks)
    assert found.G_ema.config == networks.G_ema.config
    if options.get("d", {}).get("num_mapping_layers"):
        assert found.D.config == networks.D.config


@pytest.mark.parametrize("foreign", [tensorflow_pickle, lambda n: rosinality_checkpoint(n, legacy=True)])
def test_foreign_native_rosinality_native(tmp_path, foreign):
    path = tmp_path / "foreign.pkl"
    path.write_bytes(foreign(random_networks(1, **SQUARE)))
    first, second, third = (tmp_path / name for name in ("a.safetensors", "b.pt", "c.safetensors"))
    main(["convert", str(path), str(first)])
    main(["convert", str(first), str(second)])
    main(["convert", str(second), str(third)])
    same(load_network(third), load_network(path))
    meta = read_meta(third)
    assert meta["converted_from"]["file"] == "b.pt" and meta["converted_from"]["format"] == "rosinality"
    main(["convert", str(third), str(tmp_path / "d.safetensors")])
    assert read_meta(tmp_path / "d.safetensors")["converted_from"]["converted_from"]["file"] == "b.pt"


def test_half_precision_and_a_light_file(tmp_path):
    networks = networks_of(**SQUARE)
    path = export_network(Networks(G_ema=networks.G_ema), tmp_path / "h.pt", format="rosinality", dtype=torch.float16)
    found = load_network(path)
    assert found.G is None and found.D is None
    wanted = networks.G_ema.synthesis.b8.conv0.weight.half().float()
    assert torch.equal(found.G_ema.synthesis.b8.conv0.weight, wanted)


@pytest.mark.parametrize(
    ("options", "format", "words"),
    [
        ({"z_dim": 6, "w_dim": 8}, "rosinality", "its z is 6 and its w 8 wide"),
        ({**SQUARE, "c_dim": 2}, "rosinality", "knows 2 classes"),
        ({**SQUARE, "architecture": "orig"}, "rosinality", "architecture is orig"),
        ({**SQUARE, "d": {"mbstd_group_size": 2}}, "rosinality", "minibatch stddev"),
        ({**SQUARE, "c_dim": 2, "label_layout": "matrix"}, "ada", "enter as a matrix"),
        ({**SQUARE, "channels": {4: 4, 8: 8, 16: 3}}, "ada", "no channel_base and channel_max"),
        ({**SQUARE, "conv_clamp": 0.01}, "rosinality", "conv_clamp"),
    ],
)
def test_what_a_format_cannot_hold_is_refused(tmp_path, options, format, words):
    with pytest.raises(UserError, match=words):
        export_network(networks_of(**options), tmp_path / "net.pt", format=format)
    assert not list(tmp_path.iterdir())


def test_a_bound_that_never_acts_does_not_matter(tmp_path):
    networks = networks_of(**SQUARE, conv_clamp=1e6, d={"conv_clamp": 1e6})
    found = load_network(export_network(networks, tmp_path / "net.pt", format="rosinality"))
    assert found.G_ema.config["conv_clamp"] is None


def test_an_existing_target_stays(tmp_path, capsys):
    target = tmp_path / "net.safetensors"
    target.write_text("mine")
    with pytest.raises(SystemExit) as stop:
        main(["convert", "demo", str(target)])
    assert stop.value.code == 2 and target.read_text() == "mine"
    assert "add --force" in capsys.readouterr().err
    main(["convert", "demo", str(target), "--force", "--select", "G_ema", "--dtype", "fp16"])
    networks = load_network(target)
    numbers = sum(tensor.numel() for tensor in networks.G_ema.state_dict().values())
    assert networks.D is None and target.stat().st_size < 2.2 * numbers  # two bytes each, and the header


def test_a_link_stays_a_link(tmp_path):
    target, link = tmp_path / "real.safetensors", tmp_path / "link.safetensors"
    target.write_text("old")
    link.symlink_to(target)
    main(["convert", "demo", str(link), "--force", "--select", "G_ema"])
    assert link.is_symlink() and load_network(target).D is None


def test_a_failed_write_is_one_line_and_leaves_nothing(tmp_path, monkeypatch):
    def fail(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("src.weights.native.save", fail)
    target = tmp_path / "net.safetensors"
    target.write_text("old")
    with pytest.raises(UserError, match="cannot be written") as caught:
        export_network(networks_of(**SQUARE), target, format="native", force=True)
    assert "\n" not in str(caught.value)
    assert target.read_text() == "old" and len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("group", [3, 6, None])
def test_every_minibatch_group_can_be_checked(tmp_path, group):
    networks = networks_of(**SQUARE, d={"mbstd_group_size": group})
    same(load_network(export_network(networks, tmp_path / "net.safetensors", format="native")), networks)


def test_a_network_of_nan_is_not_blamed_on_the_format(tmp_path):
    networks = networks_of(**SQUARE)
    networks.G_ema.synthesis.b8.conv0.weight[0, 0, 0, 0] = float("nan")
    with pytest.raises(UserError, match="not finite"):
        export_network(networks, tmp_path / "net.safetensors", format="native")


def test_widths_in_other_programs_terms():
    assert channel_limits({4: 8, 8: 8, 16: 4}) == (64, 8)
    assert channel_limits({4: 8, 8: 8, 16: 8}) == (128, 8)
    assert channel_limits({4: 3, 8: 9, 16: 4}) is None
    config_e = {4: 512, 8: 512, 16: 512, 32: 512, 64: 256, 128: 128, 256: 64}
    assert channel_multiplier(config_e) == 1
    assert channel_multiplier({**config_e, 64: 512, 128: 256, 256: 128}) == 2
    assert channel_multiplier({4: 64, 8: 64}) is None


def test_inspect_tells_what_is_inside(tmp_path, capsys):
    path = tmp_path / "550000.pt"
    path.write_bytes(rosinality_checkpoint(random_networks(**SQUARE)))
    main(["inspect", str(path)])
    text = capsys.readouterr().out
    assert "rosinality" in text and "resolution 16" in text and "estimated from 10000 latents" in text
    assert "rosinality256" in text, "the name of a published file"
    main(["inspect", str(path), "--json"])
    facts = json.loads(capsys.readouterr().out)
    assert facts["holds"].keys() == {"G_ema", "G", "D"}
    assert facts["bytes"] == path.stat().st_size and facts["generator"]["mapping_layers"] == 3


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["inspect", "nothing.pkl"], "neither a file"),
        (["convert", "demo", "net.xyz"], "what format?"),
        (["convert", "demo", "net.pt", "--format", "native"], "are named .safetensors"),
        (["convert", "demo", "net.safetensors", "--format", "ada"], "another ending than .safetensors"),
        (["convert", "demo", "/dev/null", "--format", "ada", "--force"], "/dev/null is not a file"),
        (["blend", "demo", "out.safetensors", "--res", "8"], "needs two networks"),
        (["blend", "demo", "demo", "out.safetensors"], "say where to switch"),
        (["blend", "demo", "demo", "demo", "out.safetensors", "--res", "8"], "--res switches between 2"),
        (["blend", "demo", "demo", "out.safetensors", "--res", "7"], "can be blended at 4, 8"),
        (["blend", "demo", "demo", "out.safetensors", "--res", "8", "--mapping", "2"], "counted from 0"),
    ],
)
def test_mistakes_are_one_line(tmp_path, monkeypatch, capsys, arguments, words):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    error = capsys.readouterr().err
    assert stop.value.code == 2 and words in error and error.count("\n") == 1
    assert not list(tmp_path.iterdir())


def pair(tmp_path):
    """A network and one that was trained on from it, in two formats."""
    networks = networks_of(**SQUARE)
    base = tmp_path / "base.pkl"
    base.write_bytes(tensorflow_pickle({k: getattr(networks, k) for k in ("G", "D", "G_ema")}))
    G = load_network(base).G_ema
    for p in G.parameters():
        p.add_(0.02 * torch.randn_like(p))
    tuned = export_network(Networks(G_ema=G), tmp_path / "tuned.pt", format="rosinality")
    return base, tuned


def test_blend_across_formats(tmp_path, capsys):
    base, tuned = pair(tmp_path)
    target = tmp_path / "blend.safetensors"
    main(["blend", str(tuned), str(base), str(target), "--res", "8", "--level", "0"])
    shown = capsys.readouterr()
    assert "cosine of weights with the first 1.00" in shown.out and "warning" not in shown.err
    state = load_network(target).G_ema.state_dict()
    low, high = (load_network(p).G_ema.state_dict() for p in (tuned, base))
    for key, source in (
        ("synthesis.b8.conv0.weight", low),
        ("synthesis.b16.conv0.weight", high),
        ("mapping.w_avg", low),
    ):
        assert torch.equal(state[key], source[key])
    blend = read_meta(target)["blend"]
    assert blend["resolution"] == 8 and [n["file"] for n in blend["networks"]] == ["tuned.pt", "base.pkl"]


def test_blend_with_shares_mapping_and_three_networks(tmp_path, capsys):
    base, tuned = pair(tmp_path)
    shares = tmp_path / "shares.yaml"
    shares.write_text("default: [0, 1, 0]\n16/conv1: [0.25, 0.25, 0.5]\n")
    target = tmp_path / "three.safetensors"
    main(["blend", str(base), str(tuned), str(base), str(target), "--weights", str(shares), "--mapping", "1"])
    assert "three.safetensors: written" in capsys.readouterr().out
    found = load_network(target).G_ema
    low, high = (load_network(p).G_ema for p in (base, tuned))
    assert torch.equal(found.mapping.fc0.weight, high.mapping.fc0.weight)
    assert torch.equal(found.synthesis.b8.conv0.weight, high.synthesis.b8.conv0.weight)
    assert torch.equal(found.synthesis.b4.conv1.weight, low.synthesis.b4.conv1.weight), "belongs to no unit"
    mixed = low.synthesis.b16.conv1.weight * 0.75 + high.synthesis.b16.conv1.weight * 0.25
    torch.testing.assert_close(found.synthesis.b16.conv1.weight, mixed)
    shares.write_text("16/conv1: [0.5, 0.1, 0.1]\n")
    with pytest.raises(SystemExit):
        main(["blend", str(base), str(tuned), str(base), str(target), "--weights", str(shares), "--force"])
    assert "add up to 1" in capsys.readouterr().err


def test_a_blend_that_makes_no_sense_is_written_with_a_warning(tmp_path, capsys):
    paths = []
    for seed in (1, 2):
        path = tmp_path / f"{seed}.safetensors"
        save_network(path, G_ema=random_networks(seed, **SQUARE)["G_ema"])
        paths.append(str(path))
    main(["blend", *paths, str(tmp_path / "out.safetensors"), "--res", "8"])
    assert "do not share an ancestor" in capsys.readouterr().err
    main(["blend", *paths, str(tmp_path / "same.safetensors"), "--res", "16"])
    assert f"the blend's images are those of {paths[0]} unchanged" in capsys.readouterr().err
    assert Path(tmp_path / "same.safetensors").exists()
