"""Synthetic trees and folders for the tests of prepare.py."""

import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from src.cli import compose_config
from src.options import read
from src.prepare import PrepareSettings
from src.prepare.ferg import CHARACTERS, EXPRESSIONS
from src.prepare.run import prepare


def encoded(picture: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    """Bytes of a picture file."""
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


def noise(seed: int = 0, width: int = 32, height: int = 32) -> Image.Image:
    """A picture of random colours, coarse enough to be told from others by perceptual hash."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


def write_files(folder: Path, files: Mapping[str, bytes]) -> Path:
    """A folder of files."""
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def ferg_tree(folder: Path, frames: int | Mapping[tuple[str, str], int], px: int = 16) -> Path:
    """FERG_DB_256's layout; every frame is one colour: its cell's, a little brighter from frame to frame."""
    rng = np.random.default_rng(0)
    for character in CHARACTERS:
        for expression in EXPRESSIONS:
            count = frames if isinstance(frames, int) else frames.get((character, expression), 0)
            cell = folder / character / f"{character}_{expression}"
            cell.mkdir(parents=True)
            colour = rng.integers(0, 200, 3)
            for n in range(1, count + 1):
                Image.new("RGB", (px, px), tuple(int(c) + n % 50 for c in colour)).save(
                    cell / f"{character}_{expression}_{n}.png"
                )
    (folder / "README.txt").write_text("facts")
    return folder


def run_prepare(*overrides: object) -> Path:
    """prepare.py with these options, in this process: the path written."""
    settings = read(PrepareSettings, compose_config("prepare", [str(o) for o in overrides]))
    return prepare(settings)


def manifest(out: Path) -> dict:
    """The manifest in a zip."""
    with zipfile.ZipFile(out) as archive:
        return json.loads(archive.read("manifest.json"))


def report(out: Path) -> dict:
    """The report beside a zip."""
    return json.loads((out.with_name(f"{out.stem}-report") / "report.json").read_text())


def left_out(out: Path) -> dict[str, str]:
    """File name to reason."""
    return {row["file"]: row["reason"] for row in report(out)["left_out"]}
