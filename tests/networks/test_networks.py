"""Generator and discriminator: shapes, contracts, gradients, minibatch standard deviation."""

import pytest
import torch

from src.networks import Discriminator, channels_per_resolution
from src.networks.discriminator import minibatch_stddev
from src.networks.synthesis_layers import ToRGBLayer
from tests.tiny import make_tiny

TINY = {"resolution": 32, "channel_base": 256, "channel_max": 16}


@pytest.fixture
def generator():
    torch.manual_seed(0)
    G, _ = make_tiny(0, z_dim=12, w_dim=10, noise=0.5, **TINY)
    G.mapping.w_avg.normal_()
    return G.eval()


def test_widths_of_the_published_configurations():
    config_e = channels_per_resolution(1024, 16384)
    assert [config_e[r] for r in (4, 32, 64, 128, 256, 1024)] == [512, 512, 256, 128, 64, 16]
    config_f = channels_per_resolution(1024, 32768)
    assert [config_f[r] for r in (32, 64, 128, 256)] == [512, 512, 256, 128]
    with pytest.raises(ValueError, match="power of two"):
        channels_per_resolution(48)
    with pytest.raises(ValueError, match="must name"):
        channels_per_resolution(16, channels={4: 8, 8: 8})


def test_generator_contract(generator):
    z = torch.randn(3, 12)
    ws = generator.mapping(z)
    assert ws.shape == (3, generator.num_ws, 10)
    assert generator.num_ws == 8
    images = generator.synthesis(ws)
    assert images.shape == (3, 3, 32, 32)
    assert images.dtype == torch.float32
    torch.testing.assert_close(generator(z), images)


def test_truncation_interpolates_towards_w_avg(generator):
    z = torch.randn(2, 12)
    ws, w_avg = generator.mapping(z), generator.mapping.w_avg
    half = generator.mapping(z, psi=0.5, cutoff=3)
    torch.testing.assert_close(half[:, :3], (ws[:, :3] + w_avg) / 2)
    torch.testing.assert_close(half[:, 3:], ws[:, 3:])
    torch.testing.assert_close(generator.mapping(z, psi=0.0), w_avg.expand_as(ws))


def test_noise_modes(generator):
    ws = generator.mapping(torch.randn(2, 12))
    const, none = generator.synthesis(ws), generator.synthesis(ws, noise="none")
    random = [generator.synthesis(ws, noise="random", generator=torch.Generator().manual_seed(s)) for s in (0, 0, 1)]
    torch.testing.assert_close(random[0], random[1])
    assert not torch.allclose(random[0], random[2])
    assert not torch.allclose(const, none)
    with pytest.raises(ValueError, match="noise is one of"):
        generator.synthesis(ws, noise="cosnt")


def test_results_do_not_depend_on_the_batch(generator):
    z = torch.randn(5, 12)
    together = generator(z)
    alone = torch.cat([generator(row[None]) for row in z])
    torch.testing.assert_close(together, alone, atol=2e-5, rtol=1e-4)


def test_running_in_two_parts_equals_running_at_once(generator):
    ws = generator.mapping(torch.randn(2, 12))
    whole = generator.synthesis(ws)
    for stop in (4, 8, 16):
        state = generator.synthesis.run_blocks(ws, stop=stop)
        assert state.rgb.shape[-1] == stop
        torch.testing.assert_close(generator.synthesis.run_blocks(ws, 2 * stop, None, state).rgb, whole)
    with pytest.raises(ValueError, match="starts at 4"):
        generator.synthesis.run_blocks(ws, 8)


def test_noise_maps_of_another_size_are_refused(generator):
    ws = generator.mapping(torch.randn(3, 12))
    maps = [torch.zeros(3, 1, layer.resolution, layer.resolution) for layer in generator.synthesis.layers()]
    generator.synthesis(ws, noise=maps[:2] + [m[:1] for m in maps[2:]])
    for wrong in (maps[1][:2], maps[1][:, 0], maps[-1], maps[1][..., :1]):
        with pytest.raises(ValueError, match=r"noise map 1 must be \[3 or 1, 1, 8, 8\], not"):
            generator.synthesis(ws, noise=[maps[0], wrong, *maps[2:]])


def test_each_code_reaches_its_layers_alone(generator):
    """Code l of L drives one convolution; ToRGB of a block shares the next block's first code."""
    ws = generator.mapping(torch.randn(1, 12))
    changed = ws.clone()
    changed[:, 3] += 1.0  # b16.conv0 and b8.torgb
    before, after = ((generator.synthesis.run_blocks(w, stop=8)) for w in (ws, changed))
    torch.testing.assert_close(before.x, after.x)
    assert not torch.allclose(before.rgb, after.rgb)


