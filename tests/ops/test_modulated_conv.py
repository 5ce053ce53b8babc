"""Modulated convolution against the paper's per-sample weights."""

import pytest
import torch
import torch.nn.functional as F

from src.ops import conv, conv2d, demodulation, filters_and_energy, modulate, setup_filter, upsample2d, upsample_conv2d

pytestmark = pytest.mark.usefixtures("policy")


def modulated_conv2d(x, weight, styles, *, resample_filter=None, demodulate=True):
    """As the synthesis layers compose it: one convolution with shared weights, upsampling where there is a filter."""
    x = modulate(x, styles)
    filters, energy = filters_and_energy(weight, x, transposed=resample_filter is not None)
    if resample_filter is None:
        y = conv2d(x, filters, padding=weight.shape[2] // 2)
    else:
        y = upsample_conv2d(x, filters, resample_filter)
    return modulate(y, demodulation(energy, styles)) if demodulate else y


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


def derivatives(op, tensors):
    """Values, gradients, gradients of the gradients, and once more."""
    found = list(op(*tensors))
    value = sum((t.square() * (1 + 0.1 * t)).sum() for t in found)
    for _ in range(3):
        grads = torch.autograd.grad(value, tensors, create_graph=True)
        found += grads
        value = sum((t.square() * (1 + 0.1 * t)).sum() for t in grads)
    return found


def test_demodulation_has_the_derivatives_of_the_plain_form():
    torch.manual_seed(0)
    energy, styles = torch.rand(5, 4, dtype=torch.float64), torch.randn(3, 4, dtype=torch.float64)
    tensors = [energy.requires_grad_(), styles.requires_grad_()]
    plain = derivatives(lambda e, s: [(s.square() @ e.t() + 1e-8).rsqrt()], tensors)
    torch.testing.assert_close(derivatives(lambda e, s: [demodulation(e, s)], tensors), plain, rtol=1e-10, atol=1e-10)
    first = torch.autograd.grad(demodulation(*tensors).pow(2).sum(), tensors)  # without a graph of its own
    torch.testing.assert_close(
        first, torch.autograd.grad((styles.square() @ energy.t() + 1e-8).rsqrt().pow(2).sum(), tensors)
    )


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("taken", [(True, True), (True, False), (False, True)])
def test_filters_and_energy_have_the_derivatives_of_the_plain_form(transposed, taken, monkeypatch):
    """In the layout of a GPU as well, and where filters or energy alone are used."""
    torch.manual_seed(0)
    weight = torch.randn(5, 4, 3, 3, dtype=torch.float64).requires_grad_()
    x = torch.randn(2, 4, 6, 6, dtype=torch.float64).contiguous(memory_format=torch.channels_last)
    plain = derivatives(lambda w: _only((w, w.square().sum(dim=(2, 3))), taken), [weight])
    for devices in ((), ("cpu",)):
        monkeypatch.setattr(conv, "FILTERS_IN_LAYOUT", devices)
        ours = derivatives(lambda w: _only(filters_and_energy(w, x, transposed=transposed), taken), [weight])
        torch.testing.assert_close(ours, plain, rtol=1e-10, atol=1e-10)
        filters, energy = filters_and_energy(weight, x, transposed=transposed)
        read = filters.transpose(0, 1) if transposed else filters
        assert read.is_contiguous(memory_format=torch.channels_last) == (devices == ("cpu",))
        of_both = torch.autograd.grad((filters.sum() + energy.pow(2).sum()), weight)[0]
        torch.testing.assert_close(of_both, 1 + 4 * energy.detach()[:, :, None, None] * weight.detach())
        assert of_both.stride() == weight.stride()


def _only(found, taken):
    return [t for t, wanted in zip(found, taken, strict=True) if wanted]


def test_filters_of_another_type_get_one_gradient_in_the_weights():
    weight, styles = torch.randn(5, 4, 3, 3).requires_grad_(), torch.randn(2, 4)
    x = torch.randn(2, 4, 6, 6).bfloat16()
    filters, energy = filters_and_energy(weight, x)
    assert filters.dtype == torch.bfloat16 and energy.dtype == torch.float32
    value = filters.float().sum() + demodulation(energy, styles).sum()
    (got,) = torch.autograd.grad(value, weight)
    plain = weight.sum() + (styles.square() @ weight.square().sum(dim=(2, 3)).t() + 1e-8).rsqrt().sum()
    torch.testing.assert_close(got, torch.autograd.grad(plain, weight)[0])
