"""Which implementation serves each op, and why: one place that a run header and a bug report can quote."""

import torch

_OPS = ("upfirdn2d", "bias_act", "modulated_conv2d", "epilogue")


def backend_info() -> dict[str, str]:
    """Describe the active op implementations.

    Returns:
        One entry an op (`"reference"`: plain PyTorch, any-order gradients), and `torch`, `cuda` (`"none"` without
        a CUDA build) and `reason`, one sentence for the run header.
    """
    info = dict.fromkeys(_OPS, "reference")
    info["torch"] = str(torch.__version__)
    info["cuda"] = str(torch.version.cuda or "none")
    info["reason"] = "plain PyTorch reference ops: this version ships no compiled kernels"
    return info
