"""`superalign report`: draw the report of a run again from its summary."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from superalign.cli.options import AsJson, RunFolder
from superalign.cli.output import print_json
from superalign.contracts.errors import RunError


def report(
    folder: RunFolder,
    output: Annotated[str | None, typer.Option(metavar="FILE", help="Write it here. Default: RUN/report.html.")] = None,
    as_json: AsJson = False,
) -> None:
    """Write the report of a run again, one self-contained HTML file, and say where; with --json, print its summary."""
    from superalign.report import html
    from superalign.trials.saved import saved_attacks, saved_summary

    summary = saved_summary(Path(folder))
    if summary is None:
        raise RunError(
            "This folder holds no finished run: it has no summary.json.",
            where=folder,
            fix=f"If it is a run, finish it: superalign run {folder}",
        )
    if as_json:
        print_json(summary.model_dump(mode="json"))
        return
    target = Path(output) if output else Path(folder) / "report.html"
    try:
        target.write_text(html.render(summary, saved_attacks(Path(folder))), encoding="utf-8")
    except OSError as error:
        raise RunError(f"The report can't be written: {error.strerror}.", where=str(target)) from None
    print(target)
