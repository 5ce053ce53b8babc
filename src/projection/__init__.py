"""Pictures to codes: a perceptual distance, a projector, the caricature sheet."""

from .perceptual import LpipsDistance, PerceptualDistance, perceptual_distance
from .projector import Projection, ProjectionSettings, project
from .sheet import caricature_sheet

__all__ = [
    "LpipsDistance",
    "PerceptualDistance",
    "Projection",
    "ProjectionSettings",
    "caricature_sheet",
    "perceptual_distance",
    "project",
]
