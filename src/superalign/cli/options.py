"""Options that several verbs share, so that they read the same everywhere."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import Annotated

import typer


class Display(StrEnum):
    """How progress is shown, on stderr."""

    RICH = "rich"
    PLAIN = "plain"
    NONE = "none"


class Step(StrEnum):
    """The steps of the plan, in their order."""

    OVERSEE = "oversee"
    GENERALIZE = "generalize"
    VALIDATE = "validate"
    STRESS = "stress"
    DECIDE = "decide"


def default_display() -> Display:
    """Bars where a person watches, lines where a log does."""
    return Display.RICH if sys.stderr.isatty() else Display.PLAIN


PlanOrRun = Annotated[
    str, typer.Argument(metavar="PLAN|RUN", help="A plan (YAML), or the folder of a run to go on with.")
]
RunFolder = Annotated[str, typer.Argument(metavar="RUN", help="The folder of a run.")]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change one key of the plan, as in task.test_groups=100."),
]
Seed = Annotated[int | None, typer.Option("--seed", min=0, help="Take this seed instead of the plan's.")]
Device = Annotated[
    str, typer.Option("--device", help="Where models run: cpu, cuda, cuda:1, mps, or auto: the fastest there is.")
]
Runs = Annotated[str, typer.Option("--runs", metavar="DIR", help="Where run folders are made.")]
Jobs = Annotated[int, typer.Option("--jobs", metavar="N", min=1, help="How many verdicts are computed at once.")]
On = Annotated[
    str, typer.Option("--on", metavar="WHERE", help="Where verdicts are computed: local, or a Ray cluster's address.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON value on stdout, and nothing else there.")]
Displayed = Annotated[
    Display | None,
    typer.Option("--display", help="How progress is shown, on stderr. Default: rich on a terminal, else plain."),
]
