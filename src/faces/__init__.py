"""Faces in photographs: landmarks, the FFHQ crop, why a face is refused, and the way back into the photograph."""

from .align import AlignedFace, Frame, align_face, ffhq_quad
from .face import Face, LandmarkProvider
from .find import FaceSettings, FoundFace, PhotoReport, find_faces
from .landmarks import FileLandmarks, PortraitLandmarks, open_landmarks
from .paste import paste_back

__all__ = [
    "AlignedFace",
    "Face",
    "FaceSettings",
    "FileLandmarks",
    "FoundFace",
    "Frame",
    "LandmarkProvider",
    "PhotoReport",
    "PortraitLandmarks",
    "align_face",
    "ffhq_quad",
    "find_faces",
    "open_landmarks",
    "paste_back",
]
