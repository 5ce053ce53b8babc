"""What `train.py` is asked to do: the groups of options that are training's own, and all of them together."""

from dataclasses import dataclass
from typing import Annotated, Literal

from ..augment import AdaSettings, AugmentSettings
from ..data import DatasetSettings
from ..fetch import WeightsFolder
from ..metrics import MetricsSettings
from ..options import Count, NotNegative, Options, Positive, Range, Seed, Share
from ..runs import PathsSettings
from ..tracking import TrackerSettings
from ..weights import PretrainedSettings
from .schedule import snapshot_marks

Decay = Annotated[float, Range(0, 0.9999)]
BLUR_REACH = 3  # standard deviations to which the blur of `loss.blur_px` reaches


@dataclass(frozen=True, kw_only=True)
class SnapshotSettings(Options):
    """The group `snapshot`."""

    # when, see `schedule.snapshot_marks`
    kimg: Annotated[
        Literal["early"] | float | tuple[float, ...],
        "early, a number of kimg, or a list of increasing marks such as [0,1,2,4]",
    ]
    dtype: Literal["fp32", "fp16"]  # of the stored tensors
    keep_best: Count | None  # keep so many of lowest KID, besides the first and the last two; None for all
    max_gb: Positive | None  # delete the worst when they and checkpoints take more GiB; None for no limit
    grid_psi: Annotated[float, Range(0, 2)]  # truncation of the sample grids
    stop: Count | None  # sweep each, and end after so many without a better choice; None for no such end


@dataclass(frozen=True, kw_only=True)
class ModelSettings(Options):
    """The group `model`: None is what the pretrained file says."""

    name: str  # of the choice
    z_dim: Count | None  # numbers of a latent
    w_dim: Count | None  # numbers of a code
    channel_base: Annotated[int, Range(4)] | None  # maps times px of a layer
    channel_max: Count | None  # the most maps of a layer
    num_mapping_layers: Count | None  # depth of the mapping network
    conditional: bool | None  # know the classes of the data set's labels


@dataclass(frozen=True, kw_only=True)
class LossSettings(Options):
    """The group `loss`. Defaults: StyleGAN2-ADA's for one GPU, for transfer to small sets."""

    name: str = "transfer"  # of the choice
    lr_g: NotNegative = 0.0025  # generator learning rate, before the lazy-regularisation ratio
    lr_d: NotNegative = 0.0025  # discriminator learning rate
    beta1: Decay = 0.0  # Adam
    beta2: Decay = 0.99  # Adam
    eps: Positive = 1e-8  # Adam
    # weight γ of R1 (γ/2 times the squared gradient norm), 0 for none; None for 0.0002 resolution² / batch
    r1_gamma: NotNegative | None = None
    r1_interval: Count = 16  # iterations between R1 steps
    pl_weight: NotNegative = 2.0  # weight of path length regularisation, 0 for none
    pl_interval: Count = 4  # iterations between path-length steps
    pl_batch_shrink: Count = 2  # the path-length batch is smaller by this factor
    pl_decay: Share = 0.01  # of the running mean path length
    style_mixing_prob: Share = 0.9  # probability of mixing two latents
    w_avg_beta: Share = 0.995  # decay of w_avg an iteration
    ema_kimg: NotNegative | None = None  # half-life of the generator average in kimg; None for batch · 10 / 32
    freeze_d: Annotated[int, Range(0)] = 0  # discriminator layers kept as they are, from the image side (FreezeD)
    # generator blocks up to this resolution are kept as they are, 0 for none (FreezeG)
    freeze_g_resolution: Annotated[int, Range(0)] = 0
    freeze_mapping: bool = False  # keep the mapping network as it is
    blur_px: NotNegative = 0.0  # D sees pictures through a Gaussian of this standard deviation, 0 for none
    structure_weight: NotNegative = 0.0  # weight of the structure loss, 0 for none
    structure_resolution: Annotated[int, Range(4)] = 16  # RGB resolution at which it compares

    def check(self) -> None:
        """Refuse a resolution of a loss that is off."""
        if self.structure_weight == 0 and self.structure_resolution != LossSettings.structure_resolution:
            raise self.wrong("structure_resolution", "has no effect while loss.structure_weight=0: set the weight")


