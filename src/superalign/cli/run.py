"""`superalign run`: the whole job, or as much of it as was asked for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from superalign.cli.options import (
    AsJson,
    Device,
    Display,
    Displayed,
    Jobs,
    On,
    PlanOrRun,
    Runs,
    Seed,
    Settings,
    Step,
    default_display,
)
from superalign.cli.output import print_json, say
from superalign.contracts.errors import InputError

if TYPE_CHECKING:
    from superalign.contracts.summary import Summary
    from superalign.runs.run import Run

EXAMPLES = """Examples:

superalign run plans/quickstart.yaml

superalign run plans/quickstart.yaml --seed 1 --set task.test_groups=100

superalign run plans/quickstart.yaml --only oversee --json
"""


def run(
    plan: PlanOrRun,
    only: Annotated[Step | None, typer.Option("--only", help="Stop after this step, and show it alone.")] = None,
    settings: Settings = None,
    seed: Seed = None,
    device: Device = "cpu",
    runs: Runs = "runs",
    jobs: Jobs = 1,
    on: On = "local",
    as_json: AsJson = False,
    display: Displayed = None,
) -> None:
    """Run the whole job: oversee, generalize, validate, stress-test, decide. What was done before is not done again."""
    summary, folder = carry_out(plan, settings, seed, device, runs, display, only, jobs, on)
    show(summary, only, folder, as_json=as_json)


def carry_out(
    target: str,
    settings: list[str] | None,
    seed: int | None,
    device: str,
    runs: str,
    display: Display | None,
    only: Step | None,
    jobs: int,
    on: str,
) -> tuple[Summary, Path]:
    """Run a plan, or go on with the run in the folder `target`, as far as `only`. The summary, and the run's folder."""
    with opened_run(target, settings, seed, device, runs, display, jobs, on) as (opened, chosen):
        from superalign import pipeline

        return pipeline.run(opened, only=only.value if only else None, device=chosen), opened.folder


@contextmanager
def opened_run(
    target: str,
    settings: list[str] | None,
    seed: int | None,
    device: str,
    runs: str,
    display: Display | None,
    jobs: int,
    on: str,
) -> Iterator[tuple[Run, str]]:
    """The run of the plan `target`, or the one in that folder, and the device to work on."""
    from superalign.models.source import choose_device
    from superalign.runs.launch import Launch
    from superalign.runs.plan import load_plan
    from superalign.runs.progress import make_display
    from superalign.runs.quiet import quiet_libraries
    from superalign.runs.run import Run

    shown = make_display(display or default_display())
    if (Path(target) / "manifest.json").is_file():
        if any(setting.startswith("criteria") for setting in settings or ()):
            raise InputError(
                "A run is decided by the criteria that it was started with, which are sealed before its verdicts.",
                where=target,
                fix="Give the plan with --set: that is another run, which says how many verdicts were known.",
            )
        if settings or seed is not None:
            raise InputError("A run's plan can't be changed.", where=target, fix="Give the plan with --set or --seed.")
        opened = Run.existing(Path(target), display=shown, launch=Launch(jobs, on))
    else:
        plan = load_plan(Path(target), settings or (), seed)
        device = choose_device(device, say)
        opened = Run.open(Path(runs), plan, display=shown, launch=Launch(jobs, on))
    with opened, shown, quiet_libraries(opened.folder / "logs" / "libraries.log"):
        yield opened, device


def show(summary: Summary, only: Step | None, folder: Path, *, as_json: bool) -> None:
    """The summary on stdout: its JSON alone, or the tables that a person reads and where the report is."""
    if as_json:
        print_json(summary.model_dump(mode="json"))
        return
    from superalign.contracts.signals import SIGNAL_FILE
    from superalign.report import terminal, wording

    print(terminal.render(summary, only=only.value if only else None))
    if only is not None and only.value == "oversee" and summary.oversight:
        print(f"\nThe signal, {wording.signal(summary.oversight)}: {folder / SIGNAL_FILE}")
    report = folder / "report.html"
    print(f"\nReport: {report}" if report.exists() else f"\nRun: {folder}")
