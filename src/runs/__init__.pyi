from .find import (
    SNAPSHOTS as SNAPSHOTS,
    Base as Base,
    Snapshot as Snapshot,
    check_family as check_family,
    find_base as find_base,
    find_run as find_run,
    find_snapshots as find_snapshots,
    run_config as run_config,
)
from .settings import PathsSettings as PathsSettings
