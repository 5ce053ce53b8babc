"""FID and KID beside torch-fidelity's own, on the same random pictures and the same random weights.

    python -m experiments.fid.compare --torch-fidelity FOLDER_OR_WHEEL --out experiments/fid/results.json

Ours is the whole `Evaluator`, in one process and in two (gloo), each with one thread. Random weights show that the two
programs compute the same function, not that the published file is read: for that see the README.
"""

import argparse
import dataclasses
import json
import os
import platform
import socket
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from experiments.fid.peer import Peer
from experiments.fid.random_weights import random_pictures, random_state
from src.fetch import WeightsFolder
from src.files import file_sha256
from src.group import Group
from src.metrics import Evaluator, FeatureExtractor, get_extractor, published
from src.metrics.frechet import FrechetAccumulator
from src.metrics.inception import FidInception, resize_like_tensorflow

SEED, CHUNK = 0, 32


def inception_of(folder: Path) -> FeatureExtractor:
    """`inception` with the random weights in `folder` for the published ones."""
    path = folder / published.INCEPTION.name
    published.INCEPTION = dataclasses.replace(published.INCEPTION, size=None, sha256=file_sha256(path))
    return get_extractor("inception", weights_folder=WeightsFolder(folder))


def pictures(num: int, px: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Fakes and reals."""
    return random_pictures(num, px, seed=1, grain=6), random_pictures(num, px, seed=2, grain=4)


def evaluate(folder: Path, num: int, px: int, group: Group) -> dict[str, Any]:
    """Our numbers, of this process's share of the fakes."""
    extractor = inception_of(folder)
    fakes, reals = pictures(num, px)
    mine = fakes[list(group.share(num))]
    evaluator = Evaluator(extractor, [(real, None) for real in reals], seed=SEED, group=group)
    return evaluator.evaluate(mine.split(CHUNK), psi=1.0).row


def one_of_two(rank: int, port: int, folder: Path, num: int, px: int) -> None:
    """Body of one of two processes; each writes its numbers."""
    torch.set_num_threads(1)
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    dist.init_process_group("gloo", rank=rank, world_size=2)
    row = evaluate(folder, num, px, Group.joined())
    (folder / f"rank-{rank}.json").write_text(json.dumps(row))
    dist.destroy_process_group()


def resize_differences(peer: Peer) -> dict[int, float]:
    """Largest difference of a value in 0 … 255 by size of the picture."""
    return {
        px: float((resize_like_tensorflow(images, 299) - peer.resize(images)).abs().max())
        for px in (1, 16, 37, 64, 100, 128, 256, 299, 300, 512, 1024)
        for images in [random_pictures(1, px, seed=px, grain=32).float()]
    }


def compare(root: Path, num: int, px: int) -> dict[str, Any]:
    """Both programs' numbers and their relative differences."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        weights = folder / published.INCEPTION.name
        torch.save(random_state(), weights)
        fakes, reals = pictures(num, px)
        start = time.perf_counter()
        peer = Peer(root, weights)
        peer_fakes, peer_reals = peer.features(fakes), peer.features(reals)
        peer_sec = time.perf_counter() - start
        exact = peer_fakes.double(), peer_reals.double()
        theirs, theirs_exact = (
            {"fid": peer.fid(*features), "kid": peer.kid(*features)} for features in ((peer_fakes, peer_reals), exact)
        )
        start = time.perf_counter()
        one = evaluate(folder, num, px, Group())
        one_sec = time.perf_counter() - start
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        start = time.perf_counter()
        mp.spawn(one_of_two, args=(port, folder, num, px), nprocs=2)
        two_sec = time.perf_counter() - start
        two = [json.loads((folder / f"rank-{rank}.json").read_text()) for rank in range(2)]
        extractor = get_extractor("inception")
        ours_fakes = extractor(fakes)
        plain = FidInception().eval()
        plain.load_state_dict(random_state(), strict=False)
        with torch.inference_mode():
            plain_features = torch.cat([plain(part) for part in fakes[: 2 * CHUNK].split(CHUNK)])
    ours = {"fid": one["fid"], "kid": one["kid"]}
    both: dict[str, dict[str, Any]] = {}
    for key, value in ours.items():
        row = both[key] = {"ours": value, "torch-fidelity": theirs[key], "torch-fidelity, float64": theirs_exact[key]}
        row["relative difference"] = abs(value / theirs[key] - 1)
        row["relative difference to its float64"] = abs(value / theirs_exact[key] - 1)
        row["two processes"] = [row_of_rank[key] for row_of_rank in two]
        row["two to one, relative"] = max(abs(row_of_rank[key] / one[key] - 1) for row_of_rank in two)
    return {
        "pictures": {"fakes": num, "reals": num, "px": px},
        "numbers": both,
        "fid of torch-fidelity's features by our formula, relative": abs(
            FrechetAccumulator(exact[1]).distance_of(exact[0]) / theirs_exact["fid"] - 1
        ),
        "largest difference of a feature": float((ours_fakes - peer_fakes).abs().max()),
        "the same in torch's default memory layout": float((plain_features - peer_fakes[: 2 * CHUNK]).abs().max()),
        "largest difference of the resize, px": resize_differences(peer),
        "spread of a feature over pictures": float(peer_fakes.std(dim=0).mean()),
        "protocol": one["protocol"],
        "seconds": {"torch-fidelity": peer_sec, "ours": one_sec, "ours, two processes": two_sec},
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "torch-fidelity": peer.version,
        },
    }


def main() -> None:
    """Compare, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--torch-fidelity", type=Path, required=True, help="folder or wheel that holds the package")
    parser.add_argument("--num", type=int, default=200, help="pictures of each set")
    parser.add_argument("--px", type=int, default=64)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    result = compare(args.torch_fidelity, args.num, args.px)
    text = json.dumps(result, indent=1)
    print(text)
    if args.out:
        args.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
