from .find import (
    BASE as BASE,
    RUN_JSON as RUN_JSON,
    SNAPSHOTS as SNAPSHOTS,
    Base as Base,
    Snapshot as Snapshot,
    check_family as check_family,
    find_base as find_base,
    find_run as find_run,
    find_snapshots as find_snapshots,
    run_argument as run_argument,
    run_config as run_config,
    run_json as run_json,
)
from .recipe import Recipe as Recipe, recipes_of as recipes_of
from .recommended import (
    BEST as BEST,
    CELL_COLUMNS as CELL_COLUMNS,
    CELL_FACES as CELL_FACES,
    RANKING as RANKING,
    Recommended as Recommended,
    blend_header as blend_header,
    finished_sweeps as finished_sweeps,
    recommended_blend as recommended_blend,
    recommending_sweep as recommending_sweep,
)
from .settings import (
    BlendSettings as BlendSettings,
    Direction as Direction,
    Level as Level,
    PathsSettings as PathsSettings,
    RunName as RunName,
    SnapshotName as SnapshotName,
    Switch as Switch,
)
