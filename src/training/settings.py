"""The settings of the training mathematics, as plain data: names, defaults, ranges."""

from dataclasses import dataclass


@dataclass(frozen=True)
class StepSettings:
    """Everything `TrainingStep` needs to know. Defaults: StyleGAN2-ADA's for one GPU, for transfer to small sets.

    Attributes:
        lr_g: generator learning rate, before the lazy-regularisation ratio.
        lr_d: discriminator learning rate.
        beta1: Adam.
        beta2: Adam.
        eps: Adam.
        r1_gamma: weight γ of R1 (γ/2 times the squared gradient norm), 0 for none.
        r1_interval: iterations between R1 steps.
        pl_weight: weight of path length regularisation, 0 for none.
        pl_interval: iterations between path-length steps.
        pl_batch_shrink: the path-length batch is smaller by this factor.
        pl_decay: of the running mean path length.
        style_mixing_prob: probability of mixing two latents.
        w_avg_beta: decay of w_avg an iteration.
        ema_kimg: half-life of the generator average in kimg.
        ema_rampup: average no longer than this share of the images seen; None (when transferring) for no ramp-up.
        augment_p: initial (with a target) or fixed probability of augmentation.
        ada_target: wanted sign(D(real)) of adaptive augmentation, None for a fixed probability.
        ada_kimg: kimg for p to go from 0 to 1.
        ada_interval: iterations between adjustments of p.
        freeze_d: discriminator layers kept as they are, from the image side (FreezeD).
        freeze_g_resolution: generator blocks up to this resolution are kept as they are, 0 for none (FreezeG).
        freeze_mapping: keep the mapping network as it is.
        structure_weight: weight of the structure loss, 0 for none.
        structure_resolution: RGB resolution at which it compares.
    """

    lr_g: float = 0.0025
    lr_d: float = 0.0025
    beta1: float = 0.0
    beta2: float = 0.99
    eps: float = 1e-8
    r1_gamma: float = 1.0
    r1_interval: int = 16
    pl_weight: float = 2.0
    pl_interval: int = 4
    pl_batch_shrink: int = 2
    pl_decay: float = 0.01
    style_mixing_prob: float = 0.9
    w_avg_beta: float = 0.995
    ema_kimg: float = 5.0
    ema_rampup: float | None = None
    augment_p: float = 0.0
    ada_target: float | None = 0.6
    ada_kimg: float = 100.0
    ada_interval: int = 4
    freeze_d: int = 0
    freeze_g_resolution: int = 0
    freeze_mapping: bool = False
    structure_weight: float = 0.0
    structure_resolution: int = 16