@pytest.mark.parametrize("px", [8, 64])
def test_rgb_is_the_modulated_product_with_its_derivatives(px):
    """As one convolution and as products of samples: value, gradients, gradients of the gradients."""
    torch.manual_seed(0)
    layer = ToRGBLayer(6, 3, 5, conv_clamp=None)
    x, w = torch.randn(2, 6, px, px).contiguous(memory_format=torch.channels_last), torch.randn(2, 5)
    tensors = [x.requires_grad_(), w.requires_grad_(), layer.weight, layer.bias]

    def plain(x, w):
        styles = layer.affine(w) / 6**0.5
        return torch.einsum("nchw,nc,oc->nohw", x, styles, layer.weight.flatten(1)) + layer.bias[:, None, None]

    def derivatives(op):
        y = op(x, w)
        first = torch.autograd.grad(y.pow(3).mean(), tensors, create_graph=True)
        return y, *first, *torch.autograd.grad(sum(g.pow(2).sum() for g in first), tensors)

    torch.testing.assert_close(derivatives(layer), derivatives(plain), rtol=1e-4, atol=1e-5)


def test_classes(generator):
    G, D = make_tiny(0, z_dim=12, w_dim=10, c_dim=3, **TINY)
    z, c = torch.randn(4, 12), torch.eye(3)[[0, 1, 2, 0]]
    images = G(z, c)
    assert not torch.allclose(images, G(z, c.roll(1, 1)))
    assert not torch.allclose(D(images, c), D(images, c.roll(1, 1)))
    with pytest.raises(ValueError, match="one-hot"):
        G(z)


@pytest.mark.parametrize("architecture", ["resnet", "skip", "orig"])
def test_discriminator_contract_and_r1(architecture):
    torch.manual_seed(0)
    D = Discriminator(architecture=architecture, **TINY)
    images = torch.randn(4, 3, 32, 32, requires_grad=True)
    logits = D(images)
    assert logits.shape == (4, 1)
    (gradient,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
    gradient.square().sum().backward()
    silent = [n for n, p in D.named_parameters() if p.grad is None and not n.endswith("bias") and "embed" not in n]
    assert silent == []
    with pytest.raises(ValueError, match="takes images"):
        D(torch.zeros(4, 3, 16, 16))


def test_minibatch_stddev_groups_are_strided():
    x = torch.zeros(8, 2, 4, 4)
    x[0], x[2] = 1.0, 3.0  # samples 0, 2, 4, 6 are group 0 of 2
    y = minibatch_stddev(x, 4, 1)
    assert y.shape == (8, 3, 4, 4)
    std = torch.tensor([1.0, 3.0, 0.0, 0.0]).std(unbiased=False).item()
    assert y[::2, 2].unique().item() == pytest.approx(std, abs=1e-4)
    assert y[1::2, 2].abs().max().item() == pytest.approx(1e-4, abs=1e-5)
    with pytest.raises(ValueError, match="does not divide"):
        minibatch_stddev(torch.zeros(6, 2, 4, 4), 4, 1)


@pytest.mark.parametrize("c_dim", [0, 3])
def test_batches_in_one_pass_are_scored_as_if_alone(c_dim):
    """Logits, gradients and R1's gradients; without the batches their groups would be mixed."""
    D = make_tiny(c_dim=c_dim)[1]
    D.b4.mbstd_group_size = 3
    both = torch.randn(12, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    both[6:] *= 3
    c = torch.eye(3)[torch.arange(12) % 3] if c_dim else None

    def derivatives(logits_of):
        images = both.clone().requires_grad_()
        logits = logits_of(images)
        (g,) = torch.autograd.grad(logits.square().sum(), images, create_graph=True)
        D.zero_grad()
        g.square().sum().backward()
        return [logits.detach(), g.detach(), *(p.grad.clone() for p in D.parameters() if p.grad is not None)]

    def alone(images):
        classes = (None, None) if c is None else c.chunk(2)
        return torch.cat([D(part, its) for part, its in zip(images.chunk(2), classes, strict=True)])

    together = derivatives(lambda images: D(images, c, batches=2))
    for ours, theirs in zip(together, derivatives(alone), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5 * float(theirs.abs().max()))
    assert not torch.allclose(together[0], D(both, c), rtol=1e-3)


def test_freshly_made_networks_have_unit_scale(generator):
    torch.manual_seed(1)
    G, _ = make_tiny(1, z_dim=64, w_dim=64, num_mapping_layers=4, noise=0.0, **TINY)
    w = G.mapping.map(torch.randn(256, 64))
    assert 0.3 < w.std().item() < 3
    state = G.synthesis.run_blocks(G.mapping(torch.randn(16, 64)))
    assert 0.3 < state.x.std().item() < 3
