import pytest
import torch
from torch import nn

from src.training.ema import GeneratorEma


class Net(nn.Module):
    def __init__(self, value):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(3, 2), nn.Linear(2, 3)])
        self.register_buffer("w_avg", torch.full([4], float(value)))
        self.register_buffer("count", torch.tensor(int(value)))
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.fill_(value)


def weight(ema):
    values = torch.cat([p.flatten() for p in ema.module.parameters()])
    assert (values == values[0]).all()
    return values[0].item()


def test_after_half_life_images_of_a_constant_target_the_distance_has_halved():
    ema = GeneratorEma(Net(0.0), half_life_kimg=1.0, rampup=None)
    target = Net(8.0)
    for step in range(125):  # 125 * 8 = 1000 images
        ema.update(target, nimg=step * 8, batch=8)
    assert weight(ema) == pytest.approx(4.0, rel=1e-4)


def test_half_life_does_not_depend_on_the_batch():
    one, many = (GeneratorEma(Net(0.0), half_life_kimg=1.0, rampup=None) for _ in range(2))
    one.update(Net(8.0), nimg=0, batch=320)
    for step in range(10):
        many.update(Net(8.0), nimg=step * 32, batch=32)
    assert weight(one) == pytest.approx(weight(many), rel=1e-5)


def test_ramp_up_limits_the_half_life_to_a_fraction_of_the_images_shown():
    ema = GeneratorEma(Net(0.0), half_life_kimg=10.0, rampup=0.05)
    assert ema.beta(nimg=0, batch=16) == 0  # the first update copies
    assert ema.beta(nimg=20_000, batch=16) == pytest.approx(0.5 ** (16 / 1000))
    assert ema.beta(nimg=200_000, batch=16) == pytest.approx(0.5 ** (16 / 10_000))
    assert ema.beta(nimg=9_000_000, batch=16) == pytest.approx(0.5 ** (16 / 10_000))
    assert GeneratorEma(Net(0.0), half_life_kimg=10.0, rampup=None).beta(0, 16) == pytest.approx(0.5 ** (16 / 10_000))
    ema.update(Net(3.0), nimg=0, batch=16)
    assert weight(ema) == 3.0


def test_update_is_the_lerp_of_every_parameter():
    torch.manual_seed(0)
    start, target = nn.Linear(5, 7), nn.Linear(5, 7)
    ema = GeneratorEma(start, half_life_kimg=0.032, rampup=None)
    before = [p.clone() for p in ema.module.parameters()]
    ema.update(target, nimg=0, batch=16)
    beta = 0.5**0.5
    for old, new, average in zip(before, target.parameters(), ema.module.parameters(), strict=True):
        torch.testing.assert_close(average, beta * old + (1 - beta) * new)


def test_buffers_of_any_type_are_copied():
    ema = GeneratorEma(Net(0.0), half_life_kimg=100.0, rampup=None)
    ema.update(Net(5.0), nimg=0, batch=4)
    assert ema.module.w_avg.tolist() == [5.0] * 4
    assert ema.module.count.item() == 5


def test_the_copy_is_separate_frozen_and_in_eval_mode():
    source = Net(1.0)
    ema = GeneratorEma(source)
    assert not ema.module.training and source.training
    assert not any(p.requires_grad for p in ema.module.parameters()) and all(
        p.requires_grad for p in source.parameters()
    )
    with torch.no_grad():
        source.layers[0].weight.fill_(9.0)
    assert weight(ema) == 1.0


def test_zero_half_life_copies():
    ema = GeneratorEma(Net(0.0), half_life_kimg=0.0, rampup=None)
    ema.update(Net(2.0), nimg=64, batch=4)
    assert weight(ema) == 2.0


def test_another_network_is_refused():
    with pytest.raises(ValueError, match="not built like"):
        GeneratorEma(Net(0.0)).update(nn.Linear(3, 2), nimg=0, batch=4)
