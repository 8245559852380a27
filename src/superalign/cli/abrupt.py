"""`superalign robustness abrupt`: did misbehaviour come all at once in the course of training?"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from superalign.cli.options import AsJson, Device
from superalign.cli.output import print_json, print_table, say
from superalign.contracts.errors import InputError

if TYPE_CHECKING:
    from superalign.robustness.abrupt import Series

EXAMPLES = """Examples:

superalign robustness abrupt rates.json

superalign robustness abrupt out/checkpoint-* --base smollm2-135m
"""


def abrupt(
    checkpoints: Annotated[
        list[str],
        typer.Argument(
            metavar="SERIES.json|CHECKPOINT...",
            help="A file of rates by step, or the folders of a training's checkpoints, named by their steps.",
        ),
    ],
    base: Annotated[
        str | None, typer.Option(metavar="NAME", help="What adapters among the checkpoints were trained from.")
    ] = None,
    plan: Annotated[
        str | None, typer.Option(metavar="PLAN", help="The plan whose specification, task and seed hold.")
    ] = None,
    size: Annotated[
        float, typer.Option(min=0.01, max=1, help="The smallest shift that a series must be able to show.")
    ] = 0.3,
    device: Device = "cpu",
    as_json: AsJson = False,
) -> None:
    """Did misbehaviour come all at once in the course of training, or grow?

    Of checkpoints the rate is measured at which answers to trusted questions violate the specification.
    """
    from superalign.robustness.abrupt import abrupt_shifts
    from superalign.robustness.checkpoints import read_series

    paths = [Path(name) for name in checkpoints]
    if any(path.suffix == ".json" for path in paths):
        if len(paths) > 1:
            raise InputError("A file of series stands alone.", fix="Give one file, or the folders of checkpoints.")
        series = read_series(paths[0])
    else:
        series = (_measured(paths, base, plan, device),)
    found = abrupt_shifts(series, size=size)
    if as_json:
        print_json([shift.model_dump(mode="json") for shift in found])
        return
    rows = [
        {
            "behaviour": shift.behaviour,
            "verdict": shift.verdict,
            "p": "" if shift.p is None else f"{shift.p:.3f}",
            "between": "" if shift.place is None else f"{shift.place[0]} and {shift.place[1]}",
            "size": ""
            if shift.size is None
            else f"{shift.size.value:+.2f} [{shift.size.low:+.2f}, {shift.size.high:+.2f}]",
            "reason": shift.reason,
        }
        for shift in found
    ]
    print_table(rows, ("behaviour", "verdict", "p", "between", "size", "reason"))


def _measured(folders: list[Path], base: str | None, plan: str | None, device: str) -> Series:
    from superalign.contracts.registry import tasks
    from superalign.models.source import choose_device
    from superalign.robustness.checkpoints import measured
    from superalign.runs.plan import Plan, load_plan
    from superalign.runs.quiet import quiet_libraries
    from superalign.tasks.specification import default_specification
    from superalign.tasks.splits import divide

    chosen = load_plan(Path(plan)) if plan else Plan(name="abrupt", specification=default_specification())
    splits = divide(tasks.make(chosen.task.name), chosen.task, chosen.seed)
    with TemporaryDirectory() as scratch, quiet_libraries(Path(scratch) / "libraries.log"):
        return measured(
            folders,
            splits.auditor,
            splits.key.only(splits.auditor),
            chosen.specification,
            base=base,
            device=choose_device(device, say),
        )
