"""Blending against the worked table of blend_models.py's rule, unit by unit."""

import copy

import pytest
import torch

from src.errors import UserError
from src.networks import blend, blend_weights, mix_networks
from tests.tiny import make_tiny

#: 256 px, r = 32: unit, hard level 0, hard level 1, width 0.5, width 1, width 2.
TABLE = [
    ("4/const", 0, 0, 0.000, 0.002, 0.047),
    ("4/torgb", 0, 0, 0.000, 0.007, 0.076),
    ("8/conv0", 0, 0, 0.000, 0.018, 0.119),
    ("8/conv1", 0, 0, 0.002, 0.047, 0.182),
    ("16/conv0", 0, 0, 0.018, 0.119, 0.269),
    ("16/conv1", 0, 0, 0.119, 0.269, 0.378),
    ("32/conv0", 0, 0, 0.500, 0.500, 0.500),
    ("32/conv1", 0, 0, 0.881, 0.731, 0.622),
    ("64/conv0", 1, 0, 0.982, 0.881, 0.731),
    ("64/conv1", 1, 1, 0.998, 0.953, 0.818),
    ("128/conv0", 1, 1, 1.000, 0.982, 0.881),
    ("128/conv1", 1, 1, 1.000, 0.993, 0.924),
    ("256/conv0", 1, 1, 1.000, 0.998, 0.953),
    ("256/conv1", 1, 1, 1.000, 0.999, 0.971),
]


@pytest.mark.parametrize(
    ("column", "level", "width"), [(1, 0, None), (2, 1, None), (3, 0, 0.5), (4, 0, 1.0), (5, 0, 2.0)]
)
def test_shares_equal_the_worked_table(column, level, width):
    weights = blend_weights(256, 32, level=level, width=width)
    assert list(weights) == [row[0] for row in TABLE]
    for row in TABLE:
        assert weights[row[0]] == pytest.approx(row[column], abs=6e-4), row[0]


@pytest.fixture(scope="module")
def pair():
    networks = []
    for seed in (0, 1):
        G, _ = make_tiny(seed, 32, channel_base=256, channel_max=16, noise=0.0)
        torch.manual_seed(seed)
        for parameter in G.parameters():
            parameter.data.add_(torch.randn_like(parameter) * 0.1)
        G.mapping.w_avg.normal_()
        networks.append(G.eval().requires_grad_(False))
    return networks


def taken_from(result, low, high):
    """Which state-dict keys are the low network's, which the high one's."""
    low, high = low.state_dict(), high.state_dict()
    source = {}
    for key, value in result.state_dict().items():
        if torch.equal(value, low[key]):
            source[key] = "low"
        elif torch.equal(value, high[key]):
            source[key] = "high"
        else:
            source[key] = "mixed"
    return source


def test_hard_blend_takes_whole_blocks_above_the_resolution(pair):
    low, high = pair
    source = taken_from(blend(low, high, 8), low, high)
    for key, side in source.items():
        above = key.startswith(("synthesis.b16.", "synthesis.b32."))
        assert side == ("high" if above and "noise_const" not in key else "low"), key


def test_level_one_keeps_the_first_convolution_above(pair):
    low, high = pair
    source = taken_from(blend(low, high, 8, level=1), low, high)
    assert source["synthesis.b16.conv0.weight"] == "low"
    assert source["synthesis.b16.conv0.affine.bias"] == "low"
    assert source["synthesis.b16.conv1.noise_strength"] == "high"
    assert source["synthesis.b16.torgb.affine.weight"] == "high"


def test_full_resolution_gives_the_low_network(pair):
    low, high = pair
    assert set(taken_from(blend(low, high, 32), low, high).values()) == {"low"}


def test_smooth_blend_mixes_each_unit_but_never_mapping_noise_maps_and_4x4_conv(pair):
    low, high = pair
    result = blend(low, high, 16, width=1.0)
    source = taken_from(result, low, high)
    untouched = ("mapping.", "synthesis.b4.conv1.")
    for key, side in source.items():
        assert side == ("low" if key.startswith(untouched) or "noise_const" in key else "mixed"), key
    key, y = "synthesis.b32.conv1.weight", blend_weights(32, 16, width=1.0)["32/conv1"]
    expected = low.state_dict()[key] * (1 - y) + high.state_dict()[key] * y
    torch.testing.assert_close(result.state_dict()[key], expected)


def test_inputs_are_left_alone_and_units_can_be_chosen(pair):
    low, high = pair
    before = copy.deepcopy(low.state_dict())
    result = mix_networks([low, high], {"8/conv1": (0, 1), "4/const": (0.75, 0.25)})
    assert all(torch.equal(before[key], value) for key, value in low.state_dict().items())
    changed = {key for key, side in taken_from(result, low, high).items() if side != "low"}
    parts = ("weight", "bias", "noise_strength", "affine.weight", "affine.bias")
    expected = {f"synthesis.b8.conv1.{part}" for part in parts}
    expected |= {f"synthesis.b8.torgb.{part}" for part in parts if part != "noise_strength"}
    assert changed == expected | {"synthesis.b4.const"}


def test_what_cannot_be_is_refused(pair):
    low, high = pair
    for resolution in (12, 64, 2, 8.0):
        with pytest.raises(
            UserError, match=f"^resolution={resolution}: a 32 px network can be blended at 4, 8, 16, 32"
        ):
            blend(low, high, resolution)
    with pytest.raises(UserError, match="level"):
        blend(low, high, 8, level=2)
    with pytest.raises(UserError, match="width"):
        blend(low, high, 8, width=-1.0)
    with pytest.raises(UserError, match="unknown blend unit"):
        mix_networks([low, high], {"4/conv1": (0, 1)})
    wider, _ = make_tiny(0, 32, channel_base=512, channel_max=32)
    with pytest.raises(UserError, match=r"cannot be blended.*synthesis.b4.const is \[16, 4, 4\] and \[32, 4, 4\]"):
        blend(low, wider, 8)
