"""The CUDA sources compile for the cards of a data centre, and keep their values in registers."""

import shutil
import subprocess

import pytest

from . import cuda_library as lib


@pytest.mark.script
@pytest.mark.skipif(shutil.which("nvcc") is None, reason="needs nvcc, the compiler of the CUDA toolkit")
@pytest.mark.parametrize("source", sorted(lib.SOURCES.glob("*.cu")), ids=lambda path: path.stem)
def test_nvcc_compiles_without_spills(source, tmp_path):
    """One intermediate code for both cards: no source asks for which it is compiled."""
    command = ["nvcc", "-std=c++17", "-O3", "-c", "-Xptxas", "-v", "-gencode", "arch=compute_80,code=[sm_80,sm_90]"]
    command += ["-o", str(tmp_path / "object.o"), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    spilling = [line for line in done.stderr.splitlines() if "spill" in line and " 0 bytes spill stores" not in line]
    assert not spilling, done.stderr
