"""What is killed: a tiny training run, sweep, data set and caricature, each with what it has to end with."""

import copy
import hashlib
import json
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from PIL import Image

from src.caricature import CaricatureSettings
from src.cli import compose_config
from src.data import DatasetSettings, open_configured_dataset
from src.demo import draw_photographs
from src.networks import Generator
from src.options import read
from src.weights import load_network, save_network

CLOCKS = ("time", "speed/img_per_sec", "memory/peak_gb")  # of rows: when, and how fast
MARKS, PICTURES, PHOTOS = (0, 0.02, 0.04, 0.06, 0.08), 24, 3
PX = 16


@dataclass(frozen=True)
class Victim:
    """A command that is killed.

    Attributes:
        run: carries it out in a folder.
        result: what it leaves there that must not depend on kills, by name, as digests.
    """

    run: Callable[[Path], Any]
    result: Callable[[Path], dict[str, str]]


def victims(inputs: Path) -> dict[str, Victim]:
    """Make what they need, once, and name them.

    Args:
        inputs: an empty folder for networks, pictures and photographs.
    """
    write_pictures(inputs / "pictures")
    write_run(inputs / "trained", load_network("demo").G_ema, (0, 1, 2))
    draw_photographs(inputs / "photos", PHOTOS)
    return {
        "training": Victim(lambda folder: _train(inputs, folder), _of_training),
        "sweep": Victim(lambda folder: _sweep(inputs, folder), _of_sweep),
        "prepare": Victim(lambda folder: _prepare(inputs, folder), _of_files("*.zip", "*-report/*")),
        "caricature": Victim(lambda folder: _caricature(inputs, folder), _of_caricature),
    }


# ---- the commands


def _train(inputs: Path, folder: Path) -> None:
    from src.training import train

    marks = ",".join(map(str, MARKS))
    options = [
        *("pretrained=none", "model=tiny", "loss=scratch", "dataset=folder", f"dataset.path={inputs / 'pictures'}"),
        *(f"dataset.resolution={PX}", "batch=4", f"snapshot.kimg=[{marks}]", "checkpoint_kimg=0.02", "log_kimg=0.02"),
        *(
            "metrics=embedded",
            "metrics.num_fakes=8",
            "tracker=none",
            "trainer.progress=false",
            "trainer.accelerator=cpu",
        ),
        *(f"paths.runs={folder}", "run=run"),
    ]
    train(compose_config("train", options))


def _sweep(inputs: Path, folder: Path) -> None:
    from src.sweep import main

    options = ["blend.res=[8,16]", "n_latents=16", "gates=false", "tracker=none", "device=cpu"]
    main(compose_config("sweep", [f"run={_copied(inputs / 'trained', folder)}", *options]))


def _prepare(inputs: Path, folder: Path) -> None:
    from src.prepare import main

    source = [f"source={inputs / 'pictures'}", f"out={folder / 'set.zip'}"]
    main(compose_config("prepare", [*source, "resolution=16", "dedupe=0"]))


def _caricature(inputs: Path, folder: Path) -> None:
    from src.caricature import main

    options = [
        *(f"photos={inputs / 'photos'}", f"run={inputs / 'trained'}", f"out={folder / 'out'}", "device=cpu"),
        *("snapshot=2", "blend.res=16", "projection.steps=3", "projection.batch=1", "projection.distance=embedded"),
        *("page.strengths=[1]", "page.resolutions=[16]", "faces.align_px=64"),
    ]
    config = compose_config("caricature", options)
    read(CaricatureSettings, config)
    main(config)


# ---- what they leave


def _of_training(folder: Path) -> dict[str, str]:
    run = folder / "run"
    state = torch.load(run / "checkpoints/last.ckpt", weights_only=True)
    found = {"state": _digest_of_state([state["nimg"], state["state_dict"], state["optimizer_states"]])}
    for name in ("metrics.jsonl", "log.jsonl"):
        rows = [json.loads(line) for line in (run / name).read_text(encoding="utf-8").splitlines()]
        found[name] = _digest(json.dumps([{k: v for k, v in row.items() if k not in CLOCKS} for row in rows]).encode())
    return found | _files(run, "snapshots/*", "samples/*", "evaluations/*", "reals.jpg") | _left(folder)


