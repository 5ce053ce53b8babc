"""A run folder with snapshots and a sweep, as training and sweep.py write it."""

import json
import os

import numpy as np
import pytest
from PIL import Image

#: Needs nothing that others do not, only time; `make test-wandb` has it.
at_length = pytest.mark.skipif("OPENWANDB" not in os.environ, reason="takes long: make test-wandb")
PROTOCOL = {"extractor": "embedded", "n_latents": 64, "psi": 0.7, "seed": 0}


def picture(path, seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 255, [32, 32, 3], dtype=np.uint8)).save(path)


def jsonl(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.fixture
def run(tmp_path):
    """A run folder with three snapshots and a sweep of two of them."""
    folder = tmp_path / "my-run"
    metrics, cells = [], []
    for i, kid in enumerate((0.9, 0.4, 0.5)):
        sample = f"samples/kimg-{i}.jpg"
        picture(folder / sample, i)
        protocol = {"extractor": "embedded", "extractor_sha256": "ab", "n_fake": 9, "n_real": 8, "psi": 1, "seed": 0}
        values = {"kid": kid, "kid_error": 0.01, "frechet": 3.0, "precision": 0.5, "recall": 0.25, "memorisation": 1.1}
        metrics.append(
            {"kimg": float(i), "nimg": i * 1000, **values, "protocol": protocol, "sample": sample, "past_best": i == 2}
        )
    jsonl(folder / "metrics.jsonl", metrics)
    jsonl(folder / "log.jsonl", [{"kimg": k / 10, "loss/G": 1.0 + k, "loss/D": None, "ada/p": 0.1} for k in range(20)])
    facts = {"name": "my-run", "command": "python train.py", "img_per_sec": 40.5, "versions": {"torch": "2"}}
    report = {"num_converted": 1, "skipped": {"<script>alert(1)</script>.png": "empty file"}}
    facts["dataset"] = {"name": "d", "num_images": 8, "resolution": 32, "fingerprint": "ff", "report": report}
    (folder / "run.json").write_text(json.dumps(facts))
    sweep = folder / "sweeps" / "s"
    for kimg in (1.0, 2.0):
        for r in (8, 16):
            label, shown = f"kimg-{kimg:g}/{r}", f"cells/{kimg:g}-{r}.jpg"
            picture(sweep / shown, r)
            gates = {
                "correspondence": {"value": 0.9, "threshold": 0.5, "passed": kimg == 1, "reason": ""},
                "turn": {"value": None, "threshold": 0.0, "passed": None, "reason": "too few faces"},
            }
            scores = {"s": 0.51, "r": 0.83, "c": 0.27, "cari": 0.6 + r / 100, "share": 0.25}
            scores |= {"gates": gates, "eligible": kimg == 1, "protocol": PROTOCOL}
            which = {"label": label, "snapshot": f"kimg-{kimg:g}", "kimg": kimg, "resolution": r, "level": 0}
            cells.append({**which, "direction": "cartoon_low", "width": None, **scores, "picture": shown})
    jsonl(sweep / "cells.jsonl", cells)
    recommended = {"label": "kimg-1/16", "kimg": 1.0, "resolution": 16, "snapshot": "kimg-1"}
    ranking = {"recommended": {**recommended, "picture": "cells/1-16.jpg"}, "candidates": ["kimg-1/16"]}
    titles = {"s": "cartoon shape adopted", "r": "base rendering kept", "c": "colour kept"}
    exponents = {"s": 0.5, "r": 0.25, "c": 0.25}
    ranking["axes"] = [{"name": k, "title": title, "exponent": exponents[k]} for k, title in titles.items()]
    ranking["landmarks"] = {"name": "network"}
    ranking["cartoons"] = {"name": "training pictures", "count": 24}
    ranking["remarks"] = ["Landmarks by network.", "The score still rises at the last snapshot: <train> longer."]
    picture(sweep / "cells/base.jpg", 1)
    for kimg in (1, 2):
        picture(sweep / f"cells/kimg-{kimg}.jpg", 1 + kimg)
    ranking |= {"sentence": "Use kimg-1 at 16, it is best.", "protocol": PROTOCOL}
    (sweep / "ranking.json").write_text(json.dumps(ranking))
    return folder
