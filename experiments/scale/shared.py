"""What it brings that jobs share the pictures of prepare.py and the photographs of caricature.py, on one machine."""

from pathlib import Path
from typing import Any

import numpy as np

from experiments.faults.victims import write_run
from src.data import save_jpeg
from src.demo import draw_photographs
from src.weights import load_network

from .clock import rounded, run_script

PICTURES, PX, PHOTOS = 400, 768, 24
JOBS = ((1, 2), (2, 1))  # on two cores: how many, with how many threads of PyTorch's each


def shared(folder: Path) -> list[dict[str, Any]]:
    """Each command in one process and by two jobs of joblib's; sets are the same to the byte, codes to rounding."""
    draws = np.random.default_rng(0)
    for i in range(PICTURES):
        coarse = draws.integers(0, 256, [PX // 16, PX // 16, 3], dtype=np.uint8)
        save_jpeg(folder / "pictures" / f"{i:04d}.jpg", np.kron(coarse, np.ones([16, 16, 1], np.uint8)), quality=90)
    write_run(folder / "run", load_network("demo").G_ema, (0, 1, 2))
    draw_photographs(folder / "photos", PHOTOS)
    rows = []
    for jobs, threads in JOBS:
        out = folder / str(jobs)
        launched = ["hydra/launcher=joblib"] if jobs > 1 else []
        prepare = [f"source={folder / 'pictures'}", f"out={out / 'set.zip'}", "resolution=256"]
        caricature = [f"photos={folder / 'photos'}", f"run={folder / 'run'}", f"out={out / 'out'}", "device=cpu"]
        caricature += ["snapshot=2", "blend.res=16", "projection.distance=embedded", "faces.align_px=256"]
        caricature += ["page.strengths=[1]", "page.resolutions=[16]"]
        for name, options, count in (("prepare", prepare, PICTURES), ("caricature", caricature, PHOTOS)):
            took = run_script(f"{name}.py", *options, *launched, threads=threads)
            rows.append({"what": name, "jobs": jobs, "pictures": count, **rounded(took, 2)})
            print(rows[-1], flush=True)
    alone, together = folder / "1", folder / "2"
    assert (alone / "set.zip").read_bytes() == (together / "set.zip").read_bytes()
    assert {path.name for path in alone.glob("out/*/*")} == {path.name for path in together.glob("out/*/*")}
    return rows
