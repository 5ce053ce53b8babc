"""Colour profiles: pictures in another RGB than sRGB, such as a phone's Display P3, to sRGB."""

import io
from functools import lru_cache

import numpy as np
from PIL import Image, ImageCms

TO_SRGB = "colours to sRGB by its profile"
UNUSABLE = "colour profile that cannot be used, taken as sRGB"
_MODES = ("RGB", "RGBA")
_ALIKE = 2  # 8-bit levels: what profiles of sRGB itself differ by, written as curves or tables


def to_srgb(picture: Image.Image) -> tuple[Image.Image, str | None]:
    """Convert a decoded RGB or RGBA picture to sRGB by its embedded profile, in its own memory; a note says so.

    Pictures of other modes, without a profile, or with sRGB's are returned as they are.
    """
    profile = picture.info.get("icc_profile")
    if not profile or picture.mode not in _MODES or "transparency" in picture.info:
        return picture, None
    try:
        transform = _transform(bytes(profile), picture.mode)
        if transform is None:
            return picture, None
        ImageCms.applyTransform(picture, transform, inPlace=True)
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return picture, UNUSABLE
    return picture, TO_SRGB


@lru_cache(maxsize=32)
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """The transform to sRGB; None for profiles that are sRGB by their name or by what they do."""
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    if source.profile.xcolor_space.strip() != "RGB":
        raise ValueError("a profile of other colours")
    name = (source.profile.profile_description or "").strip().lower()
    if name.startswith("srgb") and "linear" not in name:
        return None
    target = ImageCms.createProfile("sRGB")
    transform = ImageCms.buildTransform(source, target, mode, mode, ImageCms.Intent.RELATIVE_COLORIMETRIC)
    levels = np.linspace(0, 255, 18).astype(np.uint8)
    lattice = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(18, -1, 3)
    changed = ImageCms.applyTransform(Image.fromarray(lattice).convert(mode), transform)
    assert changed is not None
    difference = np.abs(np.asarray(changed)[..., :3].astype(int) - lattice)
    return transform if difference.max() > _ALIKE else None
