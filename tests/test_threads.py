"""Threads that wait sleep soon, unless the user has said how they wait."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from src import SPIN_ROUNDS

pytestmark = pytest.mark.script

ROOT = Path(__file__).resolve().parents[1]
ASK = "import sys, src, os; print(os.environ.get('GOMP_SPINCOUNT'), 'torch' in sys.modules)"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, f"{SPIN_ROUNDS} False"),
        ({"GOMP_SPINCOUNT": "7"}, "7 False"),
        ({"OMP_WAIT_POLICY": "active"}, "None False"),
    ],
)
def test_it_is_set_before_pytorch_is_imported(given, expected):
    clean = {k: v for k, v in os.environ.items() if k not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    done = subprocess.run([sys.executable, "-c", ASK], cwd=ROOT, env=clean | given, capture_output=True, text=True)
    assert done.stdout.strip() == expected, done.stderr


@pytest.mark.parametrize("script", ["train.py", "sweep.py", "prepare.py", "caricature.py", "generate.py"])
def test_the_scripts_import_this_package_first(script):
    lines = [line for line in (ROOT / script).read_text().splitlines() if line.startswith(("import", "from"))]
    assert not [line for line in lines if "torch" in line or "lightning" in line]
    assert any(line.startswith("from src.cli import script") for line in lines)
