"""The faces of one picture, each as a square PNG, with a record of where it was and why it is not used."""

import hashlib
from collections.abc import Sequence

import numpy as np

from ..data import BadPicture, Source, sharpness
from .crop import Box, resize
from .duplicates import mean_colour, perceptual_hash
from .face_boxes import FaceBox, FaceDetector, checked_boxes
from .face_settings import FaceSettings
from .render import Record, decoded, encode_png, read_and_make
from .settings import PrepareSettings

#: More are not faces.
MAX_FACES = 99
#: Of the part by which copies are told, in sides of the face's box.
HASH_MARGIN = 0.1

#: Of a face, and its PNG if it is used.
Cut = tuple[Record, bytes | None]


class FaceCutter:
    """Finds and cuts out the faces of the pictures of one source, from several threads."""

    def __init__(self, settings: PrepareSettings, source: Source, detector: FaceDetector) -> None:
        assert settings.resolution is not None
        self.settings, self.source, self.detector = settings, source, detector
        self.faces, self.resolution = settings.faces, settings.resolution

    def __call__(self, name: str, num_bytes: int = 0) -> tuple[Record, Sequence[Cut]]:
        """Read and decode one picture, and cut out its faces; large files, by `num_bytes`, are read one at a time.

        Returns:
            Of the picture: `sha256`, `size`, `notes`, `faces` (how many), or `reason` alone. Of each face, from left to
            right: `face` (left, top, right, bottom in px), `score`, `crop`, `sharpness`, and what the picture's record
            has; `reason` where it is not used.
        """
        try:
            return read_and_make(self.source, name, num_bytes, lambda data: self._cuts(data, name))
        except BadPicture as error:
            return {"reason": str(error)}, []

    def _cuts(self, data: bytes, name: str) -> tuple[Record, Sequence[Cut]]:
        rgb, notes = decoded(data, self.settings)
        height, width = rgb.shape[:2]
        label = f"faces.detector={self.faces.identity.get('detector')}: {name}"
        boxes = checked_boxes(self.detector(rgb), width, height, label)
        if len(boxes) > MAX_FACES:
            raise BadPicture(f"{len(boxes)} faces found, more than {MAX_FACES} are none")
        record: Record = {"sha256": hashlib.sha256(data).hexdigest(), "size": [width, height], "notes": notes}
        return record | {"faces": len(boxes)}, [self._cut(rgb, box, record) for box in boxes]

    def _cut(self, rgb: np.ndarray, box: FaceBox, record: Record) -> Cut:
        height, width = rgb.shape[:2]
        crop = square_about(box, self.faces.margin)
        known: Record = {**record, "face": box.numbers(), "score": box.score, "crop": list(crop)}
        if reason := why_not_cut(box, outside_share(crop, width, height), self.faces):
            return known | {"reason": reason}, None
        part = cut_mirrored(rgb, crop)
        square = resize(part, (self.resolution, self.resolution), self.settings.filter)
        known["sharpness"] = round(sharpness(cut_mirrored(rgb, square_about(box, 0))), 2)
        if known["sharpness"] < self.faces.min_sharpness:
            limit = f"faces.min_sharpness={self.faces.min_sharpness:g}"
            return known | {"reason": f"blurred (sharpness {known['sharpness']:.1f}, {limit})"}, None
        edge = ["mirrored beyond the edge"] if outside_share(crop, width, height) > 0 else []
        small = ["enlarged"] if len(part) < self.resolution else []
        known |= {"notes": [*record["notes"], *edge, *small]}
        face = cut_mirrored(rgb, square_about(box, HASH_MARGIN))  # a copy before another background is a copy
        known |= {"hash": f"{perceptual_hash(face):016x}", "colour": mean_colour(face)}
        return known, encode_png(square)


def square_about(box: FaceBox, margin: float) -> Box:
    """The square that is cut out, with a margin in the box's longer sides, perhaps beyond the edge: l, t, r, b px."""
    side = max(1, round(box.side_px * (1 + 2 * margin)))
    left, top = round((box.left + box.right - side) / 2), round((box.top + box.bottom - side) / 2)
    return left, top, left + side, top + side


def outside_share(crop: Box, width: int, height: int) -> float:
    """Share of a crop that lies beyond the edge of a `width` x `height` picture, 0 to 1."""
    left, top, right, bottom = crop
    across, down = min(right, width) - max(left, 0), min(bottom, height) - max(top, 0)
    return 1 - max(across, 0) * max(down, 0) / ((right - left) * (bottom - top))


def why_not_cut(box: FaceBox, outside: float, faces: FaceSettings) -> str | None:
    """The reason, or None for a face that is cut out; `outside` is the share of its crop beyond the edge."""
    if faces.min_score is not None and box.score < faces.min_score:
        return f"hardly a face (score {box.score:g}, faces.min_score={faces.min_score:g})"
    if box.side_px < faces.min_px:
        return f"too small ({box.side_px:.0f} px, faces.min_px={faces.min_px:g})"
    if outside > faces.max_outside:
        return f"cut off by the edge ({outside:.0%} of its crop is outside, faces.max_outside={faces.max_outside:g})"
    return None


def cut_mirrored(rgb: np.ndarray, crop: Box) -> np.ndarray:
    """Cut a square out of uint8 `[H, W, 3]`; beyond the edge the picture is mirrored."""
    height, width = rgb.shape[:2]
    left, top, right, bottom = crop
    inside = rgb[max(top, 0) : min(bottom, height), max(left, 0) : min(right, width)]
    down, across = (max(-top, 0), max(bottom - height, 0)), (max(-left, 0), max(right - width, 0))
    return np.pad(inside, (down, across, (0, 0)), mode="symmetric")
