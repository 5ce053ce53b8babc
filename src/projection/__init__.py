"""Pictures to codes: a perceptual distance, a projector, files of codes."""

from .codes import Codes, find_code_files, read_codes, save_codes, stacked
from .likeness import structural_similarity
from .perceptual import LpipsDistance, PerceptualDistance, perceptual_distance
from .projector import Projection, project
from .schedule import RECIPES, ProjectionSettings, recipe
from .tuning import Tuned, tune

__all__ = [
    "RECIPES",
    "Codes",
    "LpipsDistance",
    "PerceptualDistance",
    "Projection",
    "ProjectionSettings",
    "Tuned",
    "find_code_files",
    "perceptual_distance",
    "project",
    "read_codes",
    "recipe",
    "save_codes",
    "stacked",
    "structural_similarity",
    "tune",
]
