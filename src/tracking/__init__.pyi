from .page import render_page as render_page
from .report import write_run_report as write_run_report, write_sweep_report as write_sweep_report
from .settings import TrackerSettings as TrackerSettings
from .tracker import MODES as MODES, Tracker as Tracker, open_tracker as open_tracker, read_rows as read_rows
