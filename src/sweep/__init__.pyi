from .again import command_with_clicks as command_with_clicks, recommend_again as recommend_again
from .course import Job as Job
from .plan import open_configured_sweep as open_configured_sweep
from .run import (
    conclude as conclude,
    main as main,
    prepare as prepare,
    run_sweep as run_sweep,
    score_all as score_all,
    score_snapshot as score_snapshot,
    scored_line as scored_line,
)
from .settings import SweepSettings as SweepSettings
