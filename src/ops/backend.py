"""Which implementation serves each op, and why: one place that chooses, and that a run header can quote.

The policy is `auto` (compiled kernels where they can be built, the reference otherwise), `reference` (never build) or
`required` (an error instead of the reference). It starts as `$CARICATURE_OPS`, or `auto`.
"""

import os
import threading
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from ..errors import UserError
from .build import BuildError, build
from .kernels import Kernels

POLICIES = ("auto", "reference", "required")
POLICY_VARIABLE = "CARICATURE_OPS"
COMPILED = ("upfirdn2d", "bias_act", "epilogue", "wavelet_warp")
REFERENCE = ("modulated_conv2d",)  # PyTorch's own convolutions and matrix products
_CPU_DTYPES = frozenset({torch.float32, torch.float64, torch.bfloat16})
_CUDA_DTYPES = _CPU_DTYPES | {torch.float16}


class KernelsRequired(UserError):
    """The policy is `required` and the compiled kernels cannot be had; carries the compiler's words."""


class _Loaded(NamedTuple):
    kernels: Kernels | None
    reason: str
    log: str


_policy: str | None = None
_loaded: dict[str, _Loaded] = {}
_loading = threading.Lock()


def set_policy(name: str) -> None:
    """Choose the implementation from now on: `"auto"`, `"reference"` or `"required"`.

    Raises:
        ValueError: for another name.
    """
    global _policy
    if name not in POLICIES:
        raise ValueError(f"the policy for compiled ops is one of {', '.join(POLICIES)}, not {name!r}")
    _policy = name


def get_policy() -> str:
    """The policy in force."""
    if _policy is None:
        name = os.environ.get(POLICY_VARIABLE) or "auto"
        if name not in POLICIES:
            raise UserError(f"{POLICY_VARIABLE}={name}: choose one of {', '.join(POLICIES)}")
        set_policy(name)
    assert _policy is not None
    return _policy


def kernels_for(x: Tensor) -> Kernels | None:
    """The compiled kernels for tensors like `x`, or None where the reference serves.

    Raises:
        KernelsRequired: when there are none and the policy is `required`.
    """
    policy = _policy or get_policy()
    if policy == "reference" or torch.compiler.is_compiling() or x.device.type not in ("cpu", "cuda"):
        return None  # a compiler fuses the reference itself
    loaded = _loaded.get(_slot(x.device)) or _load(x.device)
    if loaded.kernels is None:
        if policy == "required":
            raise KernelsRequired(_unavailable(loaded))
        return None
    return loaded.kernels if x.dtype in loaded.kernels.dtypes else None


def backend_info(device: torch.device | str = "cpu") -> dict[str, str]:
    """Describe the implementations that serve a device; builds the kernels if they were never asked for.

    Returns:
        One entry an op (`"cpu"` or `"cuda"` kernels, or `"reference"`: plain PyTorch), `torch`, `cuda` (`"none"` for
        a build without), `policy`, `library` (its path, or `"none"`), `log` (a failed compiler's last words, or empty)
        and `reason`, one sentence for the run header.

    Raises:
        KernelsRequired: when the policy is `required` and there are no kernels.
    """
    device, policy = torch.device(device), get_policy()
    info = dict.fromkeys((*COMPILED, *REFERENCE), "reference")
    info |= {"torch": str(torch.__version__), "cuda": str(torch.version.cuda or "none"), "policy": policy}
    info |= {"library": "none", "log": ""}
    if policy == "reference":
        info["reason"] = "plain PyTorch reference ops: asked for"
        return info
    loaded = _loaded.get(_slot(device)) or _load(device)
    if loaded.kernels is None:
        if policy == "required":
            raise KernelsRequired(_unavailable(loaded))
        info |= {"reason": f"plain PyTorch reference ops: {loaded.reason}", "log": loaded.log}
        return info
    info |= dict.fromkeys(COMPILED, device.type)
    info |= {"library": str(loaded.kernels.path), "reason": loaded.reason}
    return info


def _slot(device: torch.device) -> str:
    return "cpu" if device.type == "cpu" else f"{device.type}:{device.index or 0}"


def _load(device: torch.device) -> _Loaded:
    with _loading:
        slot = _slot(device)
        if slot not in _loaded:
            _loaded[slot] = _try_to_load(device)
        return _loaded[slot]


def _try_to_load(device: torch.device) -> _Loaded:
    try:
        if device.type == "cpu":
            kernels, name = Kernels(build("cpu"), _CPU_DTYPES), "CPU"
        elif device.type == "cuda":
            kernels, name = Kernels(_build_for_cuda(device), _CUDA_DTYPES), torch.cuda.get_device_name(device)
        else:
            return _Loaded(None, f"there are no kernels for a {device.type} device", "")
    except BuildError as error:
        return _Loaded(None, str(error), error.log)
    except OSError as error:
        return _Loaded(None, f"the library cannot be loaded ({str(error).splitlines()[0]})", "")
    return _Loaded(kernels, f"compiled {name} kernels ({', '.join(COMPILED)})", "")


def _build_for_cuda(device: torch.device) -> Path:
    major, minor = torch.cuda.get_device_capability(device)
    return build("cuda", arch=f"{major}{minor}", runtime=f"{torch.__version__} {torch.version.cuda}")


def _unavailable(loaded: _Loaded) -> str:
    log = f"\n{loaded.log.strip()}" if loaded.log.strip() else ""
    return f"compiled ops are required, and there are none: {loaded.reason}{log}"
