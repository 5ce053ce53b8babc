"""Why a face is not used: too small, too far outside of the picture, turned too far, blurred."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..data import sharpness
from .align import LEFT_EYE, RIGHT_EYE, Frame
from .settings import FaceSettings

NOSE_TIP, JAW_ENDS = 30, (0, 16)
NOSE_DEPTH = 1.25  # of the nose tip before the line between the ears, in half widths of the head
GRID = 32


@dataclass(frozen=True)
class FaceQuality:
    """What is known of a face."""

    size_px: float  # side of its square in the photograph
    yaw_deg: float  # how far it is turned aside, estimated from the landmarks; positive towards the picture's right
    sharpness: float  # variance of the Laplacian of the crop's luma (0 to 255), reduced to 128 px
    outside: float  # share of its square that lies outside of the photograph, 0 to 1


def measure_face(
    image: NDArray[np.uint8], landmarks: NDArray, frame: Frame, photo_size: tuple[int, int]
) -> FaceQuality:
    """Measure a face by its crop, uint8 `[S, S, 3]`, its landmarks `[68, 2]` in the photograph, and its place there."""
    return FaceQuality(frame.size_px, yaw_degrees(landmarks), sharpness(image), outside_share(frame, photo_size))


def why_refused(quality: FaceQuality, settings: FaceSettings, resolution: int) -> str | None:
    """The reason by which a face is refused for a network of `resolution` px, or None for one that can be used."""
    min_px = resolution / 2 if settings.min_px is None else settings.min_px
    if quality.size_px < min_px:
        return f"too small ({quality.size_px:.0f} px, faces.min_px={min_px:g})"
    if settings.max_outside is not None and quality.outside > settings.max_outside:
        share = f"{quality.outside:.0%} of its square"
        return f"outside of the picture ({share}, faces.max_outside={settings.max_outside:g})"
    if settings.max_yaw is not None and abs(quality.yaw_deg) > settings.max_yaw:
        return f"turned too far (about {abs(quality.yaw_deg):.0f} degrees, faces.max_yaw={settings.max_yaw:g})"
    if settings.min_sharpness is not None and quality.sharpness < settings.min_sharpness:
        return f"blurred (sharpness {quality.sharpness:.1f}, faces.min_sharpness={settings.min_sharpness:g})"
    return None


def yaw_degrees(landmarks: NDArray) -> float:
    """Estimate how far a face is turned aside.

    On a round head whose nose reaches `NOSE_DEPTH` half widths out, the nose tip moves from the middle between the ends
    of the jaw by tan(yaw) · depth half widths, measured along the line of the eyes.
    """
    points = np.asarray(landmarks, np.float64)
    axis = points[RIGHT_EYE].mean(axis=0) - points[LEFT_EYE].mean(axis=0)
    along = points @ (axis / max(float(np.hypot(*axis)), 1e-9))
    ends = along[list(JAW_ENDS)]
    half = (ends[1] - ends[0]) / 2
    if half <= 0:
        return 90.0
    return math.degrees(math.atan((along[NOSE_TIP] - ends.mean()) / half / NOSE_DEPTH))


def outside_share(frame: Frame, photo_size: tuple[int, int]) -> float:
    """Share of a crop's square that lies outside of the photograph."""
    steps = np.arange(GRID, dtype=np.float64)
    points = frame.to_photo(np.stack(np.meshgrid(steps, steps), axis=-1).reshape(-1, 2), GRID)
    inside = ((points >= -0.5) & (points <= np.array(photo_size) - 0.5)).all(axis=1)
    return 1 - float(inside.mean())
