"""Windows has neither `fcntl` nor `resource`: every module is imported without them."""

import pytest

from .scripts import ROOT, start

POSIX = ("fcntl", "grp", "pwd", "resource", "syslog", "termios", "tty")
MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for path in (ROOT / "src").rglob("*.py")
    if path.name != "__main__.py"
)
# The packages of others choose by the platform, so they are imported before (most are in `scripts.IMPORTED`).
IMPORT_ALL = f"""
import importlib, sys
import numpy, safetensors.torch, tqdm
assert not [name for name in sys.modules if name.startswith("src.")]
sys.modules.update(dict.fromkeys({POSIX}))
for name in {MODULES}:
    importlib.import_module(name)
"""


@pytest.mark.script
def test_every_module_is_imported_without_what_windows_has_not():
    assert "src.training.run" in MODULES
    done = start("-c", IMPORT_ALL)
    assert done.returncode == 0, done.stderr
