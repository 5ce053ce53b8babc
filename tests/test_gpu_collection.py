"""What `pytest -m gpu` needs: a machine with a GPU may have PyTorch and Lightning alone."""

import subprocess
import sys
from pathlib import Path

WITHOUT = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("hydra", "omegaconf", "wandb"):
            raise ModuleNotFoundError(f"No module named {name!r}")

sys.meta_path.insert(0, Absent())
import pytest
sys.exit(pytest.main(["-q", "-m", "gpu", "--collect-only", "-p", "no:hydra_pytest"]))
"""


def test_gpu_tests_are_collected_without_hydra_and_wandb():
    root = Path(__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", WITHOUT], cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    collected = {line.split("::")[0] for line in done.stdout.splitlines() if "::" in line}
    assert collected == {f"tests/gpu/{path.name}" for path in (root / "tests" / "gpu").glob("test_*.py")}
