"""Pictures out of files: every colour mode and format to uint8 RGB."""

import io
import math
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageColor, ImageOps, UnidentifiedImageError
from PIL.JpegImagePlugin import JpegImageFile

from .icc import to_srgb
from .metadata import METADATA_LEFT_OUT, without_metadata

MAX_PIXELS = 100_000_000
REDUCTION = 2  # of JPEG files beyond the limit, which can be decoded so: up to its square times as many pixels
BYTES_PER_PIXEL = 14  # that decoding takes at most, of a picture that is turned: 1.4 GB for 100 million
MIN_SIDE_PX = 8
RESIZE_FILTER = "lanczos"
_HEIC = frozenset((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"))
_STRIP_PX = 4_000_000  # what is converted at once: a picture stays below `BYTES_PER_PIXEL`
_ORIENTATION = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
#: How files begin that are often taken for pictures, and what to do with them.
_OTHERS = {
    b"PK\x03\x04": "a zip, not a picture: unpack it, or give its own path",
    b"PK\x05\x06": "an empty zip, not a picture",
    b"Rar!": "a RAR archive, not a picture: unpack it",
    b"7z\xbc\xaf": "a 7z archive, not a picture: unpack it",
    b"\x1f\x8b": "a gzip archive, not a picture: unpack it",
}
Image.MAX_IMAGE_PIXELS = None  # Pillow's own bound: here `max_pixels` is one that an option raises

#: Behind transparent parts: a colour, a picture that covers them, or None for the pixels' own colours.
Background = tuple[int, int, int] | Image.Image | None


class BadPicture(Exception):
    """A picture that cannot be used; the message is the reason."""

    def __init__(self, reason: str, *, is_damage: bool = False) -> None:
        super().__init__(reason)
        self.is_damage = is_damage  # whether a decoder failed on its data


@dataclass(frozen=True)
class DecodedPicture:
    """A picture as uint8 `[H, W, 3]`."""

    rgb: np.ndarray  # its pixels
    notes: list[str] = field(default_factory=list)  # what had to be done to make it one
    reduction: int = 1  # how many times it was reduced by that
    alpha: np.ndarray | None = None  # uint8 `[H, W]`; None for a picture without transparent parts


def parse_background(name: str) -> tuple[int, int, int]:
    """RGB of a colour name or `#rrggbb`; a ValueError says what is expected."""
    try:
        rgb = ImageColor.getrgb(name)
    except ValueError as error:
        raise ValueError("give a colour name such as black, or #rrggbb") from error
    return rgb[0], rgb[1], rgb[2]


def decode_picture(
    source: bytes | str | Path, *, background: Background = (0, 0, 0), max_pixels: int = MAX_PIXELS
) -> DecodedPicture:
    """Decode any picture to RGB: EXIF orientation applied, colours to sRGB by an embedded profile, alpha composited.

    Args:
        source: a file's bytes or its path.
        background: behind transparent parts: RGB, a picture (resized and cropped to cover), or None to drop the alpha.
        max_pixels: larger pictures are refused before they are decoded, but JPEG files of up to four times as many
            are decoded at half their size. Decoding takes up to 14 bytes a pixel.

    Raises:
        BadPicture: with the reason.
    """
    data = source if isinstance(source, bytes) else _read(Path(source))
    if not data:
        raise BadPicture("empty file")
    try:
        return _decoded(data, background, max_pixels)
    except BadPicture as error:
        bare = without_metadata(data)
        if not error.is_damage or bare == data:
            raise
        try:
            picture = _decoded(bare, background, max_pixels)
        except BadPicture:
            raise error from None
        return replace(picture, notes=[METADATA_LEFT_OUT, *picture.notes])


def _decoded(data: bytes, background: Background, max_pixels: int) -> DecodedPicture:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data)) as picture:
                return _decode(picture, background, max_pixels)
    except BadPicture:
        raise
    except UnidentifiedImageError as error:
        raise BadPicture(_other_format(data) or "not a picture that can be read", is_damage=True) from error
    except Exception as error:  # decoders fail in many ways on damaged files
        reason = "cut short" if "truncated" in str(error) else str(error) or type(error).__name__
        raise BadPicture(f"damaged ({reason})", is_damage=True) from error


def _other_format(data: bytes) -> str | None:
    """What to do with an archive, or an HEIC or AVIF file that Pillow does not read; None for all others."""
    if data[4:8] != b"ftyp":
        return next((words for start, words in _OTHERS.items() if data.startswith(start)), None)
    box = data[8 : min(int.from_bytes(data[:4]), 256)]
    brands = {box[i : i + 4] for i in range(0, len(box), 4)}
    if brands & {b"avif", b"avis"}:
        return "an AVIF picture that this Pillow cannot read: convert it to JPEG or PNG"
    if brands & _HEIC:
        return "an HEIC photograph, as iPhones take them: convert it to JPEG (heif-convert A.heic A.jpg)"
    return None


def resize_square(rgb: np.ndarray, resolution: int) -> np.ndarray:
    """Centre crop to a square and resize to `resolution` px (Lanczos, antialiased): uint8 `[r, r, 3]`."""
    height, width = rgb.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    crop = rgb[top : top + side, left : left + side]
    if side == resolution:
        return np.ascontiguousarray(crop)
    return np.asarray(Image.fromarray(crop).resize((resolution, resolution), Image.Resampling.LANCZOS))


