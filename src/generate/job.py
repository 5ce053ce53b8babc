"""What a mode works with: checked settings, the network with its codes, and names that lose no earlier picture."""

import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from ..data import save_png
from ..files import save_array, write_text
from ..networks import Generator
from .codes import Codes
from .networks import Chosen
from .seed_ranges import MAX_TEXT
from .settings import GenerateSettings
from .sheet import render, save_sheet


@dataclass
class Job:
    """What a mode needs: checked settings, the network with its codes, and where pictures go."""

    settings: GenerateSettings
    chosen: Chosen  # what is rendered
    codes: Codes  # as they are rendered, truncated
    folder: Path
    facts: dict[str, Any] = field(default_factory=dict)  # written beside the result
    # of the sheet or film, from `start` on; singles and codes go into folders of its name
    path: Path = field(init=False)
    _text: str = field(init=False)

    @property
    def G(self) -> Generator:
        """The network that renders; of pairs the base."""
        return self.chosen.G

    def render(self, ws: Tensor, G: Generator | None = None) -> Iterator[Tensor]:
        """Render codes with a progress bar: chunks of uint8 `[n, 3, H, W]`."""
        with tqdm(total=len(ws), desc="rendering", unit="img", disable=None, leave=False) as bar:
            for images in render(G or self.G, ws, self.settings.noise):
                yield images
                bar.update(len(images))

    def pictures(self, ws: Tensor, G: Generator | None = None) -> Tensor:
        """Render codes: uint8 `[N, 3, H, W]`."""
        return torch.cat(list(self.render(ws, G)))

    def start(self, what: str, suffix: str, **facts: Any) -> Path:
        """Take a name with what decides the pictures in it, `grid-0-35-psi0.7.jpg`; with `out=` the network's besides.

        What of that name was made otherwise, as the JSON beside it says, stays: the next takes `-2`, `-3`, …; the same
        command replaces its own.
        """
        self.facts |= facts
        self._text, stem = json.dumps(self._made(), indent=2) + "\n", self._stem(what)
        names = (stem if number == 1 else f"{stem}-{number}" for number in count(1))
        name = next(name for name in names if self._is_free(name, suffix))
        self.path = self.folder / f"{name}.{suffix}"
        return self.path

    def sheet(self, what: str, sheet: np.ndarray, **facts: Any) -> None:
        """Write a sheet under a name of its own, and its record; singles and codes go into folders of that name."""
        save_sheet(self.start(what, self.settings.suffix, **facts), sheet)
        self.record()

    def record(self) -> None:
        """Write beside the sheet or film, which is there by now, what made it."""
        write_text(self.folder / f"{self.path.stem}.json", self._text)

    @contextmanager
    def streamed_singles(self) -> Iterator[None]:
        """Single pictures are written before what they belong to; when that fails, those of this command go again."""
        folder = self.folder / "singles" / self.path.stem
        there = folder.exists()
        try:
            yield
        except BaseException:
            if not there:
                shutil.rmtree(folder, ignore_errors=True)
            raise

    def single(self, name: str, image: Tensor) -> None:
        """Write one picture `[3, H, W]` as a PNG of its own, when that is asked for."""
        if self.settings.singles:
            save_png(self.folder / "singles" / self.path.stem / f"{name}.png", image.permute(1, 2, 0))

    def save_codes(self, codes: Codes | None = None) -> None:
        """Write codes, when that is asked for."""
        codes = codes or self.codes
        for name, ws in zip(codes.names, codes.ws.cpu().numpy(), strict=True):
            if self.settings.save_codes:
                save_array(self.folder / "codes" / self.path.stem / f"{name}.npy", ws)

    def _stem(self, what: str) -> str:
        s = self.settings
        parts = [what, *([self.chosen.name[:MAX_TEXT]] if s.out is not None else []), self.codes.text]
        parts += [f"psi{s.used_psi:g}"] if s.mode != "truncation" and (s.used_psi != 1 or s.codes is None) else []
        parts += [f"cutoff{s.cutoff}"] if s.cutoff is not None else []
        parts += ["class" + "_".join(map(str, s.classes[:8]))] if s.classes is not None else []
        parts += [f"noise-{s.noise}"] if s.noise != "const" else []
        return "-".join(parts)

    def _made(self) -> dict[str, Any]:
        s = self.settings
        made = {"mode": s.mode, **self.facts}
        made |= {"psi": s.used_psi} if s.mode != "truncation" else {}
        made |= {"cutoff": s.cutoff, "noise": s.noise, "classes": s.classes}
        if s.codes is None:
            return made | {"seeds": s.used_seeds}
        return made | {"codes": s.codes, "codes_sha256": digest_of([self.codes.ws])}

    def _is_free(self, name: str, suffix: str) -> bool:
        """Whether nothing is there under a name, or what is was made by the same command."""
        facts = self.folder / f"{name}.json"
        if facts.exists():
            return facts.is_file() and facts.read_bytes() == self._text.encode()
        there = (f"{name}.{suffix}", f"singles/{name}", f"codes/{name}")
        return not any((self.folder / place).exists() for place in there)


def digest_of_network(G: Generator) -> str:
    """SHA-256 of a network's weights."""
    return digest_of([tensor for _, tensor in sorted(G.state_dict().items())])


def digest_of(tensors: list[Tensor]) -> str:
    """SHA-256 of tensors' contents."""
    digest = hashlib.sha256()
    for tensor in tensors:
        digest.update(tensor.detach().cpu().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
