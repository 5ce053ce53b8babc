import pytest
import torch

from src.augment.ada import AdaController

CONFIDENT, UNSURE = torch.ones(8, 1), torch.tensor([[1.0], [-1.0]] * 4)


def observe(ada, logits):
    ada.accumulate(logits)
    ada.count(logits.numel())


def run(ada, logits, batches, batch=8):
    for _ in range(batches):
        observe(ada, logits)
        ada.end_batch(batch)


def test_p_rises_while_d_is_overconfident_and_falls_back():
    ada = AdaController(target=0.6, adjust_kimg=1, interval=4)
    run(ada, CONFIDENT, 8)  # r_t = 1: two steps of 4*8 images
    assert ada.p.item() == pytest.approx(2 * 32 / 1000)
    assert ada.rt.item() == 1
    run(ada, UNSURE, 4)  # r_t = 0
    assert ada.p.item() == pytest.approx(32 / 1000)
    assert ada.rt.item() == 0


def test_rt_is_the_mean_sign_over_the_interval_whatever_the_magnitude():
    ada = AdaController(interval=2)
    observe(ada, torch.tensor([[100.0], [0.001], [-3.0]]))
    assert not ada.end_batch(3)
    observe(ada, torch.tensor([[2.0], [-0.5], [7.0], [1.0], [0.0]]))
    assert ada.end_batch(5)
    assert ada.rt.item() == pytest.approx((2 - 1 + 3 - 1) / 8)


def test_nothing_moves_inside_an_interval():
    ada = AdaController(adjust_kimg=1, interval=4, initial_p=0.5)
    run(ada, CONFIDENT, 3)
    assert ada.p.item() == 0.5


def test_r_t_on_target_leaves_p_alone():
    ada = AdaController(target=0.5, adjust_kimg=1, interval=1, initial_p=0.25)
    run(ada, torch.tensor([[1.0], [1.0], [1.0], [-1.0]]), 5, batch=4)
    assert ada.p.item() == 0.25


@pytest.mark.parametrize(("logits", "limit"), [(CONFIDENT, 1.0), (-CONFIDENT, 0.0)])
def test_p_stays_a_probability(logits, limit):
    ada = AdaController(adjust_kimg=0.1, interval=1, initial_p=0.5)
    run(ada, logits, 20)
    assert ada.p.item() == limit


def test_fixed_p_measures_but_does_not_move():
    ada = AdaController(target=None, interval=1, initial_p=0.3)
    run(ada, CONFIDENT, 3)
    assert ada.p.item() == pytest.approx(0.3)
    assert ada.rt.item() == 1


@pytest.mark.parametrize("split", [3, 4, 6])
def test_resume_is_exact_in_the_middle_of_an_interval(split):
    draws = torch.randn(13, 8, 1, generator=torch.Generator().manual_seed(0)) + 1.5
    whole = AdaController(adjust_kimg=1, interval=4)
    history = []
    for logits in draws:
        observe(whole, logits)
        whole.end_batch(8)
        history.append((whole.p.item(), whole.rt.item()))
    first = AdaController(adjust_kimg=1, interval=4)
    for logits in draws[:split]:
        run(first, logits, 1)
    state = first.state_dict()
    run(first, CONFIDENT, 4)  # a saved state does not change behind one's back
    second = AdaController(adjust_kimg=1, interval=4)
    second.load_state_dict(state)
    for logits, expected in zip(draws[split:], history[split:], strict=True):
        run(second, logits, 1)
        assert (second.p.item(), second.rt.item()) == expected
    assert len({p for p, _ in history}) > 2


def test_the_pipe_may_hold_the_same_tensor():
    ada = AdaController(adjust_kimg=1, interval=1)
    shared = ada.p
    run(ada, CONFIDENT, 1)
    assert shared.item() == ada.p.item() > 0


def test_an_interval_without_observations_is_a_programming_error():
    ada = AdaController(interval=1)
    with pytest.raises(RuntimeError, match="no logits were counted"):
        ada.end_batch(8)
