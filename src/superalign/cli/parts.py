"""`superalign tasks|overseers|detectors|organisms`: what a plan can name, ours and that of installed packages."""

from __future__ import annotations

import inspect
from typing import Annotated, Any

import typer

from superalign.cli import organisms
from superalign.cli.options import AsJson
from superalign.cli.output import print_facts, print_list

Name = Annotated[str, typer.Argument(metavar="NAME", help="A name that `list` shows.")]
KINDS = {
    "tasks": "Questions with truth and difficulty levels.",
    "overseers": "Weaker judges, from which the training signal comes.",
    "detectors": "Automated searches for problematic behaviour and problematic internals.",
    "organisms": "Deliberately misaligned models, each with a benign twin.",
}


def groups() -> dict[str, typer.Typer]:
    """One command group per kind of part."""
    return {kind: group(kind, says) for kind, says in KINDS.items()}


def group(kind: str, says: str) -> typer.Typer:
    """The commands `list` and `show` of one kind of part."""
    app = typer.Typer(no_args_is_help=True, help=says)

    @app.command("list", help=f"List the {kind}.")
    def list_parts(as_json: AsJson = False) -> None:
        rows = [_row(kind, name) for name in _registry(kind).names()]
        print_list(rows, ("name", "summary"), as_json=as_json)

    @app.command(help=f"Show one of the {kind}: what it does and which arguments it takes.")
    def show(name: Name, as_json: AsJson = False) -> None:
        print_facts(_row(kind, name), as_json=as_json)

    if kind == "organisms":
        app.command("build", epilog=organisms.EXAMPLES)(organisms.build)
    return app


def _registry(kind: str) -> Any:
    from superalign.contracts.registry import REGISTRIES

    return REGISTRIES[kind]


def _row(kind: str, name: str) -> dict[str, Any]:
    registry = _registry(kind)
    factory = registry.factory(name)
    parameters = inspect.signature(factory).parameters.values()
    row = {
        "name": name,
        "summary": registry.describe(name),
        "arguments": [p.name if p.default is p.empty else f"{p.name} = {p.default!r}" for p in parameters],
        "defined_in": factory.__module__,
    }
    access = getattr(factory, "access", None)
    return row | ({"access": sorted(str(item) for item in access)} if isinstance(access, frozenset) else {})
