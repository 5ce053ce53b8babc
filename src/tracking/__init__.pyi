from .page import render_page as render_page
from .report import write_run_report as write_run_report, write_sweep_report as write_sweep_report
from .settings import TrackerSettings as TrackerSettings
from .sweep_runs import show_sweep as show_sweep, shown_blend as shown_blend
from .tracker import (
    Tracker as Tracker,
    lacks_rows as lacks_rows,
    lowest_kid as lowest_kid,
    open_tracker as open_tracker,
    read_rows as read_rows,
)
