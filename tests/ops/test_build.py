"""Building the kernels: once, for whoever asks first, on machines where something is missing, after a killed build."""

import os
import subprocess
import sys

import pytest
import torch

from src.files import CACHE_VARIABLE
from src.lock import exclusive
from src.ops import backend, backend_info, build, set_policy, upfirdn2d
from src.ops.build import BuildError
from tests.scripts import ROOT, begin, start

pytestmark = pytest.mark.script

QUICKLY = "from src.ops import build; build.CPU_FLAGS = build.CPU_FLAGS.replace('-O3', '-O0')"
SHOW = "from src.ops import backend_info; info = backend_info(); print(info['upfirdn2d'], '|', info['reason'])"


@pytest.fixture
def fresh(tmp_path, monkeypatch, library):
    """Nothing loaded yet, and a cache of its own."""
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    monkeypatch.setattr(backend, "_loaded", {})
    monkeypatch.setattr(backend, "_policy", "auto")
    return tmp_path / "cache" / "ops"


@pytest.fixture
def quickly(monkeypatch):
    """Builds without optimisation, a third of the time: for tests that look at the building and not at the library.

    What they start does the same by `QUICKLY`.
    """
    monkeypatch.setattr(build, "CPU_FLAGS", build.CPU_FLAGS.replace("-O3", "-O0"))


def test_built_once_and_used_by_later_processes(fresh, quickly):
    first = build.build("cpu")
    made = first.stat().st_mtime_ns
    assert build.build("cpu") == first and first.stat().st_mtime_ns == made
    assert sorted(p.name for p in fresh.iterdir()) == [first.parent.name], "nothing but the library's folder is left"
    done = start("-c", f"{QUICKLY}; {SHOW}")
    assert done.stdout.startswith("cpu | compiled CPU kernels"), done.stderr
    assert first.stat().st_mtime_ns == made


def test_processes_that_start_together_share_one_build(fresh, quickly):
    started = [begin("-c", f"{QUICKLY}; print(build.build('cpu').stat().st_ino)") for _ in range(3)]
    assert len({process.communicate(120)[0] for process in started}) == 1
    assert len(list(fresh.iterdir())) == 1


def test_a_killed_build_is_no_obstacle(fresh, quickly):
    library = build.build("cpu")
    name = library.parent.name
    library.unlink()  # a folder without its library
    (fresh / f"{name}.lock").touch()  # a lock file that nobody holds
    left, another, running = (fresh / f"{n}.aaaa.building" for n in (name, "cpu-killed", "cpu-running"))
    for folder in (left, another, running):
        folder.mkdir()
        os.utime(folder, (1, 1))  # whatever the clock says
    with exclusive(fresh / "cpu-running.lock"):
        assert build.build("cpu").exists()
    assert sorted(p.name for p in fresh.iterdir()) == [name, running.name], "only what nobody is building is swept"


def test_a_changed_source_or_compiler_is_another_library(fresh, quickly, monkeypatch, tmp_path):
    first = build.build("cpu")
    sources = tmp_path / "csrc"
    sources.mkdir()
    for path in build.SOURCES.iterdir():
        (sources / path.name).write_bytes(path.read_bytes())
    (sources / "ops.h").write_text((sources / "ops.h").read_text() + "// changed\n")
    monkeypatch.setattr(build, "SOURCES", sources)
    assert build.build("cpu") != first


@pytest.mark.parametrize(
    ("tool", "told"), [("compiler", "no C++ compiler (g++ or clang++) was found"), ("ninja", "ninja was not found")]
)
def test_without_a_tool_the_reference_serves_with_one_line(fresh, monkeypatch, tool, told):
    real = build.shutil.which
    names = ("c++", "g++", "clang++") if tool == "compiler" else ("ninja",)
    monkeypatch.setattr(build.shutil, "which", lambda name, **more: None if name in names else real(name, **more))
    monkeypatch.delenv("CXX", raising=False)
    info = backend_info()
    assert info["upfirdn2d"] == info["bias_act"] == info["epilogue"] == "reference"
    assert told in info["reason"] and "\n" not in info["reason"]
    assert upfirdn2d(torch.ones(1, 1, 4, 4), torch.ones(2, 2)).shape == (1, 1, 3, 3)
    assert not fresh.exists()
    set_policy("required")
    with pytest.raises(backend.KernelsRequired, match="compiled ops are required"):
        upfirdn2d(torch.ones(1, 1, 4, 4), torch.ones(2, 2))


def test_a_failing_compiler_is_quoted(fresh, monkeypatch, tmp_path):
    compiler = tmp_path / "c++"
    compiler.write_text(
        '#!/bin/sh\n[ "$1" = --version ] && exec echo broken 1.0\necho "ops.h:1: error: no luck" >&2\nexit 1\n'
    )
    compiler.chmod(0o755)
    monkeypatch.setenv("CXX", str(compiler))
    info = backend_info()
    assert info["upfirdn2d"] == "reference" and "no luck" in info["reason"] and "no luck" in info["log"]
    set_policy("required")
    with pytest.raises(backend.KernelsRequired, match="no luck"):
        backend_info()
    assert not list(fresh.glob("*")), "a failed build leaves nothing"


def test_a_cache_that_cannot_be_written(fresh, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "file" / "cache"))
    assert "reference" in backend_info()["reason"]


def test_a_damaged_library_is_no_crash(fresh, quickly):
    build.build("cpu").write_bytes(b"not a library")
    assert "cannot be loaded" in backend_info()["reason"]


def test_importing_builds_nothing_and_is_quick(tmp_path):
    code = (
        "import time, torch; start = time.perf_counter()\n"
        "import src.ops, src.networks; print(time.perf_counter() - start)"
    )
    env = {**os.environ, CACHE_VARIABLE: str(tmp_path / "cache")}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=env, capture_output=True, text=True, timeout=120)
    assert float(done.stdout) < 2.0, done.stderr
    assert not (tmp_path / "cache").exists()


def test_the_environment_chooses_the_policy():
    asked, failed = (start("-c", SHOW, env={**os.environ, "CARICATURE_OPS": name}) for name in ("reference", "fastest"))
    assert asked.stdout.strip().endswith("asked for")
    assert "CARICATURE_OPS=fastest: choose one of auto, reference, required" in failed.stderr
    with pytest.raises(ValueError, match="fastest"):
        set_policy("fastest")


def test_an_unknown_kind_of_device_takes_the_reference():
    assert backend.kernels_for(torch.empty(1, device="meta")) is None


def test_build_errors_have_one_line():
    with pytest.raises(BuildError) as caught:
        build._run(["/nonexistent/compiler"], None)
    assert "\n" not in str(caught.value)


def test_the_module_prints_what_a_bug_report_needs(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "src.ops"],
        cwd=ROOT,
        env={"PATH": "/nonexistent", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "compiler   none (no C++ compiler" in done.stdout and "nvcc       " in done.stdout, done.stderr
    assert "cpu        plain PyTorch reference ops: no C++ compiler" in done.stdout
