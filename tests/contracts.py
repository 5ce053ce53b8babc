"""A contract of `make lint`: another package is used through its face, the names that its `__init__` hands on."""

import ast
from functools import cache
from pathlib import Path
from typing import Any

from importlinter import Contract, ContractCheck, output

ROOT = Path(__file__).resolve().parents[1]


class FaceContract(Contract):
    """No import reaches past the face of another package, as `from ..weights.native import save_network` would."""

    type_name = "faces"

    def check(self, graph: Any, verbose: bool) -> ContractCheck:
        """Find imports whose target lies deeper than another package's face."""
        past = [
            (importer, imported)
            for importer in sorted(graph.modules)
            for imported in sorted(graph.find_modules_directly_imported_by(importer))
            if imported.startswith("src.") and _package(imported) not in (_package(importer), imported)
            if not all(_through_face(d["line_contents"], imported) for d in _details(graph, importer, imported))
        ]
        return ContractCheck(kept=not past, metadata={"past": past})

    def render_broken_contract(self, check: ContractCheck) -> None:
        """List them, with what to write instead."""
        for importer, imported in check.metadata["past"]:
            output.print(f"{importer} -> {imported}: import from {_package(imported)}, and hand the name on there")


def _details(graph: Any, importer: str, imported: str) -> list[dict[str, Any]]:
    return graph.get_import_details(importer=importer, imported=imported)


def _package(module: str) -> str:
    return ".".join(module.split(".")[:2])


def _through_face(line: str, imported: str) -> bool:
    """Whether a statement takes a name from the face that is called as a module is (`from ..networks import blend`)."""
    name = imported.rpartition(".")[2]
    return not line.partition(" import ")[0].endswith(f".{name}") and name in _handed_on(_package(imported))


@cache
def _handed_on(package: str) -> frozenset[str]:
    folder = ROOT.joinpath(*package.split("."))
    face = next(path for path in (folder / "__init__.pyi", folder / "__init__.py") if path.is_file())
    return frozenset(
        alias.name
        for node in ast.walk(ast.parse(face.read_text()))
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    )
