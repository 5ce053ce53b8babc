"""Options of train.py: what cannot be is refused by name before anything is opened."""

import pytest

from src.cli import compose_config
from src.errors import UserError
from src.training.options import RULES, check_options

WRONG = [
    ("batch=abc", "batch=abc: give a whole number from 1 up"),
    ("batch=2.5", "batch=2.5"),
    ("batch=null", "batch=None"),
    ("batch=true", "batch=True"),
    ("seed=-1", "seed=-1"),
    ("total_kimg=inf", "total_kimg=inf"),
    ("total_kimg=nan", "total_kimg=nan"),
    ("resume=perhaps", "resume=perhaps: give true or false"),
    ("run=''", "run=: give a name, a folder, or null"),
    ("log_kimg=0", "log_kimg=0: give a number above 0"),
    ("snapshot.dtype=fp64", "snapshot.dtype=fp64: give fp32 or fp16"),
    ("snapshot.keep_best=0", "snapshot.keep_best=0"),
    ("paths.runs=null", "paths.runs=None"),
    ("weights.folder=null", "weights.folder=None: give a text"),
    ("weights.mirror=''", "weights.mirror=: give a text or null"),
    ("dataset.num_images=1", "dataset.num_images=1"),
    ("loss.beta2=1.5", "loss.beta2=1.5"),
    ("loss.pl_interval=0", "loss.pl_interval=0"),
    ("loss.style_mixing_prob=2", "loss.style_mixing_prob=2: give a number from 0 to 1"),
    ("augment.ada_kimg=0", "augment.ada_kimg=0"),
    ("metrics.extractor=clip", "metrics.extractor=clip"),
    ("trainer.graphs=perhaps", "trainer.graphs=perhaps: give auto or true or false"),
    ("trainer.graphs=1", "trainer.graphs=1: give auto or true or false"),
    ("trainer.tf32=auto", "trainer.tf32=auto: give true or false"),
    ("trainer.accelerator=tpu", "trainer.accelerator=tpu: give auto or cpu or gpu"),
]
NO_EFFECT = [
    (["trainer.graphs=true", "trainer.compile=true"], "exclude each other"),
    (["loss.structure_resolution=8"], "loss.structure_weight=0"),
    (["augment=none", "augment.augment_p=0.5"], "without a pipe"),
    (["augment.pipe=null"], "without a pipe"),
    (["augment=fixed", "augment.augment_p=0"], "never augments"),
    (["augment=fixed", "augment.ada_kimg=5"], "augment.ada_kimg has no effect"),
    (["metrics=none", "snapshot.keep_best=3"], "snapshot.keep_best needs KID"),
]


@pytest.mark.parametrize(("override", "words"), WRONG)
def test_a_wrong_value_is_named(override, words):
    with pytest.raises(UserError) as error:
        check_options(compose_config("train", [override]))
    assert words in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(("overrides", "words"), NO_EFFECT)
def test_an_option_without_effect_is_refused(overrides, words):
    with pytest.raises(UserError, match=words):
        check_options(compose_config("train", overrides))


@pytest.mark.parametrize("name", ["2024", "nan", "first", "1e3"])
def test_a_run_may_have_any_name(name):
    check_options(compose_config("train", [f"run={name}"]))


def test_a_group_cannot_be_replaced():
    with pytest.raises(UserError, match="loss=3: is a group of options"):
        check_options({**compose_config("train"), "loss": 3})


def test_every_option_has_a_rule():
    exempt = {"snapshot.kimg", "dataset.kind", "dataset.domain", "experiment"}  # read and checked by their owners
    exempt |= {"pretrained.about", "pretrained.file", "pretrained.architecture"}  # compared with the catalogue
    choices = [[], ["dataset=folder", "dataset.path=x"], ["pretrained=none", "model=tiny", "loss=scratch"]]
    choices += [["pretrained=ffhq256"], ["metrics=fid"]]
    for overrides in choices:
        config = compose_config("train", overrides)
        keys = {f"{g}.{k}" for g, v in config.items() if isinstance(v, dict) for k in v if k != "name"}
        keys |= {k for k, v in config.items() if not isinstance(v, dict)}
        assert keys - exempt <= set(RULES)


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["metrics=fid", "metrics.weights=other"], "metrics.weights=other: give published or nvidia"),
        (["metrics=fid", "metrics.weights=nvidia"], "metrics.weights_sha256"),
        (["metrics=fid", "metrics.weights_sha256=ab"], "no effect with metrics.weights=published"),
        (["metrics=fid", "metrics.extractor=embedded"], "metrics=fid measures on inception"),
    ],
)
def test_weights_of_inception_are_checked(overrides, words):
    check_options(compose_config("train", ["metrics=fid"]))
    with pytest.raises(UserError) as error:
        check_options(compose_config("train", overrides))
    assert words in str(error.value) and "\n" not in str(error.value)
