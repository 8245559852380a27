"""Which code a step ran: a digest over every module of ours that its function can reach by import."""

from __future__ import annotations

import ast
import hashlib
import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import superalign
from superalign.provenance.digest import digest

PACKAGES = ("superalign", "torch", "transformers")


@cache
def code_version(module: str) -> str:
    """Digest of the sources reachable from `module` by import statements, and of the versions that results hang on.

    Imports are read from the source, those within functions too, and nothing is imported; the `data` folder beside a
    module counts with it. What is loaded by a name that is only known at run time, such as a registered part, is not
    seen: a step that makes one takes the code version of the part's own module as an argument.
    """
    root = Path(superalign.__file__).parent
    sources: dict[str, Path] = {}
    hashes: dict[str, str] = {}
    waiting = {module: _own_source(module) or _source(root, module)}
    while waiting:
        name, path = waiting.popitem()
        if path is None or name in sources:
            continue
        content = path.read_bytes()
        sources[name], hashes[name] = path, hashlib.sha256(content).hexdigest()
        imported = _imports(name, content, path.name == "__init__.py")
        waiting.update({found: _source(root, found) for found in imported})
    folders = {path.parent / "data" for path in sources.values()}
    data = {str(path.relative_to(folder.parent.parent)): path for folder in folders for path in files_in(folder)}
    hashes |= {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in data.items()}
    return digest({"sources": hashes, "versions": installed_versions()})


def files_in(folder: Path) -> list[Path]:
    """All files in a folder and those in it; none if there is no such folder."""
    return [path for path in folder.rglob("*") if path.is_file()]


def installed_versions() -> dict[str, str | None]:
    """Versions of the packages that results hang on; None for one that is not installed."""
    versions: dict[str, str | None] = {}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = None
    return versions


def _own_source(module: str) -> Path | None:
    """Where the module of the step's function lies, which may belong to someone else's package."""
    file = getattr(sys.modules.get(module), "__file__", None)
    return Path(file) if file else None


def _source(root: Path, module: str) -> Path | None:
    package, *parts = module.split(".")
    if package != "superalign":
        return None
    path = root.joinpath(*parts)
    candidates = (path / "__init__.py", path.with_suffix(".py") if parts else path)
    return next((candidate for candidate in candidates if candidate.is_file()), None)


@cache
def _imports(module: str, source: bytes, is_package: bool) -> tuple[str, ...]:
    """Every module that an import statement in `source` may load, with its parent packages, which Python runs first.

    Kept by content: most modules are reached from most steps, and parsing them all anew took seconds of every run.
    """
    found: dict[str, None] = {}
    for node in ast.walk(ast.parse(source, filename=module)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(node, module, is_package=is_package)
            names = [base, *(f"{base}.{alias.name}" for alias in node.names)]
        else:
            continue
        for name in names:
            parts = name.split(".")
            found |= {".".join(parts[:length]): None for length in range(1, len(parts) + 1)}
    return tuple(found)


def _absolute(node: ast.ImportFrom, module: str, *, is_package: bool) -> str:
    if not node.level:
        return node.module or ""
    parents = module.split(".")[: None if is_package else -1]
    base = parents[: len(parents) - (node.level - 1)]
    return ".".join([*base, node.module] if node.module else base)
