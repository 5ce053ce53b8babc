"""What a script does before it computes: the ops and the allocator as the environment says."""

import torch

from .backend import backend_info
from .memory import keep_for


def start_ops(device: torch.device | str, resolution: int) -> None:
    """Make the ops ready for networks on a device, so that what cannot be is said before anything is written.

    Args:
        device: where the networks run.
        resolution: of their pictures.

    Raises:
        UserError: for a wrong `$CARICATURE_OPS` or `$CARICATURE_ALLOCATOR`, or required kernels that are not there.
    """
    backend_info(device)
    keep_for(device, resolution)
