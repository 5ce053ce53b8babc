"""Windows has neither `fcntl` nor `resource`: every module is imported without them."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
POSIX = ("fcntl", "grp", "pwd", "resource", "syslog", "termios", "tty")
MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for path in (ROOT / "src").rglob("*.py")
    if path.name != "__main__.py"
)
# The packages of others choose by the platform, so they are imported before.
IMPORT_ALL = f"""
import importlib, sys
import hydra, numpy, PIL.Image, pytorch_lightning, safetensors.torch, scipy.linalg, torch, torchmetrics, tqdm, wandb
sys.modules.update(dict.fromkeys({POSIX}))
for name in {MODULES}:
    importlib.import_module(name)
"""


def test_every_module_is_imported_without_what_windows_has_not():
    assert "src.training.run" in MODULES
    done = subprocess.run([sys.executable, "-c", IMPORT_ALL], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
