from .artifacts import (
    blends_artifact as blends_artifact,
    group_of as group_of,
    snapshot_alias as snapshot_alias,
    snapshots_artifact as snapshots_artifact,
)
from .page import render_page as render_page
from .report import write_run_report as write_run_report, write_sweep_report as write_sweep_report
from .settings import TrackerSettings as TrackerSettings
from .sweep_runs import show_sweep as show_sweep
from .tracker import (
    MODES as MODES,
    Tracker as Tracker,
    lacks_rows as lacks_rows,
    open_tracker as open_tracker,
    read_rows as read_rows,
)
