"""python -m src.weights: look into network files, convert between formats.

    python -m src.weights inspect FILE [--json]
    python -m src.weights convert SOURCE TARGET [--format native|rosinality|ada] [--select G_ema|all]
                                  [--dtype fp32|fp16] [--force]

SOURCE and FILE are anything that training can start from: a file of any known format, a run's folder, a name.
"""

import argparse
import json
from pathlib import Path

import torch

from ..cli import with_errors_as_lines
from ..errors import UserError
from .describe import as_lines, describe_network
from .export import FORMATS, export_network
from .load import load_network, resolve_network
from .native import file_sha256
from .plan import Networks

DTYPES = {"fp32": torch.float32, "fp16": torch.float16}
BY_SUFFIX = {".safetensors": "native", ".pt": "rosinality", ".pth": "rosinality"}


def main(arguments: list[str] | None = None) -> None:
    """Run a command; a mistake is one line on stderr and exit code 2."""
    options = _parser().parse_args(arguments)
    with_errors_as_lines(lambda: options.run(options))


def _inspect(options: argparse.Namespace) -> None:
    facts = describe_network(options.file)
    print(json.dumps(facts, indent=2) if options.json else "\n".join(as_lines(facts)))


def _convert(options: argparse.Namespace) -> None:
    target = Path(options.target)
    format = options.format or BY_SUFFIX.get(target.suffix)
    if format is None:
        raise UserError(
            f"{target}: what format? name it .safetensors (native) or .pt (rosinality), or say --format "
            f"{' or '.join(FORMATS)}"
        )
    if format == "native" and target.suffix != ".safetensors":
        raise UserError(f"{target}: the native format's files are named .safetensors")
    path = resolve_network(options.source)
    networks = load_network(path)
    kept = networks if options.select == "all" else Networks(G_ema=networks.G_ema, meta=networks.meta)
    origin = {"file": path.name, "sha256": file_sha256(path), "format": networks.meta.get("format", "native")}
    kept.meta = {**kept.meta, "converted_from": origin}
    export_network(kept, target, format=format, dtype=DTYPES[options.dtype], force=options.force)
    held = [name for name in ("G_ema", "G", "D") if getattr(kept, name) is not None]
    size = f"{options.dtype}, {target.stat().st_size / 1e6:.1f} MB"
    print(f"{target}: {', '.join(held)} in the {format} format, {size}; read back, same images")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m src.weights", description="Network files: look into, convert.")
    commands = parser.add_subparsers(required=True, metavar="inspect|convert")
    inspect = commands.add_parser("inspect", help="format, architecture, sizes, what is inside")
    inspect.add_argument("file", metavar="FILE", help="a network file of any known format, a run's folder, or a name")
    inspect.add_argument("--json", action="store_true", help="as JSON")
    inspect.set_defaults(run=_inspect)
    convert = commands.add_parser("convert", help="write a network in another format, checked by image equality")
    convert.add_argument("source", metavar="SOURCE", help="as FILE of inspect")
    convert.add_argument("target", metavar="TARGET", help="FILE.safetensors (native) or FILE.pt (rosinality, ada)")
    convert.add_argument("--format", choices=FORMATS, help="instead of the one that TARGET's suffix says")
    convert.add_argument("--select", choices=("G_ema", "all"), default="all", help="which networks (default: all)")
    convert.add_argument("--dtype", choices=tuple(DTYPES), default="fp32", help="of the stored tensors (default: fp32)")
    convert.add_argument("--force", action="store_true", help="replace TARGET if it exists")
    convert.set_defaults(run=_convert)
    return parser


if __name__ == "__main__":
    main()
