"""Makes work that jobs share known to Hydra as `hydra/sweeper: sharing`: it takes plugins from this package alone."""

from hydra.core.config_store import ConfigStore

from src import sharing


class SharingSweeper(sharing.SharingSweeper):
    """See `src/sharing.py`."""


_NODE = {"_target_": f"{SharingSweeper.__module__}.{SharingSweeper.__qualname__}", "jobs": None}
ConfigStore.instance().store(group="hydra/sweeper", name="sharing", node=_NODE, provider="caricature")
