"""The codes of faces: projected once, kept in `codes/`, and shared out among processes that run the same command.

`projections.json` has a row a face, written after its files; a face that another process is at has a lock in `codes/`.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..data import save_png
from ..errors import UserError
from ..faces import FoundFace
from ..files import file_sha256, write_text
from ..lock import Claim, attempt, exclusive, remove_left
from ..networks import Generator
from ..projection import Codes, Projection, Projector, read_codes, save_codes, structural_similarity
from .settings import CaricatureSettings

ROWS = "projections.json"
Rows = dict[str, dict[str, Any]]


class Projections:
    """Those of one folder of results; `protocol` is what decides the codes of a given picture."""

    def __init__(self, out: Path, protocol: Mapping[str, Any]) -> None:
        self.folder, self.protocol, self._path = out / "codes", protocol, out / ROWS
        self._rows_lock = out / f".{ROWS}.lock"
        self._keys: dict[str, str] = {}  # by name, of faces that were asked for
        self._damaged: set[str] = set()  # names of faces whose row is there, their files not as written
        self._made: set[str] = set()  # names of faces that this process has projected

    def fill(
        self, faces: Sequence[FoundFace], base: Generator, settings: CaricatureSettings, start: Tensor | None
    ) -> int:
        """Project the faces whose codes are not there, of this picture and protocol, as they were written.

        They begin with codes `start` `[1, L, w_dim]`, None for the average code; returned is how many were there.
        """
        for folder in (self.folder, self.folder.parent):
            remove_left(folder)
        rows = self.rows()
        there = [face for face in faces if self._has(rows, face)]
        self._damaged = {face.name for face in there if not _is_whole(self.folder, face.name, rows)}
        missing = [face for face in faces if not self._has(rows, face)]
        if not missing:
            return len(faces)
        with Projector(
            base,
            settings=settings.projection.settings,
            seed=settings.seed,
            batch=settings.projection.batch,
            total=len(missing),
            weights_folder=settings.weights,
        ) as projector:
            for batch, claims in self._shares(missing, projector.batch):
                pictures = torch.stack([picture_of(face) for face in batch])
                projection = projector(pictures, start)
                for claim in claims:
                    claim.check()
                self._keep(batch, pictures, projection)
        return len(faces) - len(missing)

    def rows(self) -> Rows:
        """What is known of each face's codes, by its name; a damaged file is as good as none."""
        try:
            rows = json.loads(self._path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return {k: v for k, v in rows.items() if isinstance(v, dict)} if isinstance(rows, dict) else {}

    def read(self, faces: Sequence[FoundFace], base: Generator) -> list[tuple[Codes, dict[str, Any]]]:
        """The codes of faces that have been projected, and what is known of them."""
        rows, found = self.rows(), []
        for face in faces:
            if not self._has(rows, face):
                raise self._contested(face.name)
            (codes,) = read_codes(self.folder / f"{face.name}.safetensors", base)
            found.append((codes, rows[face.name]))
        return found

    def _shares(self, faces: Sequence[FoundFace], size: int) -> Iterator[tuple[list[FoundFace], list[Claim]]]:
        """Batches of faces that no other process is at, with the claims on them; then those left undone by another."""
        while faces:
            batch: list[FoundFace] = []
            claims: list[Claim] = []
            with ExitStack() as held:
                for face in faces:
                    if len(batch) < size and (claim := held.enter_context(attempt(self._lock(face)))):
                        batch.append(face)
                        claims.append(claim)
                rows = self.rows()  # another may have been here just now
                mine = [face for face in batch if not self._has(rows, face)]
                if mine:
                    yield mine, claims
            rows = self.rows()
            faces = [face for face in faces if not self._has(rows, face)]
            if again := [face.name for face in faces if face.name in self._made]:
                raise self._contested(again[0])
            if faces and not batch:
                said = f"waiting for another process that projects {faces[0].name}"
                with exclusive(self._lock(faces[0]), waiting=partial(print, said, flush=True)):
                    pass

    def _lock(self, face: FoundFace) -> Path:
        self.folder.mkdir(parents=True, exist_ok=True)
        return self.folder / f".{face.name}.lock"

    def _has(self, rows: Rows, face: FoundFace) -> bool:
        return face.name not in self._damaged and rows.get(face.name, {}).get("key") == self._key(face)

    def _contested(self, name: str) -> UserError:
        return UserError(
            f"{self.folder}: another process has projected {name} otherwise meanwhile, by other options or pictures: "
            "give each its own out="
        )

    def _key(self, face: FoundFace) -> str:
        if face.name not in self._keys:
            picture = hashlib.sha256(picture_of(face).numpy().tobytes()).hexdigest()
            self._keys[face.name] = digest_of({**self.protocol, "picture": picture})
        return self._keys[face.name]

    def _keep(self, faces: Sequence[FoundFace], pictures: Tensor, projection: Projection) -> None:
        """Write the codes and pictures of a batch, then its rows."""
        similarities, rows = structural_similarity(projection.images, pictures), {}
        for k, face in enumerate(faces):
            facts = {**_facts(projection, k), "ssim": round(float(similarities[k]), 4)}
            noise = None if projection.noise is None else tuple(maps[k] for maps in projection.noise)
            meta = {**facts, "base_sha256": self.protocol["base_sha256"]}
            path = save_codes(self.folder, Codes(face.name, projection.codes[k], noise, meta))
            save_png(self.folder / f"{face.name}.png", projection.images[k].permute(1, 2, 0))
            more = {"key": self._key(face), "codes_sha256": file_sha256(path), "protocol": self.protocol}
            rows[face.name] = {**facts, "photo": face.photo, **more}
        with exclusive(self._rows_lock):
            write_text(self._path, json.dumps(self.rows() | rows, indent=2) + "\n")
        self._made |= rows.keys()
        self._damaged -= rows.keys()


def picture_of(face: FoundFace) -> Tensor:
    """An aligned face, uint8 `[3, r, r]`."""
    return torch.from_numpy(face.image.transpose(2, 0, 1).copy())


def _is_whole(folder: Path, name: str, rows: Rows) -> bool:
    """Whether the codes of an earlier run are there, and as they were written."""
    codes = folder / f"{name}.safetensors"
    if not all((folder / f"{name}{suffix}").is_file() for suffix in (".npy", ".png", ".safetensors")):
        return False
    whole = file_sha256(codes) == rows[name].get("codes_sha256")
    if not whole:
        print(f"note       {codes} is damaged: projected again", flush=True)
    return whole


def _facts(projection: Projection, index: int) -> dict[str, Any]:
    return {
        "quality": round(float(projection.quality()[index]), 4),
        "distance": round(float(projection.distances[index]), 5),
        "average_face": round(float(projection.start_distances[index]), 5),
        "measure": projection.measure,
        "steps": int(projection.steps[index]),
    }


def digest_of(facts: Mapping[str, Any]) -> str:
    """Digest of plain data, by which it is seen that nothing has changed."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:24]
