"""Write docs/reference from the commands and the plan themselves; with --check, say whether it is up to date."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import cast

FOLDER = Path(__file__).parent.parent / "docs" / "reference"
GENERATED = "<!-- Written by scripts/reference.py; change the source, then `make reference`. -->\n\n"


def main() -> int:
    pages = {"cli.md": cli_page(), "plan.md": plan_page()}
    if "--check" not in sys.argv[1:]:
        FOLDER.mkdir(parents=True, exist_ok=True)
        for name, text in pages.items():
            (FOLDER / name).write_text(text, encoding="utf-8")
        return 0
    stale = [name for name, text in pages.items() if not _is(FOLDER / name, text)]
    if stale:
        print(f"Out of date in docs/reference: {', '.join(stale)}. To write them again: make reference")
    return int(bool(stale))


def cli_page() -> str:
    """Every command with its arguments and options."""
    import typer
    from typer.cli import get_docs_for_click

    from superalign.cli.app import app

    command = typer.main.get_command(app)
    context = command.make_context("superalign", [], resilient_parsing=True)
    text = get_docs_for_click(obj=command, ctx=cast(typer.Context, context), name="superalign", title="Commands")
    return GENERATED + "\n".join(line.rstrip() for line in text.splitlines()).strip() + "\n"


def plan_page() -> str:
    """Every key of a plan, a table per section."""
    from superalign.runs.plan import Plan, plan_fields

    lines = ["# The plan", "", Plan.__doc__ or "", ""]
    header = ["| key | type | default | |", "|---|---|---|---|"]
    lines += header
    for field in plan_fields():
        if field.type.endswith(("section", "sections")):
            many = "A list, each: " if field.type.startswith("list") else ""
            lines += ["", f"## {field.key}", "", f"{many}{field.description}", "", *header]
        else:
            default = field.default if field.default == "required" else f"`{field.default}`"
            lines.append(f"| `{field.key}` | {field.type} | {default} | {_cell(field.description)} |")
    return GENERATED + "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _is(path: Path, text: str) -> bool:
    return path.is_file() and path.read_text(encoding="utf-8") == text


if __name__ == "__main__":
    sys.exit(main())
