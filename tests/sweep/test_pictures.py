"""Pictures of cells: the shared prefix is exact, and every cell sees the same codes."""

import pytest
import torch

from src.data import to_uint8
from src.networks import FP32, blend, choose_precision
from src.runs import BlendSettings, Recipe, recipes_of
from src.sweep.pictures import UNBLENDED, common_codes, render, render_snapshot, shared_prefix

from .conftest import drifted, make_network

BELOW_FULL = (4, 8, 16)


@pytest.fixture(scope="module")
def tuned(base):
    return drifted(base, 0.5)


@pytest.mark.parametrize("order", ["cartoon_low", "cartoon_high"])
def test_prefix_sharing_equals_whole_blended_generators_at_every_resolution(base, tuned, order):
    low, high = Recipe(8, order).ordered(tuned, base)
    ws = common_codes(base, 5, 0.7, seed=0)
    images = shared_prefix(low, blend(low, high, 4), ws, BELOW_FULL, whole=True)
    assert set(images) == {4, 8, 16, 32}
    for r in BELOW_FULL:
        whole = blend(low, high, r).synthesis(ws)
        assert (images[r] - whole).abs().max() < 1e-5
        assert (images[r] - low.synthesis(ws)).abs().max() > 1e-2  # it is a blend
    assert (images[32] - low.synthesis(ws)).abs().max() < 1e-5


@pytest.mark.parametrize(
    "settings",
    [
        BlendSettings(res=(8, 16)),
        BlendSettings(res=(8, 16), direction="cartoon_high"),
        BlendSettings(res=(8, 16), level=1),
        BlendSettings(res=(16,), width=1.0),
    ],
    ids=lambda settings: recipes_of(settings, make_network(0))[0].manner,
)
def test_a_snapshots_pictures_are_those_of_its_blends_and_its_own(base, tuned, settings):
    ws = common_codes(base, 40, 0.7, seed=0)  # more than a chunk
    parts: dict[int, list] = {}
    for r, pictures in render_snapshot(tuned, base, ws, recipes_of(settings, base)):
        parts.setdefault(r, []).append(pictures)
    assert set(parts) == {UNBLENDED, *settings.res}
    expected = {recipe.resolution: recipe.blend(tuned, base) for recipe in recipes_of(settings, base)}
    expected |= {UNBLENDED: tuned}
    for r, G in expected.items():
        difference = torch.cat(parts[r]).int() - to_uint8(G.synthesis(ws)).int()
        assert difference.shape[0] == 40 and difference.abs().max() <= 1, r


def test_codes_are_the_base_mappings_and_repeat(base):
    ws = common_codes(base, 6, 0.7, seed=3)
    z = torch.randn([6, 16], generator=torch.Generator().manual_seed(3))
    torch.testing.assert_close(ws, base.mapping(z, psi=0.7))
    assert torch.equal(ws[:4], common_codes(base, 4, 0.7, seed=3))
    assert not torch.equal(ws, common_codes(base, 6, 0.7, seed=4))


def test_pictures_do_not_depend_on_the_size_of_chunks(base):
    ws = common_codes(base, 35, 0.7, seed=0)
    assert torch.equal(torch.cat(list(render(base, ws)))[34:], torch.cat(list(render(base, ws[34:]))))


@pytest.mark.parametrize("options", [{}, {"level": 1}], ids=["shared prefix", "whole blends"])
def test_bf16_pictures_are_close_to_float32(base, tuned, options):
    ws = common_codes(base, 4, 0.7, seed=0)
    exact, lowered = (
        [pictures for _, pictures in render_snapshot(tuned, base, ws, [Recipe(8, **options)], precision)]
        for precision in (FP32, choose_precision("bf16", torch.device("cpu"), base.resolution))
    )
    for a, b in zip(exact, lowered, strict=True):
        difference = (a.float() - b.float()).abs()
        assert 0 < difference.mean() < 2, "of 255"
    assert torch.equal(base.synthesis(ws), base.synthesis(ws)) and base.synthesis.precision.name == "fp32"
