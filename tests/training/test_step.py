"""The training step: what each phase changes, that it learns, and that splitting a run changes nothing."""

import copy

import pytest
import torch

from src.augment.pipe import AugmentPipe
from src.data import gaussian_blur
from src.draws import Draws
from src.errors import UserError
from src.training.losses import path_lengths, r1_penalty, style_codes
from src.training.settings import StepSettings
from src.training.step import Batch, TrainingStep

from ..tiny import make_tiny


def make(settings=None, augment=None, seed=0, source=None, batch_size=4):
    G, D = make_tiny(seed, noise=0.0)
    return TrainingStep(G, D, settings or StepSettings(), augment=augment, source=source, batch_size=batch_size)


def reals(nimg, n=4):
    return Batch(torch.randn([n, 3, 16, 16], generator=torch.Generator().manual_seed(nimg)), None)


def run(step, start, stop):
    for nimg in range(start, stop, 4):
        stats = step.run(reals(nimg), nimg)
    return stats


def test_continuing_from_saved_state_is_bit_equal():
    settings = StepSettings(augment_p=0.3, ada_kimg=0.1)
    whole = make(settings, AugmentPipe.preset("bgc"))
    run(whole, 0, 100)
    first = make(settings, AugmentPipe.preset("bgc"))
    run(first, 0, 52)
    second = make(settings, AugmentPipe.preset("bgc"), seed=1)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    for name, optimizer in first.optimizers.items():
        second.optimizers[name].load_state_dict(copy.deepcopy(optimizer.state_dict()))
    run(second, 52, 100)
    for (key, a), (_, b) in zip(whole.state_dict().items(), second.state_dict().items(), strict=True):
        if isinstance(a, torch.Tensor):
            assert torch.equal(a, b), key
    assert float(whole.ada.p) == float(second.ada.p) != pytest.approx(0.3)


def test_a_fixed_probability_is_that_of_the_options_whatever_the_state_has():
    adaptive = make(StepSettings(augment_p=0.3), AugmentPipe.preset("bgc"))
    fixed = make(StepSettings(augment_p=0.5, ada_target=None), AugmentPipe.preset("bgc"))
    fixed.load_state_dict(adaptive.state_dict())
    assert (float(fixed.ada.p), float(fixed.augment.p)) == (0.5, 0.5)
    adaptive.load_state_dict(fixed.state_dict())
    assert (float(adaptive.ada.p), float(adaptive.augment.p)) == (0.5, 0.5)


def test_everything_moves_with_the_networks():
    step = make(
        StepSettings(structure_weight=1.0, structure_resolution=8), AugmentPipe.preset("bgc"), source=make(seed=1).G
    )
    step.to(torch.float64)
    assert {t.dtype for t in (step.ada.p, step.ada.rt, step.ada._sign_sum)} == {torch.float64}
    assert all(p.dtype == torch.float64 for p in step._source[0].parameters())
    assert not any(key.startswith("_source") for key in step.state_dict())


def test_lazy_phases_run_at_their_interval():
    step = make()
    ran = [sorted(step.run(reals(nimg), nimg)) for nimg in range(0, 17 * 4, 4)]
    assert ["loss/r1" in names for names in ran] == [i % 16 == 0 for i in range(17)]
    assert ["loss/path_length" in names for names in ran] == [i % 4 == 0 for i in range(17)]


def test_lazy_regularisation_slows_adam_by_the_papers_ratio():
    step = make(StepSettings(lr_g=0.01, lr_d=0.01))
    group = {name: optimizer.param_groups[0] for name, optimizer in step.optimizers.items()}
    assert group["G"]["lr"] == pytest.approx(0.01 * 4 / 5)
    assert group["D"]["lr"] == pytest.approx(0.01 * 16 / 17)
    assert group["D"]["betas"] == (0.0, pytest.approx(0.99 ** (16 / 17)))
    without = make(StepSettings(lr_g=0.01, pl_weight=0.0))
    assert without.optimizers["G"].param_groups[0]["lr"] == pytest.approx(0.01)
    assert [phase.name for phase in without.phases] == ["G_main", "D_main", "D_reg"]


def test_discriminator_learns_to_tell_reals_apart():
    step = make(StepSettings(lr_g=0.0, ada_target=None, r1_gamma=0.1))
    bright = Batch(torch.full([4, 3, 16, 16], 0.9), None)
    first = float(step.run(bright, 0)["loss/D"])
    for i in range(1, 100):
        last = float(step.run(bright, 4 * i)["loss/D"])
    assert last < 0.5 * first


def test_freezing_keeps_what_it_names():
    step = make(StepSettings(freeze_d=3, freeze_g_resolution=8, freeze_mapping=True))
    before = copy.deepcopy(step.state_dict())
    run(step, 0, 12)
    after = step.state_dict()
    same = {key for key in before if isinstance(before[key], torch.Tensor) and torch.equal(before[key], after[key])}
    assert {"G.mapping.fc0.weight", "G.synthesis.b4.const", "G.synthesis.b8.conv0.weight"} <= same
    assert {"D.b16.fromrgb.weight", "D.b16.conv0.weight", "D.b16.conv1.weight"} <= same
    assert not {"G.synthesis.b16.conv0.weight", "D.b16.skip.weight", "D.b4.out.weight"} & same


