"""The augmentation pipe: what each transformation does, how often, and how it is drawn."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from src.augment.filter import filter_bank
from src.augment.pipe import AugmentPipe, PipeSettings
from src.augment.settings import GROUPS, PIPES
from src.draws import Draws
from src.errors import UserError
from tests.augment.augmentation import fixed, noise_images, rng, single, smooth_images

SINGLES = sorted({name for names in GROUPS.values() for name in names})


@pytest.mark.parametrize("pipe", PIPES)
def test_p_zero_is_the_identity(pipe):
    images = noise_images()
    assert torch.equal(AugmentPipe.preset(pipe)(images, generator=rng()), images)
    static = AugmentPipe.preset(pipe, static=True)(images, generator=rng())
    torch.testing.assert_close(static, images, rtol=0, atol=3e-5)


@pytest.mark.parametrize("name", SINGLES)
def test_p_one_changes_images(name):
    images = noise_images(num=8)
    out = single(name)(images, generator=rng())
    assert out.shape == images.shape and out.dtype == torch.float32
    assert (out - images).abs().amax(dim=(1, 2, 3)).max() > 0.05


@pytest.mark.parametrize(
    "name",
    ["scale", "rotate", "aniso", "xint", "xfrac", "brightness", "contrast", "hue", "saturation", "imgfilter"],
)
def test_the_median_of_a_symmetric_distribution_is_the_identity(name):
    images = noise_images()
    torch.testing.assert_close(fixed(name, 0.5, images), images, rtol=0, atol=3e-5)


def test_whole_pixel_translation_moves_pixels_and_reflects_the_border():
    images = noise_images(height=32, width=48)
    out = fixed("xint", 0.75, images, xint_max=0.25)  # 0.5 * 0.25 of the size: 6 right, 4 down
    padded = np.pad(images.numpy(), [(0, 0), (0, 0), (4, 0), (6, 0)], mode="reflect")[:, :, :32, :48]
    np.testing.assert_allclose(out.numpy(), padded, rtol=0, atol=3e-5)


def test_x_flip_mirrors():
    images = smooth_images()
    assert torch.equal(fixed("xflip", 0.2, images), images)
    out = fixed("xflip", 0.7, images)
    np.testing.assert_allclose(out.numpy(), images.numpy()[:, :, :, ::-1], rtol=0, atol=0.02)
    assert (out - images).abs().max() > 0.5


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_quarter_turns_equal_numpy(turns):
    images = smooth_images()
    out = fixed("rotate90", turns / 4 + 0.1, images)
    np.testing.assert_allclose(out.numpy(), np.rot90(images.numpy(), turns, axes=(2, 3)), rtol=0, atol=0.02)


def test_brightness_adds_a_constant_and_contrast_multiplies():
    images = noise_images()
    strength = torch.erfinv(torch.tensor(0.6)).item()  # the draw at percentile 0.8
    torch.testing.assert_close(fixed("brightness", 0.8, images), images + 0.2 * strength)
    torch.testing.assert_close(fixed("contrast", 0.8, images), images * 2 ** (0.5 * strength))


def test_luma_flip_negates_grey_and_keeps_colour_differences():
    images = noise_images()
    out = fixed("lumaflip", 0.7, images)
    mean, new_mean = images.mean(dim=1, keepdim=True), out.mean(dim=1, keepdim=True)
    torch.testing.assert_close(new_mean, -mean)
    torch.testing.assert_close(out - new_mean, images - mean)


def test_hue_rotates_red_to_blue_in_a_third_of_a_circle():
    images = noise_images()
    out = fixed("hue", 0.5 + 1 / 3, images)  # +120 degrees about (1, 1, 1)
    torch.testing.assert_close(out, images.roll(1, dims=1), rtol=0, atol=1e-5)


def test_saturation_scales_the_distance_to_grey():
    images = noise_images()
    mean = images.mean(dim=1, keepdim=True)
    out = fixed("saturation", 0.8, images)
    factor = 2 ** torch.erfinv(torch.tensor(0.6)).item()
    torch.testing.assert_close(out, mean + (images - mean) * factor)


def test_colour_is_applied_in_the_order_of_the_paper():
    images = noise_images()
    names = ["brightness", "contrast", "lumaflip", "hue", "saturation"]
    expected = images
    for name in names:
        expected = fixed(name, 0.8, expected)
    out = AugmentPipe(PipeSettings(**dict.fromkeys(names, 1.0)))(images, generator=rng(), fixed_percentile=0.8)
    torch.testing.assert_close(out, expected, rtol=0, atol=1e-5)


def test_filter_bank_splits_into_octaves_that_add_up():
    bank = filter_bank()
    impulse = np.zeros(bank.shape[1])
    impulse[len(impulse) // 2] = 1
    np.testing.assert_allclose(bank.sum(axis=0), impulse, atol=1e-9)
    np.testing.assert_allclose(bank, bank[:, ::-1], atol=1e-9)
    response = np.abs(np.fft.rfft(bank, 256, axis=1))
    for band, centre in enumerate([0, 24, 48, 100]):  # of 128 = Nyquist
        assert response[:, centre].argmax() == band


def test_filtering_equals_a_convolution_with_reflected_borders():
    images = noise_images(num=1, height=32, width=40)
    gains = torch.tensor([1.0, 2.0, 2.0, 2.0]) * 2 ** torch.erfinv(torch.tensor(-0.4))
    power = torch.tensor([10.0, 1, 1, 1]) / 13
    t = gains.new_full([4], 2 ** torch.erfinv(torch.tensor(-0.4)).item())
    gains = torch.ones(4)
    for i in range(4):
        step = torch.ones(4)
        step[i] = t[i]
        gains = gains * step / (power * step.square()).sum().sqrt()
    taps = gains @ torch.from_numpy(filter_bank()).float()
    padded = F.pad(images, [21] * 4, mode="reflect").reshape(3, 1, 74, 82)
    expected = F.conv2d(F.conv2d(padded, taps[None, None, None]), taps[None, None, :, None]).reshape(1, 3, 32, 40)
    torch.testing.assert_close(fixed("imgfilter", 0.3, images), expected, rtol=0, atol=1e-5)


def test_a_silent_band_is_left_alone_and_small_pictures_work():
    images = noise_images(height=16, width=16)  # smaller than the filter
    flat = torch.full_like(images, 0.3)
    only_high = {"imgfilter_bands": (0.0, 0.0, 0.0, 1.0)}
    out = fixed("imgfilter", 0.9, flat, **only_high)
    t = 2 ** torch.erfinv(torch.tensor(0.8)).item()
    torch.testing.assert_close(out, flat / (1 + (t * t - 1) / 13))  # power of both axes
    assert (fixed("imgfilter", 0.9, images, **only_high) - images).abs().max() > 0.1


def test_noise_has_the_drawn_strength():
    flat = torch.zeros(2, 3, 64, 64)
    out = fixed("noise", 0.8, flat)
    assert out.std().item() == pytest.approx(0.1 * torch.erfinv(torch.tensor(0.8)).item(), rel=0.02)
    assert not torch.equal(out[0], out[1])


def test_cutout_blanks_a_rectangle_of_the_given_size():
    out = fixed("cutout", 0.5, torch.ones(1, 3, 32, 48), cutout_size=0.25)
    expected = torch.ones(32, 48)
    expected[12:20, 18:30] = 0
    assert torch.equal(out[0], expected.expand(3, 32, 48))


# --- how often


@pytest.mark.parametrize(
    ("name", "p", "chance"),
    [
        ("brightness", 0.3, 0.3),
        ("brightness", 1.0, 1.0),
        ("xflip", 0.8, 0.4),  # half of the flips are no flips
        ("rotate90", 0.8, 0.6),
        ("rotate", 0.5, 0.5),  # either of two rotations
        ("cutout", 0.25, 0.25),
        ("noise", 0.6, 0.6),
    ],
)
def test_an_augmentation_happens_with_its_probability(name, p, chance):
    images = noise_images(num=2000, height=8, width=8)
    out = single(name, p=p)(images, generator=rng(1))
    share = ((out - images).abs().amax(dim=(1, 2, 3)) > 1e-4).float().mean().item()
    assert share == pytest.approx(chance, abs=0.04)


def test_a_multiplier_scales_the_probability():
    images = noise_images(num=2000, height=8, width=8)
    out = single("brightness", p=0.5, brightness=0.5)(images, generator=rng(1))
    share = (out != images).any(dim=(1, 2, 3)).float().mean().item()
    assert share == pytest.approx(0.25, abs=0.04)


def test_draws_follow_their_distributions():
    pipe = AugmentPipe.preset("bgcfnc")
    drawn = pipe.draws(20000, torch.tensor(1.0), Draws(rng()))
    for name, std in {
        "log2_scale": 0.2,
        "move_y": 0.125,
        "brightness": 0.2,
        "log2_contrast": 0.5,
        "log2_band2": 1,
    }.items():
        assert drawn[name].std().item() == pytest.approx(std, rel=0.03)
        assert drawn[name].mean().abs().item() < 0.03 * max(std, 0.3)
    assert drawn["pre_angle"].abs().max().item() == pytest.approx(np.pi, rel=0.01)
    assert drawn["shift_x"].abs().max().item() == pytest.approx(0.125, rel=0.01)
    assert drawn["quarter_turns"].unique().tolist() == [0, 1, 2, 3]
    assert torch.corrcoef(torch.stack(list(drawn.values())[:-1])).triu(1).abs().max() < 0.04


# --- random numbers


def test_the_generator_decides_everything():
    images = noise_images(num=6)
    pipe = AugmentPipe.preset("bgcfnc")
    pipe.p.fill_(0.7)
    torch.manual_seed(1)
    before = torch.get_rng_state()
    one = pipe(images, generator=rng(3))
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert torch.equal(one, pipe(images, generator=rng(3)))
    assert not torch.equal(one, pipe(images, generator=rng(4)))


def test_its_probability_is_not_its_state():
    """`AdaController` keeps it."""
    assert not AugmentPipe.preset("bgc").state_dict()


# --- resampling


def test_the_pipe_passes_gradgradcheck():
    pipe = AugmentPipe.preset("bgc")
    pipe.p.fill_(1.0)
    x = noise_images(num=1, height=5, width=5, dtype=torch.float64).requires_grad_()

    def energy(v):
        return pipe(v, generator=rng(1)).square()

    assert torch.autograd.gradcheck(energy, [x])
    assert torch.autograd.gradgradcheck(energy, [x])


# --- refusals


def test_wrong_use_is_refused_by_name():
    with pytest.raises(UserError, match=r"pipe=bgx: .*bgcfnc"):
        AugmentPipe.preset("bgx")
    with pytest.raises(UserError, match=r"^rotat=1.0: there is no such option"):
        AugmentPipe.preset("bgc", rotat=1.0)
    with pytest.raises(UserError, match=r"^scale=-1.0: give a number from 0"):
        AugmentPipe.preset("bgc", scale=-1.0)
    with pytest.raises(UserError, match=r"imgfilter_bands=.*give 4 numbers"):
        PipeSettings(imgfilter_bands=(1, 1, 1))
    pipe = AugmentPipe.preset("bgc")
    with pytest.raises(ValueError, match="float32"):
        pipe(torch.zeros(2, 3, 8, 8, dtype=torch.uint8), generator=rng())
    with pytest.raises(ValueError, match=r"\[2, 1, 8, 8\]"):
        pipe(torch.zeros(2, 1, 8, 8), generator=rng())