def _decode(picture: Image.Image, background: Background, max_pixels: int) -> DecodedPicture:
    width, height = picture.size
    if min(width, height) < MIN_SIDE_PX:
        raise BadPicture(f"{width}x{height} is too small (at least {MIN_SIDE_PX} px a side)")
    reduction = _reduction(picture, max_pixels)
    notes = []
    if getattr(picture, "n_frames", 1) > 1:
        notes.append("first of several frames")
        picture.seek(0)
    if reduction > 1:
        picture.draft(picture.mode, (width // reduction, height // reduction))
        notes.append(f"decoded at half size (more than {max_pixels / 1e6:g} million pixels)")
    orientation = _orientation(picture)
    picture.load()
    if orientation in _UPRIGHT:
        notes.append("turned as its EXIF says")
        picture = picture.transpose(_UPRIGHT[orientation])
    picture, profile_note = to_srgb(picture)
    alpha = None
    if _is_transparent(picture):
        rgb, alpha = _from_transparent(picture, background)
        note = "transparency dropped" if background is None else "transparency on the background"
    else:
        rgb, note = _to_rgb(picture)
    return DecodedPicture(rgb, notes + [n for n in (profile_note, note) if n], reduction, alpha)


def _reduction(picture: Image.Image, max_pixels: int) -> int:
    """How many times smaller a picture is to be decoded; a BadPicture for one that is too large."""
    width, height = picture.size
    if width * height <= max_pixels:
        return 1
    if isinstance(picture, JpegImageFile) and width * height <= max_pixels * REDUCTION**2:
        return REDUCTION
    needed, memory_gb = math.ceil(width * height / 1e6), width * height * BYTES_PER_PIXEL / 1e9
    raise BadPicture(
        f"{width}x{height} is more than {max_pixels / 1e6:g} million pixels (max_megapixels={needed} takes it, and "
        f"{memory_gb:.1f} GB)"
    )


def _orientation(picture: Image.Image) -> int:
    """The orientation that EXIF says, 1 for upright; also where it cannot be read."""
    try:
        return int(picture.getexif().get(_ORIENTATION, 1))
    except Exception:  # Pillow fails in many ways on damaged EXIF
        return 1


def _is_transparent(picture: Image.Image) -> bool:
    return picture.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in picture.info


def _to_rgb(picture: Image.Image) -> tuple[np.ndarray, str]:
    mode = picture.mode
    if mode == "RGB":
        return np.asarray(picture), ""
    if mode.startswith("I") or mode == "F":
        return _from_deep(picture), "16 bit grey to 8 bit" if mode != "F" else "float grey to 8 bit"
    names = {"L": "grey to RGB", "1": "1 bit to RGB", "P": "palette to RGB", "CMYK": "CMYK to RGB"}
    return np.asarray(picture.convert("RGB")), names.get(mode, f"{mode} to RGB")


def _strips(picture: Image.Image) -> Iterator[tuple[int, int, int, int]]:
    """Boxes of whole rows that cover a picture, each of about `_STRIP_PX` pixels."""
    width, height = picture.size
    rows = max(1, _STRIP_PX // width)
    for top in range(0, height, rows):
        yield 0, top, width, min(top + rows, height)


def _from_transparent(picture: Image.Image, background: Background) -> tuple[np.ndarray, np.ndarray | None]:
    """Its pixels on the background, and its alpha; None when that hides nothing."""
    rgb = np.empty([picture.height, picture.width, 3], np.uint8)
    alpha = np.empty([picture.height, picture.width], np.uint8)
    cover = ImageOps.fit(background.convert("RGB"), picture.size) if isinstance(background, Image.Image) else None
    for box in _strips(picture):
        strip = picture.crop(box).convert("RGBA")
        alpha[box[1] : box[3]] = np.asarray(strip.getchannel("A"))
        if cover is not None:
            strip = Image.alpha_composite(cover.crop(box).convert("RGBA"), strip)
        elif isinstance(background, tuple):
            strip = Image.alpha_composite(Image.new("RGBA", strip.size, (*background, 255)), strip)
        rgb[box[1] : box[3]] = np.asarray(strip.convert("RGB"))
    return rgb, None if alpha.min() == 255 else alpha


def _from_deep(picture: Image.Image) -> np.ndarray:
    scale = 1.0
    if picture.mode == "F":
        largest = max(np.nan_to_num(np.asarray(picture.crop(box))).max() for box in _strips(picture))
        scale = 255.0 if largest <= 1 else 1.0
    rgb = np.empty([picture.height, picture.width, 3], np.uint8)
    for box in _strips(picture):
        values = np.asarray(picture.crop(box))
        if picture.mode == "F":
            values = np.clip(np.nan_to_num(values.astype(np.float64)) * scale + 0.5, 0, 255)
        else:  # 65535 = 255 * 257
            values = (np.clip(values, 0, 65535).astype(np.uint32) + 128) // 257
        rgb[box[1] : box[3]] = values.astype(np.uint8)[:, :, None]
    return rgb


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadPicture(f"cannot be read ({error.strerror or error})") from error