def test_freezing_more_than_there_is_is_refused():
    with pytest.raises(UserError, match="freeze_d=99"):
        make(StepSettings(freeze_d=99))
    with pytest.raises(UserError, match="freeze_g_resolution=16"):
        make(StepSettings(freeze_g_resolution=16))


def test_the_discriminator_sees_blurred_pictures_in_every_phase(monkeypatch):
    seen: dict[float, list[torch.Tensor]] = {0.0: [], 1.5: []}
    for blur_px, pictures in seen.items():
        step = make(StepSettings(blur_px=blur_px, lr_g=0.0, ada_target=None))  # G makes the same ones in both
        forward = step.D.forward

        def looking(images, *args, forward=forward, pictures=pictures, **kwargs):
            pictures.append(images.detach())
            return forward(images, *args, **kwargs)

        monkeypatch.setattr(step.D, "forward", looking)
        step.run(reals(0), 0)
    assert [len(images) for images in seen[1.5]] == [4, 8, 4]  # G main, D main with fakes and reals, R1
    for plain, blurred in zip(*seen.values(), strict=True):
        torch.testing.assert_close(blurred, gaussian_blur(plain, 1.5, reach=3, edges="reflect"), rtol=0, atol=1e-6)


def test_pictures_are_blurred_before_they_are_augmented():
    given = []
    step = make(StepSettings(blur_px=1.5, ada_target=None))
    step.augment = lambda images, generator: given.append(images) or images
    step._shown(reals(0).images, Draws(None))
    assert torch.equal(given[0], gaussian_blur(reals(0).images, 1.5, reach=3, edges="reflect"))


def test_a_blur_wider_than_the_picture_is_refused():
    make(StepSettings(blur_px=5.0)).run(reals(0), 0)
    with pytest.raises(UserError, match=r"loss\.blur_px=5\.1: at most 5 for pictures of 16 px"):
        make(StepSettings(blur_px=5.1))


def test_structure_loss_needs_and_uses_the_source():
    with pytest.raises(UserError, match="structure_weight"):
        make(StepSettings(structure_weight=1.0, structure_resolution=8))
    torch.manual_seed(0)
    source = make_tiny(1)[0].requires_grad_(False)
    for weight, ratio in ((0.0, None), (1000.0, 0.5)):
        resolution = {"structure_resolution": 8} if weight else {}
        step = make(StepSettings(structure_weight=weight, lr_g=0.01, **resolution), source=source, seed=3)
        first = step.run(reals(0), 0).get("loss/structure")
        for i in range(1, 12):
            last = step.run(reals(4 * i), 4 * i).get("loss/structure")
        assert (first is None) == (ratio is None)
        if ratio is not None:
            assert float(last) < ratio * float(first)


def test_average_and_w_avg_follow():
    step = make(StepSettings(ema_kimg=0.004, w_avg_beta=0.5))
    run(step, 0, 40)
    live, average = step.G.state_dict(), step.G_ema.state_dict()
    assert torch.equal(live["mapping.w_avg"], average["mapping.w_avg"])
    assert live["mapping.w_avg"].abs().sum() > 0
    key = "synthesis.b16.conv1.weight"
    assert not torch.equal(live[key], average[key])
    assert not any(p.requires_grad for p in step.G_ema.parameters())


def test_r1_penalty_of_a_linear_function_is_its_squared_slope():
    images = torch.randn([5, 3, 4, 4], requires_grad=True)
    slope = torch.randn([3, 4, 4])
    penalty = r1_penalty((images * slope).sum(dim=(1, 2, 3))[:, None], images)
    torch.testing.assert_close(penalty, slope.square().sum().expand(5))


def test_path_length_of_a_linear_map_is_its_row_norm():
    ws = torch.randn([3, 2, 7], requires_grad=True)
    matrix, y = torch.randn([2 * 7, 3 * 4 * 4]), torch.randn([3, 3, 4, 4])
    lengths = path_lengths((ws.flatten(1) @ matrix).reshape(3, 3, 4, 4), ws, y)
    jacobian = (y.flatten(1) / 4) @ matrix.t()
    torch.testing.assert_close(lengths, jacobian.reshape(3, 2, 7).square().sum(2).mean(1).sqrt())


def test_mixing_takes_codes_from_two_latents():
    G = make(StepSettings()).G
    ws = style_codes(G, 64, None, 1.0, Draws(torch.Generator().manual_seed(0)))
    assert not torch.equal(ws[:, 0], ws[:, -1])
    alone = style_codes(G, 8, None, 0.0, Draws(torch.Generator().manual_seed(0)))
    assert torch.equal(alone[:, 0], alone[:, -1])
