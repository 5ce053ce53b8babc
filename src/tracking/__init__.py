"""Where results go: local JSONL files, Weights & Biases, the HTML report."""

from .report import write_run_report, write_sweep_report
from .tracker import Tracker, open_tracker, read_rows

__all__ = ["Tracker", "open_tracker", "read_rows", "write_run_report", "write_sweep_report"]
