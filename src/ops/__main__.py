"""`python -m src.ops`: which op implementations serve each device here, with what they would be built, and why not."""

import platform

import torch

from ..errors import UserError
from ..files import cache_folder
from .backend import COMPILED, REFERENCE, backend_info
from .build import BuildError, find_compiler, find_ninja


def _found(find: object, *arguments: str) -> str:
    try:
        return str(find(*arguments))  # type: ignore[operator]
    except BuildError as error:
        return f"none ({error})"


def main() -> None:
    """Print the tools, then a block a device; a failed compiler's words last."""
    print(f"python     {platform.python_version()}, torch {torch.__version__}, CUDA {torch.version.cuda or 'none'}")
    print(f"ninja      {_found(find_ninja)}")
    print(f"compiler   {_found(find_compiler, 'cpu')}")
    print(f"nvcc       {_found(find_compiler, 'cuda')}")
    print(f"cache      {cache_folder('ops')}")
    devices = ["cpu", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]
    for device in devices:
        try:
            info = backend_info(device)
        except UserError as error:
            print(f"{device:<10} {error}")
            continue
        ops = ", ".join(f"{name} {info[name]}" for name in (*COMPILED, *REFERENCE))
        lines = (info["reason"], ops, f"policy {info['policy']}, library {info['library']}")
        print(f"{device:<10} " + f"\n{'':<10} ".join(lines))
        if info["log"]:
            print(info["log"])


if __name__ == "__main__":
    main()
