"""Where results go: local JSONL files, Weights & Biases, the HTML report."""

from .report import write_run_report, write_sweep_report
from .tracker import MODES, Tracker, open_tracker, read_rows

__all__ = ["MODES", "Tracker", "open_tracker", "read_rows", "write_run_report", "write_sweep_report"]
