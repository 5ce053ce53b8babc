"""Makes the sweep's jobs known to Hydra as `hydra/sweeper: snapshots`: Hydra takes plugins from this package alone."""

from hydra.core.config_store import ConfigStore

from src import sweeper


class SnapshotSweeper(sweeper.SnapshotSweeper):
    """See `src/sweeper.py`."""


_NODE = {"_target_": f"{SnapshotSweeper.__module__}.{SnapshotSweeper.__qualname__}"}
ConfigStore.instance().store(group="hydra/sweeper", name="snapshots", node=_NODE, provider="caricature")