def _of_sweep(folder: Path) -> dict[str, str]:
    sweep = next((folder / "run" / "sweeps").iterdir())
    rows = (sweep / "features" / "cells.jsonl").read_text(encoding="utf-8").splitlines()
    found = {"cells": _digest("\n".join(sorted(rows)).encode()), "number of cells": str(len(rows))}
    return found | _files(sweep, "*.json*", "cells/*", "features/*.npz", "features/*.jpg") | _left(folder)


def _of_caricature(folder: Path) -> dict[str, str]:
    report = json.loads((folder / "out" / "report.json").read_text(encoding="utf-8"))
    found = {"report": _digest(json.dumps({k: v for k, v in report.items() if k != "reused"}).encode())}
    names = (
        "caricatures/*",
        "codes/*",
        "faces/*",
        "photos/*",
        "*.jpg",
        "index.html",
        "projections.json",
        "landmarks.json",
    )
    return found | _files(folder / "out", *names) | _left(folder)


def _of_files(*patterns: str) -> Callable[[Path], dict[str, str]]:
    return lambda folder: _files(folder, *patterns) | _left(folder)


def _files(folder: Path, *patterns: str) -> dict[str, str]:
    paths = sorted(path for pattern in patterns for path in folder.glob(pattern) if path.is_file())
    return {str(path.relative_to(folder)): _digest(path.read_bytes()) for path in paths}


def _left(folder: Path) -> dict[str, str]:
    """Leftovers: partial files, locks, unfinished work."""
    return {
        str(p.relative_to(folder)): "left"
        for p in folder.rglob(".*")
        if "features" not in p.parts or p.suffix == ".lock"
    }


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


def _digest_of_state(state: Any) -> str:
    digest = hashlib.sha256()
    for part in _leaves(state):
        digest.update(part.numpy().tobytes() if isinstance(part, torch.Tensor) else repr(part).encode())
    return digest.hexdigest()[:16]


def _leaves(state: Any) -> Iterator[Any]:
    if isinstance(state, dict):
        for key, value in state.items():
            yield key
            yield from _leaves(value)
    elif isinstance(state, list | tuple):
        for value in state:
            yield from _leaves(value)
    else:
        yield state


# ---- what they need


def _copied(run: Path, folder: Path) -> Path:
    """A run of one's own: sweeps write into the run's folder."""
    return Path(shutil.copytree(run, folder / "run", dirs_exist_ok=True))


def write_pictures(folder: Path) -> None:
    """Pictures to train on: 16 px, of colours without meaning."""
    folder.mkdir(parents=True)
    draws = np.random.default_rng(0)
    for i in range(PICTURES):
        small = draws.integers(0, 256, [4, 4, 3], dtype=np.uint8)
        Image.fromarray(small).resize((PX, PX), Image.Resampling.BICUBIC).save(folder / f"{i}.png")


def write_run(folder: Path, G: Generator, marks: Iterable[float]) -> None:
    """A run on drawn cartoons whose snapshots have drifted from a network, the further the later.

    Args:
        folder: of the run.
        G: the network.
        marks: of the snapshots, in kimg; at 0 it is the network itself.
    """
    dataset = {"name": "demo", "kind": "portraits", "domain": "cartoons", "num_images": PICTURES, "mirror": False}
    dataset |= {"resolution": G.resolution}
    opened = open_configured_dataset(read(DatasetSettings, dataset))
    facts = {"name": folder.name, "dataset": {"fingerprint": opened.fingerprint, "resolution": opened.resolution}}
    folder.mkdir()
    (folder / "run.json").write_text(json.dumps(facts), encoding="utf-8")
    config = {"dataset": dataset, "pretrained": {"name": "file", "source": "base.safetensors"}}
    (folder / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    for kimg in marks:
        drifted, draws = copy.deepcopy(G), torch.Generator().manual_seed(7)
        with torch.no_grad():
            for parameter in drifted.parameters():
                parameter += 0.02 * kimg * parameter.std(correction=0) * torch.randn(parameter.shape, generator=draws)
        save_network(folder / "snapshots" / f"kimg-{kimg:09.2f}.safetensors", G_ema=drifted, meta={"kimg": float(kimg)})
