"""Pictures to codes: a perceptual distance, a projector, the caricature sheet."""

from .perceptual import PerceptualDistance
from .projector import Projection, ProjectionSettings, project
from .sheet import caricature_sheet

__all__ = ["PerceptualDistance", "Projection", "ProjectionSettings", "caricature_sheet", "project"]
