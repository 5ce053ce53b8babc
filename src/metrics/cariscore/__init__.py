"""CariScore: shape and rendering of blends against base and training cartoons, gates, and the decision from them."""

from .axis import Axis, Place
from .comparison import Comparison, combine, compare, joint
from .decision import DELTA, MIN_CODES, Cell, Decision, Note, decide, prices
from .detectors import Detector, choose_detector
from .faces import Faces, locate
from .race import Race, looks, race
from .ranking import rank_blends
from .score import DIRECTIONS, CariScore, Places, exponents, measure, open_axes
from .sentence import recommendation, remark, too_few_codes
from .trust import Trust, check_detector

__all__ = [
    "DELTA",
    "DIRECTIONS",
    "MIN_CODES",
    "Axis",
    "CariScore",
    "Cell",
    "Comparison",
    "Decision",
    "Detector",
    "Faces",
    "Note",
    "Place",
    "Places",
    "Race",
    "Trust",
    "check_detector",
    "choose_detector",
    "combine",
    "compare",
    "decide",
    "exponents",
    "joint",
    "locate",
    "looks",
    "measure",
    "open_axes",
    "prices",
    "race",
    "rank_blends",
    "recommendation",
    "remark",
    "too_few_codes",
]
