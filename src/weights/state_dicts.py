"""State dicts of published networks that are no generators: read without executing anything, every tensor placed."""

import pickle
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from ..errors import UserError
from .network_file import differences, not_finite


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """Read a published state dict; nothing in the file is executed.

    Raises:
        UserError: when the file is no state dict.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, ValueError, EOFError, KeyError, pickle.UnpicklingError) as error:
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise UserError(f"{path} cannot be read as a state dict ({reason[0][:120]}): get the file again") from error
    if not isinstance(state, Mapping) or not all(isinstance(v, Tensor) for v in state.values()):
        raise UserError(f"{path} is not a state dict (names to tensors): get the published file")
    return dict(state)


def load_matching(module: torch.nn.Module, state: Mapping[str, Tensor], path: Path, *, ignore: tuple[str, ...]) -> None:
    """Load a state dict into a module, every tensor of the right name and shape.

    Args:
        path: of the tensors' file, for the message.
        ignore: ends and beginnings of names that do not matter, on either side.

    Raises:
        UserError: listing the tensors that are missing, unexpected or of another shape; or one that is not finite.
    """

    def matters(name: str) -> bool:
        return not name.startswith(ignore) and not name.endswith(ignore)

    wanted = {k: v for k, v in module.state_dict().items() if matters(k)}
    given = {k: v for k, v in state.items() if matters(k)}
    wrong = differences(wanted, given)
    if wrong:
        more = f" and {len(wrong) - 6} more" if len(wrong) > 6 else ""
        raise UserError(f"{path} is not the expected network: {'; '.join(wrong[:6])}{more}; get the published file")
    if broken := not_finite({k: v for k, v in given.items() if v.is_floating_point()}):
        raise UserError(f"{path} is not finite: {broken}; get the published file")
    module.load_state_dict({k: v.float() for k, v in given.items()}, strict=False)
