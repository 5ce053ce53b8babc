"""requirements.lock fits pyproject.toml, pins every package by hash, and names no place of its own."""

import re
import tomllib
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
LOCK = (ROOT / "requirements.lock").read_text()
ENTRY = re.compile(r"^([\w.-]+)==(\S+)(?: ; .+)? \\\n((?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)", re.MULTILINE)
NOT_LOCKED = {"torch", "opencv-python", "caricature"}  # why: lock.toml; the last is this project itself


def requirements():
    """What pyproject.toml asks for, extras included."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lists = [project["dependencies"], *project["optional-dependencies"].values()]
    return [Requirement(text) for texts in lists for text in texts]


def pins():
    """Every version of every package in the lock: on another Python it may be another one."""
    found = {}
    for name, version, _ in ENTRY.findall(LOCK):
        found.setdefault(name, []).append(version)
    return found


def test_every_line_is_a_version_with_hashes_or_a_comment():
    assert not re.sub(r"^ *#.*$", "", ENTRY.sub("", LOCK), flags=re.MULTILINE).strip()


def test_what_pyproject_asks_for_is_locked_within_its_ranges():
    locked = pins()
    for requirement in requirements():
        name = requirement.name.lower()
        if name not in NOT_LOCKED:
            assert locked.get(name), f"{name} is not locked: make lock"
            for version in locked[name]:
                assert requirement.specifier.contains(version), f"{requirement} has {version} in the lock: make lock"
    assert not NOT_LOCKED & locked.keys()


def test_the_version_of_torch_is_in_the_range_and_known_to_the_lock():
    (version,) = re.findall(r"^TORCH := torch==(\S+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    (torch,) = [requirement for requirement in requirements() if requirement.name == "torch"]
    assert torch.specifier.contains(version)
    assert f'name = "torch"\nversion = "{version}"' in (ROOT / "lock.toml").read_text()
