"""What a script does before it computes: float32's format, the ops and the allocator as the environment says."""

import torch

from ..device import set_float32
from .backend import backend_info
from .memory import keep_for


def start_ops(device: torch.device | str, resolution: int) -> None:
    """Make a process ready for networks on a device, so that what cannot be is said before anything is written.

    Args:
        device: where the networks run.
        resolution: of their pictures, px a side.

    Raises:
        UserError: for a wrong `$CARICATURE_OPS` or `$CARICATURE_ALLOCATOR`, or required kernels that are not there.
    """
    set_float32()
    backend_info(device)
    keep_for(device, resolution)
