"""Features of a data set's pictures, kept on disk between runs, in `features` of the cache folder.

The file's name is a hash of everything that decides the features, so a changed data set, extractor or choice of
pictures never meets an old file. A file that cannot be read or written costs time, never a run.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from ..errors import UserError
from ..files import atomic_write, cache_folder
from ..group import Group

VERSION = 1  # raise when an extractor's code changes what it gives


def cached_features(facts: Mapping[str, Any], count: int, compute: Callable[[], Tensor], group: Group) -> Tensor:
    """Read features from the cache, or compute and keep them; the first process of the group writes.

    Args:
        facts: everything that decides them, JSON values.
        count: how many rows there are.
        compute: makes them, `[count, d]` float32; called in all processes or in none.
        group: the processes.
    """
    key = json.dumps({**facts, "version": VERSION}, sort_keys=True)
    path = cache_folder("features") / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.safetensors"
    features = _read(path, key, count, note=group.rank == 0)
    if group.all(features is not None) and features is not None:
        return features
    features = compute()
    if group.rank == 0:
        _write(path, key, features)
    return features


def _read(path: Path, key: str, count: int, *, note: bool) -> Tensor | None:
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            meta, features = file.metadata() or {}, file.get_tensor("features")
        if meta.get("key") == key and len(features) == count and meta.get("sha256") == _digest(features):
            return features
        reason = "its contents do not match"
    except (OSError, ValueError, SafetensorError) as error:
        reason = str(error).splitlines()[0][:80]
    if note:
        print(f"cache      {path} is damaged ({reason}): the real pictures are measured anew", flush=True)
    return None


def _write(path: Path, key: str, features: Tensor) -> None:
    features = features.contiguous()
    try:
        with atomic_write(path) as partial:
            partial.write_bytes(save({"features": features}, metadata={"key": key, "sha256": _digest(features)}))
    except UserError as error:
        print(f"cache      {error}: the next run measures the reals again", flush=True)


def _digest(features: Tensor) -> str:
    return hashlib.sha256(features.contiguous().numpy().tobytes()).hexdigest()
