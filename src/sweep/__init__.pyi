from .run import main as main, run_sweep as run_sweep
from .settings import SweepSettings as SweepSettings
from .sweeper import as_lists as as_lists
