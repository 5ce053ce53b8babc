"""CariScore: shape and rendering of blends against base and training cartoons, gates, and the decision from them."""

from .axis import Axis, AxisName, Named, Place
from .comparison import LEVEL, Comparison, combine, compare, joint
from .decision import DELTA, MIN_CODES, Cell, Decision, Note, decide, prices
from .detectors import Detector, choose_detector
from .faces import MIN_PX, Faces, locate, shrunk
from .gates import Gate
from .race import level_of_a_look, looks, race
from .ranking import rank_blends
from .references import Judge, References, Rows
from .score import CariScore, Places, exponents, measure, open_axes
from .sentence import recommendation, remark, too_few_codes
from .trust import check_detector

__all__ = [
    "DELTA",
    "LEVEL",
    "MIN_CODES",
    "MIN_PX",
    "Axis",
    "AxisName",
    "CariScore",
    "Cell",
    "Comparison",
    "Decision",
    "Detector",
    "Faces",
    "Gate",
    "Judge",
    "Named",
    "Note",
    "Place",
    "Places",
    "References",
    "Rows",
    "check_detector",
    "choose_detector",
    "combine",
    "compare",
    "decide",
    "exponents",
    "joint",
    "level_of_a_look",
    "locate",
    "looks",
    "measure",
    "open_axes",
    "prices",
    "race",
    "rank_blends",
    "recommendation",
    "remark",
    "shrunk",
    "too_few_codes",
]
