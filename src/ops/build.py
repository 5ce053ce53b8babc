"""Building the compiled kernels: one shared library a device kind, made by ninja on first use, kept for later runs.

The sources include no PyTorch header, so a library takes seconds to build and works with any PyTorch. A build happens
in a folder of its own that is renamed into place when it is whole: one that was killed leaves nothing that anybody
waits for. Processes that start together share one build through a lock that the operating system takes back from a
dead holder.
"""

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

from ..files import cache_folder
from ..lock import attempt, exclusive

SOURCES = Path(__file__).parent / "csrc"
KINDS = {
    "cpu": ("cpu_fir.cpp", "cpu_epilogue.cpp", "cpu_epilogue_grad.cpp", "cpu_warp.cpp"),
    "cuda": ("fir.cu", "epilogue.cu", "epilogue_grad.cu", "epilogue_grad_grad.cu", "warp.cu", "library.cu"),
}
# Reassociation lets reductions vectorise. -ffast-math is not used: it would flush denormals in the whole process.
CPU_FLAGS = (
    "-std=c++17 -O3 -march=native -fopenmp -fPIC -fno-math-errno -fno-trapping-math -fno-signed-zeros "
    "-fassociative-math -ffp-contract=fast"
)
CUDA_FLAGS = "-std=c++17 -O3 -Xcompiler -fPIC,-fvisibility=hidden -cudart static"
TIMEOUT_SEC = 600


class BuildError(Exception):
    """Why there is no library: `str()` is one line; `log` is what the compiler said, or empty."""

    def __init__(self, reason: str, log: str = "") -> None:
        super().__init__(reason)
        self.log = log


def build(kind: str, *, arch: str = "", runtime: str = "") -> Path:
    """Return the shared library of a device kind (`"cpu"` or `"cuda"`), building it when there is none yet.

    `arch` is the compute capability of a CUDA device (`"90"`); `runtime` is whatever else a library depends on
    (versions of PyTorch and CUDA), part of its key.

    Raises:
        BuildError: when a tool is missing or the compiler fails.
    """
    compiler, ninja = find_compiler(kind), find_ninja()
    flags = CPU_FLAGS if kind == "cpu" else f"{CUDA_FLAGS} -gencode arch=compute_{arch},code=sm_{arch}"
    key = _key(kind, compiler, flags, runtime)
    name = "-".join(part for part in (kind, arch and f"sm{arch}", key) if part)
    folder = cache_folder("ops") / name
    library = folder / "libops.so"
    if library.exists():
        return library
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        _sweep_leftovers(folder.parent)
        with exclusive(folder.parent / f"{name}.lock"):
            if not library.exists():
                _build_into(folder, kind, compiler, flags, ninja)
    except OSError as error:
        raise BuildError(f"{folder}: {error.strerror or error}") from error
    return library


def find_compiler(kind: str) -> str:
    """Path of the compiler: `$CXX`, c++, g++ or clang++; `$CUDA_HOME/bin/nvcc` or nvcc.

    Raises:
        BuildError: when there is none.
    """
    if kind == "cpu":
        names = [os.environ.get("CXX"), "c++", "g++", "clang++"]
        missing = "no C++ compiler (g++ or clang++) was found"
    else:
        homes = [os.environ.get("CUDA_HOME"), os.environ.get("CUDA_PATH"), "/usr/local/cuda"]
        names = [*(str(Path(home, "bin", "nvcc")) for home in homes if home), "nvcc"]
        missing = "the CUDA compiler (nvcc) was not found: install the CUDA toolkit or set CUDA_HOME"
    for name in names:
        found = shutil.which(name) if name else None
        if found:
            return found
    raise BuildError(missing)


def find_ninja() -> str:
    """Path of ninja: on PATH, beside this Python, or in the `ninja` package.

    Raises:
        BuildError: when there is none.
    """
    found = shutil.which("ninja") or shutil.which("ninja", path=str(Path(sys.executable).parent))
    if found is None:
        with suppress(ImportError):
            from ninja import BIN_DIR

            found = shutil.which("ninja", path=BIN_DIR)
    if found is None:
        raise BuildError("ninja was not found: pip install ninja")
    return found


def _key(kind: str, compiler: str, flags: str, runtime: str) -> str:
    """Hash of everything that the library depends on; for `-march=native` that includes this processor."""
    version = _run([compiler, "--version"], None)
    digest = hashlib.sha256("\0".join([kind, compiler, version, flags, runtime]).encode())
    if kind == "cpu":
        digest.update(_processor().encode())
    for path in sorted(SOURCES.iterdir()):
        if path.is_file():
            digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def _processor() -> str:
    """Name and instruction sets of the processor: a home folder may be shared by different machines."""
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return "\n".join(sorted({line for line in lines if line.startswith(("model name", "flags", "Features"))}))
    return f"{platform.machine()} {platform.processor()} {platform.node()}"


def _build_into(folder: Path, kind: str, compiler: str, flags: str, ninja: str) -> None:
    with tempfile.TemporaryDirectory(prefix=f"{folder.name}.", suffix=".building", dir=folder.parent) as name:
        work = Path(name)
        (work / "build.ninja").write_text(_ninja_file(KINDS[kind], compiler, flags))
        log = _run([ninja, "-C", str(work)], TIMEOUT_SEC)
        (work / "build.log").write_text(log)
        if folder.exists():  # without its library: a leftover that nobody can use
            shutil.rmtree(folder)
        (work / "whole").mkdir()
        for part in ("libops.so", "build.log", "build.ninja"):
            os.replace(work / part, work / "whole" / part)
        os.replace(work / "whole", folder)


def _ninja_file(sources: tuple[str, ...], compiler: str, flags: str) -> str:
    def escaped(path: object) -> str:
        return str(path).replace("$", "$$").replace(" ", "$ ").replace(":", "$:")

    objects = " ".join(f"{source}.o" for source in sources)
    rules = [
        "ninja_required_version = 1.5",
        f"cxx = {compiler.replace('$', '$$')}",
        f"flags = {flags}",
        'rule compile\n  command = "$cxx" $flags -c "$in" -o $out',
        'rule link\n  command = "$cxx" $flags -shared $in -o $out',
        *(f"build {source}.o: compile {escaped(SOURCES / source)}" for source in sources),
        f"build libops.so: link {objects}",
        "default libops.so",
    ]
    return "\n".join(rules) + "\n"


def _run(command: list[str], timeout: int | None) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL)
    except OSError as error:
        raise BuildError(f"{command[0]} cannot be run ({error.strerror or error})") from error
    except subprocess.TimeoutExpired as error:
        raise BuildError(f"the compiler was stopped after {timeout} s") from error
    if done.returncode:
        log = done.stdout + done.stderr
        told = [line for line in log.splitlines() if "error" in line.lower()]
        raise BuildError(f"the compiler failed ({(told or ['no message'])[0].strip()[:200]})", log)
    return done.stdout


def _sweep_leftovers(folder: Path) -> None:
    """Remove what killed builds left behind: folders of builds whose lock nobody holds."""
    for path in folder.glob("*.building"):
        with suppress(OSError), attempt(folder / f"{path.name.partition('.')[0]}.lock") as ours:
            if ours:
                shutil.rmtree(path)
