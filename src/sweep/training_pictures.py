"""Features of the pictures that a run was trained on, for the memorisation gate."""

from pathlib import Path

import torch
import yaml
from torch import Tensor

from ..data import open_configured_dataset
from ..errors import UserError
from ..metrics import get_extractor

MAX_PICTURES = 2000


def training_features(run_dir: Path) -> Tensor | None:
    """Embedded features `[M, d]` of a run's training pictures (at most 2000, evenly spread).

    Returns:
        None when the pictures are no longer where they were; a line says so, since the memorisation gate is then left
        out.
    """
    config = yaml.safe_load((run_dir / "config.yaml").read_text())
    try:
        dataset = open_configured_dataset(config["dataset"])
    except UserError as error:
        print(f"memorisation is not checked: {error}")
        return None
    count = min(len(dataset), MAX_PICTURES)
    pictures = [dataset[i * len(dataset) // count][0] for i in range(count)]
    return torch.cat([get_extractor("embedded")(torch.stack(pictures[i : i + 64])) for i in range(0, count, 64)])
