"""Modulated convolution against the paper's per-sample weights."""

import pytest
import torch
import torch.nn.functional as F

from src.ops import conv2d, demodulation, modulate, setup_filter, upsample2d, upsample_conv2d

pytestmark = pytest.mark.usefixtures("policy")


def modulated_conv2d(x, weight, styles, *, resample_filter=None, demodulate=True):
    """As the synthesis layers compose it: one convolution with shared weights, upsampling where there is a filter."""
    x = modulate(x, styles)
    if resample_filter is None:
        y = conv2d(x, weight, padding=weight.shape[2] // 2)
    else:
        y = upsample_conv2d(x, weight, resample_filter)
    return modulate(y, demodulation(weight, styles)) if demodulate else y


def by_the_paper(x, weight, styles, demodulate):
    """Eq. 1-3 literally: scale, normalise, convolve each sample with its own weights."""
    outputs = []
    for sample, style in zip(x, styles, strict=True):
        w = weight * style[None, :, None, None]
        if demodulate:
            w = w / (w.square().sum(dim=(1, 2, 3), keepdim=True) + 1e-8).sqrt()
        outputs.append(F.conv2d(sample[None], w, padding=weight.shape[2] // 2))
    return torch.cat(outputs)


@pytest.mark.parametrize("kernel", [1, 3])
@pytest.mark.parametrize("demodulate", [False, True])
def test_equals_per_sample_weights(kernel, demodulate):
    torch.manual_seed(0)
    x, weight, styles = torch.randn(3, 4, 8, 8), torch.randn(5, 4, kernel, kernel), torch.randn(3, 4)
    got = modulated_conv2d(x, weight, styles, demodulate=demodulate)
    torch.testing.assert_close(got, by_the_paper(x, weight, styles, demodulate), atol=1e-5, rtol=1e-5)


def test_upsampling_equals_upsample_then_convolve():
    torch.manual_seed(0)
    f = setup_filter([1, 3, 3, 1])
    x, weight, styles = torch.randn(2, 4, 6, 6), torch.randn(5, 4, 3, 3), torch.randn(2, 4)
    got = modulated_conv2d(x, weight, styles, resample_filter=f, demodulate=False)
    # weights act as a true convolution on the upsampled picture; the margin differs, where that is cropped first
    upsampled = upsample2d(x * styles[:, :, None, None], f)
    expected = F.conv2d(upsampled, weight.flip((2, 3)), padding=1)
    got, expected = got[:, :, 2:-2, 2:-2], expected[:, :, 2:-2, 2:-2]
    torch.testing.assert_close(got, expected, atol=1e-5, rtol=1e-5)


def test_second_gradients():
    torch.manual_seed(0)
    f = setup_filter([1, 3, 3, 1]).double()
    x, weight, styles = (
        torch.randn(s, dtype=torch.float64, requires_grad=True) for s in ((2, 2, 3, 3), (2, 2, 3, 3), (2, 2))
    )

    def run(x, weight, styles):
        return modulated_conv2d(x, weight, styles, resample_filter=f)

    assert torch.autograd.gradcheck(run, (x, weight, styles))
    assert torch.autograd.gradgradcheck(run, (x, weight, styles), atol=1e-4)