@dataclass(frozen=True, kw_only=True)
class StepSettings(LossSettings, AdaSettings):
    """Everything `TrainingStep` needs to know: the groups `loss` and `augment`, with what is None there worked out."""

    r1_gamma: NotNegative = 1.0
    ema_kimg: NotNegative = 5.0
    ada_kimg: Positive = 100.0
    # average no longer than this share of the images seen; None (when transferring) for no ramp-up
    ema_rampup: float | None = None


@dataclass(frozen=True, kw_only=True)
class TrainerSettings(Options):
    """The group `trainer`: what a run computes on, and how."""

    accelerator: Literal["auto", "cpu", "gpu"] = "auto"  # kind of device
    devices: Count = 1  # how many, of each machine; the batch is divided among them
    num_nodes: Count = 1  # machines, on each of which torchrun or srun starts `devices` processes
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"  # number format of the networks
    ops: Literal["auto", "reference", "required"] = "auto"  # which implementations of the ops serve
    allocator: Literal["auto", "keep", "system"] = "auto"  # whether freed memory is kept
    graphs: Literal["auto"] | bool = "auto"  # phases as CUDA graphs
    tf32: bool = False  # float32 products and convolutions on a GPU in TF32
    compile: bool = False  # main phases through torch.compile
    deterministic: bool = False  # on a GPU nothing but what gives the same bits every time
    profile: bool = False  # measure some iterations
    progress: bool = True  # show a bar

    def check(self) -> None:
        """Refuse options that exclude each other."""
        if self.graphs is True and self.compile:
            raise self.wrong("graphs", "trainer.graphs=true and trainer.compile=true exclude each other: choose one")


@dataclass(frozen=True, kw_only=True)
class TrainSettings(Options):
    """All options of `conf/train.yaml`."""

    # name or folder of the run; None makes a name from the configuration
    run: Annotated[str, "a name or a folder"] | None
    # whether the same command again goes on where it was; fork: a changed one goes on from there in a run of its own
    resume: Literal["fork"] | bool
    seed: Seed  # of the run
    batch: Count  # real images an iteration, of all devices together
    batch_gpu: Count | None  # so many at once on a device, which saves memory; None for its share of the batch
    total_kimg: NotNegative | None  # end of the run; None for the last mark of `snapshot.kimg`, or 32
    snapshot: SnapshotSettings  # when and how snapshots are kept
    log_kimg: Positive  # a row of losses and speed every so many kimg
    checkpoint_kimg: Positive  # the full state every so many kimg
    paths: PathsSettings  # where runs are
    weights: WeightsFolder  # where published files are
    dataset: DatasetSettings  # which pictures
    pretrained: PretrainedSettings  # which network it starts from
    model: ModelSettings  # sizes of the networks
    loss: LossSettings  # optimisers and losses
    augment: AugmentSettings  # of what D sees
    metrics: MetricsSettings  # of snapshots
    tracker: TrackerSettings  # W&B
    trainer: TrainerSettings  # device and speed

    def check(self) -> None:
        """Refuse marks after the end, and choosing snapshots by what nobody can measure."""
        snapshot_marks(self.snapshot.kimg, self.total_kimg)
        if self.snapshot.stop is not None and self.pretrained.source is None:
            raise self.wrong("snapshot.stop", "blends need a network to start from: choose one with pretrained=")
        if self.resume == "fork" and self.run is None:
            raise self.wrong("resume", "say with run=NAME which run the new one goes on from")
        if self.snapshot.keep_best is not None and self.metrics.extractor is None:
            raise self.wrong(
                "snapshot.keep_best", "needs KID to tell which are best: choose metrics=embedded, or leave it null"
            )
