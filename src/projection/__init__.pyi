from .codes import (
    MAX_CODES as MAX_CODES,
    Codes as Codes,
    find_code_files as find_code_files,
    read_codes as read_codes,
    save_codes as save_codes,
    stacked as stacked,
)
from .likeness import structural_similarity as structural_similarity
from .perceptual import (
    LpipsDistance as LpipsDistance,
    PerceptualDistance as PerceptualDistance,
    perceptual_distance as perceptual_distance,
)
from .projector import Projection as Projection, Projector as Projector, project as project
from .schedule import (
    ProjectionChoice as ProjectionChoice,
    ProjectionSettings as ProjectionSettings,
    recipe as recipe,
)
from .tuning import Tuned as Tuned, handed_on as handed_on, tune as tune
