from .agreement import Agreement as Agreement, held_out as held_out
from .file import (
    CLICKS as CLICKS,
    Answer as Answer,
    Click as Click,
    Side as Side,
    append_click as append_click,
    read_clicks as read_clicks,
    undo_click as undo_click,
)
from .taste import MIN_PLACE as MIN_PLACE, Taste as Taste
from .verdict import (
    ENOUGH as ENOUGH,
    Verdict as Verdict,
    judge as judge,
    read_enough_clicks as read_enough_clicks,
)
