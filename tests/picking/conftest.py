"""A finished sweep of made-up places, with pictures and pseudo-values, as sweep.py leaves it."""

import json
import random
from threading import Thread

import numpy as np
import pytest
from PIL import Image

from src.picking.run import open_server
from src.picking.shown import Blends
from src.picking.sitting import Sitting
from src.sweep.ranking import rank

from ..clicks.simulated import AXES, recorded_sides

TITLES = {"s": "cartoon shape adopted", "r": "base rendering kept"}
FACE, CODES = 24, 80


def faces(path, seed):
    """Sixteen plain faces in one picture, none like another."""
    path.parent.mkdir(parents=True, exist_ok=True)
    colours = np.random.default_rng(seed).integers(0, 256, [4, 4, 3], dtype=np.uint8)
    Image.fromarray(colours).resize((4 * FACE, 4 * FACE), Image.Resampling.NEAREST).save(path, quality=95)


@pytest.fixture(scope="session")
def swept(tmp_path_factory):
    """`runs/mine/sweeps/s` with the places of a recorded sweep."""
    run = tmp_path_factory.mktemp("runs") / "mine"
    folder = run / "sweeps" / "s"
    rows, pseudo, kids = [], {}, {}
    for i, side in enumerate(recorded_sides()):
        kimg, resolution = side.label.split("/")
        picture = f"cells/{kimg}-{resolution}.jpg"
        faces(folder / picture, i)
        gates = {"spread": {"value": 0.9, "threshold": 0.5, "passed": True, "reason": ""}}
        row = {"label": side.label, "snapshot": kimg, "kimg": float(kimg), "resolution": int(resolution)}
        rows.append({**row, "gates": gates, "picture": picture, "key": f"cell{i}"})
        rest = np.random.default_rng(i).standard_normal([CODES, 2])
        pseudo[side.label] = np.array([side.places[name] for name in AXES]) + 0.02 * (rest - rest.mean(axis=0))
        kids[row["kimg"]] = side.kid
        (folder / "features").mkdir(exist_ok=True)
        np.savez(folder / "features" / f"cell{i}.npz", pseudo=pseudo[side.label])
    faces(folder / "cells" / "base.jpg", 99)
    axes = [type("Axis", (), {"name": name, "title": TITLES[name]}) for name in AXES]
    scored, ranking = rank(rows, pseudo, {}, axes, alpha=0.5, resolutions=(4, 8, 16, 32))
    ranking |= {"seed": 0, "resolutions": [4, 8, 16, 32], "unblended_keys": {}, "protocol": {"seed": 0}}
    (folder / "ranking.json").write_text(json.dumps(ranking))
    (folder / "cells.jsonl").write_text("".join(json.dumps(row) + "\n" for row in scored))
    (run / "metrics.jsonl").write_text("".join(json.dumps({"kimg": k, "kid": v}) + "\n" for k, v in kids.items()))
    (run / "run.json").write_text("{}")
    return folder


@pytest.fixture
def sitting(swept):
    """Of somebody without clicks."""
    (swept / "clicks.jsonl").unlink(missing_ok=True)
    return Sitting(Blends.of(swept), "anna", random.Random(0))


@pytest.fixture
def server(sitting):
    """The page of that sitting, served."""
    with open_server(sitting) as opened:
        opened.thread = thread = Thread(target=opened.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield opened
        opened.shutdown()
        thread.join()
