"""The emulated device itself: what a wrong kernel does there."""

import shutil
import signal
import subprocess
import sys

import pytest

from . import cuda_library as lib

KERNEL = """
#include "cuda_runtime.h"
static void deep(int kib) {
  volatile char room[1024] = {};
  if (kib > 1) deep(kib - 1);
  room[0] = room[1];
}
extern "C" __attribute__((visibility("default"))) int launch(int kib) {
  emulation::launch(1, 2, nullptr, [&] { deep(kib); });
  return cudaGetLastError();
}
"""
LAUNCH = "import ctypes, sys; sys.exit(ctypes.CDLL(sys.argv[1]).launch(int(sys.argv[2])))"


@pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++")
def test_a_kernel_that_overflows_its_stack_faults_there(tmp_path):
    source, library = tmp_path / "deep.cu", tmp_path / "deep.so"
    source.write_text(KERNEL)
    lib.build_emulated(library, [source])
    ended = [subprocess.run([sys.executable, "-c", LAUNCH, library, kib]).returncode for kib in ("96", "140")]
    assert ended == [0, -signal.SIGSEGV]
