"""python -m src.weights: look into network files, convert between formats, blend.

    python -m src.weights inspect FILE [--json]
    python -m src.weights convert SOURCE TARGET [--format native|rosinality|ada] [--select G_ema|all]
                                  [--dtype fp32|fp16] [--force]
    python -m src.weights blend LOW HIGH TARGET --res 32 [--level 0|1] [--width 1.0] [--mapping 0|1]
    python -m src.weights blend NETWORK NETWORK ... TARGET --weights SHARES.yaml

SOURCE and FILE are anything that training can start from: a file of any known format, a run's folder, a name.
"""

import argparse
import json
import sys
from pathlib import Path

import torch

from ..errors import UserError
from ..exits import with_errors_as_lines
from ..fetch import WeightsFolder
from ..files import file_sha256
from .blend_files import blend_files, read_shares
from .describe import as_lines, describe_network
from .export import FORMATS, check_target, export_network, rosinality_note
from .load import load_network, resolve_network
from .network_file import PARTS

DTYPES = {"fp32": torch.float32, "fp16": torch.float16}
BY_SUFFIX = {".safetensors": "native", ".pt": "rosinality", ".pth": "rosinality"}


def main(arguments: list[str] | None = None) -> None:
    """Run a command; a mistake is one line on stderr and exit code 2."""
    options = _parser().parse_args(arguments)
    with_errors_as_lines(lambda: _run(options))


def _run(options: argparse.Namespace) -> None:
    options.folder = WeightsFolder(options.weights_folder, options.weights_mirror)
    options.run(options)


def _inspect(options: argparse.Namespace) -> None:
    facts = describe_network(options.file, weights_folder=options.folder)
    print(json.dumps(facts, indent=2) if options.json else "\n".join(as_lines(facts)))


def _convert(options: argparse.Namespace) -> None:
    target = Path(options.target)
    format = _format(target, options.format)
    check_target(target, format, force=options.force)
    path = resolve_network(options.source, weights_folder=options.folder)
    parts = ("G_ema",) if options.select == "G_ema" else PARTS
    networks = load_network(options.source, parts=parts, weights_folder=options.folder)
    origin = {"file": path.name, "sha256": file_sha256(path), "format": networks.meta["format"]}
    if "converted_from" in networks.meta:  # the whole way is kept
        origin["converted_from"] = networks.meta["converted_from"]
    networks.meta = {**networks.meta, "converted_from": origin}
    export_network(networks, target, format=format, dtype=DTYPES[options.dtype], force=options.force)
    held = [name for name in PARTS if getattr(networks, name) is not None]
    size = f"{options.dtype}, {target.stat().st_size / 1e6:.1f} MB"
    print(f"{target}: {', '.join(held)} in the {format} format, {size}; read back, same images")
    if format == "rosinality":
        print(f"  {rosinality_note(networks)}")
    if format != "native":
        print("  the format has no place for where the network comes from: keep the source, or a .safetensors")


def _blend(options: argparse.Namespace) -> None:
    *sources, target = options.networks
    format = _format(Path(target), options.format)
    check_target(Path(target), format, force=options.force)
    made = blend_files(
        sources,
        target,
        resolution=options.res,
        level=options.level,
        width=options.width,
        shares=None if options.weights is None else read_shares(options.weights),
        mapping=options.mapping,
        format=format,
        dtype=DTYPES[options.dtype],
        force=options.force,
        weights_folder=options.folder,
    )
    print(f"{made.path}: written")
    for i, (source, distance) in enumerate(zip(sources, made.distance, strict=True)):
        relation = "" if i == 0 else f", cosine of weights with the first {made.kinship[i - 1]:.2f}"
        print(f"  images differ from {source}'s by {distance:.3f} (mean of |difference|, white - black is 2){relation}")
    for warning in made.warnings:
        print(f"warning: {warning}", file=sys.stderr)


def _format(target: Path, given: str | None) -> str:
    format = given or BY_SUFFIX.get(target.suffix)
    if format is None:
        raise UserError(
            f"{target}: what format? name it .safetensors (native) or .pt (rosinality), or say --format "
            f"{' or '.join(FORMATS)}"
        )
    return format


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m src.weights", description="Network files: look into, convert, blend."
    )
    commands = parser.add_subparsers(required=True, metavar="inspect|convert|blend")
    inspect = commands.add_parser("inspect", help="format, architecture, sizes, what is inside")
    inspect.add_argument("file", metavar="FILE", help="a network file of any known format, a run's folder, or a name")
    inspect.add_argument("--json", action="store_true", help="as JSON")
    inspect.set_defaults(run=_inspect)
    convert = commands.add_parser("convert", help="write a network in another format, checked by image equality")
    convert.add_argument("source", metavar="SOURCE", help="as FILE of inspect")
    convert.add_argument("target", metavar="TARGET", help="FILE.safetensors (native) or FILE.pt (rosinality, ada)")
    convert.add_argument("--format", choices=FORMATS, help="instead of the one that TARGET's suffix says")
    convert.add_argument("--select", choices=("G_ema", "all"), default="all", help="which networks (default: all)")
    convert.set_defaults(run=_convert)
    blend = commands.add_parser("blend", help="mix networks layer by layer")
    blend.add_argument("networks", metavar="NETWORK", nargs="+", help="LOW HIGH TARGET, or NETWORK NETWORK ... TARGET")
    blend.add_argument("--res", type=int, help="low up to and including this resolution, high above")
    blend.add_argument("--level", type=int, default=0, help="1: switch half a block later (default: 0)")
    blend.add_argument("--width", type=float, help="logistic mix of this width in layer positions (default: hard)")
    blend.add_argument("--weights", metavar="SHARES.yaml", help="shares of each unit, instead of --res")
    blend.add_argument("--mapping", type=int, default=0, help="which network gives the mapping, from 0 (default: 0)")
    blend.add_argument("--format", choices=FORMATS, help="instead of the one that TARGET's suffix says")
    blend.set_defaults(run=_blend)
    for command in (inspect, convert, blend):
        command.add_argument("--weights-folder", default="weights", help="of published networks (default: weights)")
        command.add_argument("--weights-mirror", metavar="URL", help="where to look for published networks first")
    for command in (convert, blend):
        command.add_argument("--dtype", choices=tuple(DTYPES), default="fp32", help="of the tensors (default: fp32)")
        command.add_argument("--force", action="store_true", help="replace TARGET if it exists")
    return parser


if __name__ == "__main__":
    main()
