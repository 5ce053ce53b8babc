"""Snapshots x blend resolutions: pictures, scores, ranking, recommendation."""

from .run import open_configured_sweep, run_sweep
from .settings import SweepSettings

__all__ = ["SweepSettings", "open_configured_sweep", "run_sweep"]
