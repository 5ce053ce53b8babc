from .again import command_with_clicks as command_with_clicks, recommend_again as recommend_again
from .course import Course as Course
from .finish import rank_sweep as rank_sweep
from .plan import Sweep as Sweep, open_configured_sweeps as open_configured_sweeps, open_sweep as open_sweep
from .run import (
    main as main,
    prepare as prepare,
    run_sweep as run_sweep,
    score_all as score_all,
    score_snapshot as score_snapshot,
    scored_line as scored_line,
    sweep_all as sweep_all,
)
from .settings import SweepSettings as SweepSettings
