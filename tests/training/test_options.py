"""Options of train.py: what cannot be is refused by name before anything is opened."""

import pytest

from src.cli import compose_config
from src.errors import UserError
from src.networks import NAMES as PRECISIONS
from src.ops import ALLOCATORS, POLICIES
from src.options import kinds, read
from src.training import TrainSettings
from src.training.settings import TrainerSettings

WRONG = [
    ("batch=abc", "batch=abc: give a whole number from 1 up"),
    ("batch=2.5", "batch=2.5"),
    ("batch=null", "batch=null: give a whole number from 1 up"),
    ("batch=true", "batch=true"),
    ("seed=-1", "seed=-1"),
    ("total_kimg=inf", "total_kimg=inf"),
    ("total_kimg=nan", "total_kimg=nan"),
    ("resume=perhaps", "resume=perhaps: give fork, true or false"),
    ("run=''", "run=: give a name or a folder or null"),
    ("log_kimg=0", "log_kimg=0: give a number above 0"),
    ("snapshot.dtype=fp64", "snapshot.dtype=fp64: give fp32 or fp16"),
    ("snapshot.keep_best=0", "snapshot.keep_best=0"),
    ("paths.runs=null", "paths.runs=null: give a text"),
    ("weights.folder=null", "weights.folder=null: give a path"),
    ("weights.mirror=''", "weights.mirror=: give a text or null"),
    ("dataset.num_images=1", "dataset.num_images=1"),
    ("loss.beta2=1.5", "loss.beta2=1.5"),
    ("loss.pl_interval=0", "loss.pl_interval=0"),
    ("loss.style_mixing_prob=2", "loss.style_mixing_prob=2: give a number from 0 to 1"),
    ("augment.ada_kimg=0", "augment.ada_kimg=0"),
    ("metrics.extractor=clip", "metrics.extractor=clip: give auto, embedded, inception, dinov2 or null"),
    ("augment.pipe=bcg", "augment.pipe=bcg: give blit, geom, color, filter, noise, cutout, bg, bgc, bgcf, bgcfn, "),
    ("snapshot.kimg=late", "snapshot.kimg=late: give early, a number of kimg, or a list of increasing marks"),
    ("trainer.devices=0", "trainer.devices=0: give a whole number from 1 up"),
    ("trainer.graphs=perhaps", "trainer.graphs=perhaps: give auto, true or false"),
    ("trainer.graphs=1", "trainer.graphs=1: give auto, true or false"),
    ("trainer.tf32=auto", "trainer.tf32=auto: give true or false"),
    ("trainer.accelerator=tpu", "trainer.accelerator=tpu: give auto, cpu or gpu"),
]
NO_EFFECT = [
    (["trainer.graphs=true", "trainer.compile=true"], "exclude each other"),
    (["loss.structure_resolution=8"], "loss.structure_weight=0"),
    (["augment=none", "augment.augment_p=0.5"], "without a pipe"),
    (["augment.pipe=null"], "without a pipe"),
    (["augment=fixed", "augment.augment_p=0"], "never augments"),
    (["augment=fixed", "augment.ada_kimg=5"], "augment.ada_kimg=5: has no effect"),
    (["metrics=none", "snapshot.keep_best=3"], "snapshot.keep_best=3: needs KID"),
]


@pytest.mark.parametrize(("override", "words"), WRONG)
def test_a_wrong_value_is_named(override, words):
    with pytest.raises(UserError) as error:
        read(TrainSettings, compose_config("train", [override]))
    assert words in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(("overrides", "words"), NO_EFFECT)
def test_an_option_without_effect_is_refused(overrides, words):
    with pytest.raises(UserError, match=words):
        read(TrainSettings, compose_config("train", overrides))


@pytest.mark.parametrize("name", ["2024", "nan", "first", "1e3"])
def test_a_run_may_have_any_name(name):
    read(TrainSettings, compose_config("train", [f"run={name}"]))


def test_a_group_cannot_be_replaced():
    with pytest.raises(UserError, match="loss=3: is a group of options"):
        read(TrainSettings, {**compose_config("train"), "loss": 3})


def test_the_names_of_lower_floors_are_the_options():
    """Settings are read without torch; what computes has its own tables of names."""
    trainer = kinds(TrainerSettings)
    assert trainer["precision"].words == PRECISIONS
    assert trainer["ops"].words == POLICIES and trainer["allocator"].words == ALLOCATORS


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["metrics=fid", "metrics.weights=other"], "metrics.weights=other: give published or nvidia"),
        (["metrics=fid", "metrics.weights=nvidia"], "metrics.weights_sha256"),
        (
            ["metrics=fid", f"metrics.weights_sha256={'ab' * 32}"],
            "abab: has no effect with metrics.weights=published",
        ),
        (["metrics=fid", "metrics.extractor=embedded"], "metrics=fid measures on inception"),
    ],
)
def test_weights_of_inception_are_checked(overrides, words):
    read(TrainSettings, compose_config("train", ["metrics=fid"]))
    with pytest.raises(UserError) as error:
        read(TrainSettings, compose_config("train", overrides))
    assert words in str(error.value) and "\n" not in str(error.value)
