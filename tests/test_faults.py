"""A few of the kills of `python -m experiments.faults`, whose long form is recorded in its folder."""

import json

import pytest

from .scripts import ROOT, start

pytestmark = pytest.mark.script


def test_killed_commands_end_as_undisturbed_ones():
    done = start("-m", "experiments.faults", "--training", "2", "--prepare", "2", cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(row["what"], row["kills"], row["results unlike the undisturbed"]) for row in rows] == [
        ("training", 2, 0),
        ("prepare", 2, 0),
    ]
