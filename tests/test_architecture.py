"""ARCHITECTURE.md tells the truth: its files are there, and a run enters them in its order."""

import json
import re

import pytest

from src.demo import draw_photographs

from .scripts import ROOT, start

pytestmark = pytest.mark.script

TEXT = (ROOT / "ARCHITECTURE.md").read_text()
STEPS = re.findall(r"^\d+\. `(src/[\w/]+\.py)`", TEXT, re.MULTILINE)
TRAIN = ["pretrained=demo", "dataset=demo", "dataset.num_images=16", "batch=4", "tracker=none", "run=mine"]
TRAIN += ["snapshot.kimg=[0,0.02]", "metrics.num_fakes=16", "augment.augment_p=0.5"]
TRAIN += ["loss.lr_g=0.02", "loss.ema_kimg=0"]
SWEEP = ["run=mine", "blend.res=8,16", "n_latents=64", "gates=false", "tracker=none"]
RENDER = ["photos=photos", "run=mine", "snapshot=0.02", "blend.res=16"]  # as asked
RENDER += ["projection.steps=2", "page.strengths=[1]", "faces.align_px=64"]
COMMANDS = [["train.py", *TRAIN], ["sweep.py", *SWEEP], ["caricature.py", *RENDER]]


def test_every_file_that_is_named_is_there():
    named = {name for name in re.findall(r"`(src/[\w/]+\.\w+)`", TEXT)}
    assert len(STEPS) > 25 and len(set(STEPS)) == len(STEPS)
    assert not [name for name in named if not (ROOT / name).is_file()]
    lines = [line for line in TEXT.splitlines() if re.match(r"\d+\. ", line)]
    assert [int(line.split(".")[0]) for line in lines] == list(range(1, len(STEPS) + 1))


def test_a_run_enters_them_in_this_order(tmp_path):
    draw_photographs(tmp_path / "photos", 1)
    done = start("-m", "tests.traced", json.dumps(COMMANDS), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    entered = json.loads(done.stdout.splitlines()[-1])
    assert set(STEPS) <= set(entered), set(STEPS) - set(entered)
    assert [name for name in entered if name in STEPS] == STEPS
