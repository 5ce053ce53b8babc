"""Whom each face shows, as a recogniser describes it: what the gate of correspondence then goes by.

Without a recogniser it goes by looks (`gates.Looks`), in which a style is a part. A recogniser has learnt to tell
persons by photographs: it knows more of photographs, and nothing of drawings.
"""

import numpy as np
from numpy.typing import NDArray

from ...errors import UserError
from ...faces import FaceRecogniser
from .axis import Floats
from .faces import Faces
from .frame import Frame


def described(faces: Faces, frame: Frame, recogniser: FaceRecogniser | None) -> Floats:
    """Descriptions of faces `[N, D]`, `[N, 0]` without a recogniser.

    Where no face was found the place of the base's mean face is described.

    Raises:
        UserError: when the recogniser's answer is not as many finite numbers for every face.
    """
    if recogniser is None:
        return np.zeros([len(faces), 0])
    images = faces.images.permute(0, 2, 3, 1).contiguous().cpu().numpy()
    size = np.array([images.shape[2], images.shape[1]])
    marks = frame.placed(faces).marks.double().cpu().numpy() * size - 0.5
    rows = [_numbers(recogniser, image, points) for image, points in zip(images, marks, strict=True)]
    if len(lengths := {len(row) for row in rows}) > 1:
        raise UserError(f"recogniser: {min(lengths)} numbers for one face and {max(lengths)} for another")
    return np.stack(rows)


def _numbers(recogniser: FaceRecogniser, image: NDArray[np.uint8], points: NDArray[np.float64]) -> Floats:
    answer = recogniser(image, points)
    try:
        row = np.asarray(answer, np.float64)
    except (TypeError, ValueError):
        row = np.array(np.nan)
    if row.ndim != 1 or not len(row) or not np.isfinite(row).all():
        raise UserError(f"recogniser: a list of finite numbers is expected of a face, not {answer!r:.60}")
    return row
