"""`superalign validate`: the detectors on the model of a plan, or on one that somebody else made."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from superalign.cli.options import (
    AsJson,
    Device,
    Display,
    Displayed,
    Jobs,
    On,
    Runs,
    Seed,
    Settings,
    Step,
    default_display,
)
from superalign.cli.output import say
from superalign.cli.run import carry_out, show
from superalign.contracts.errors import InputError

if TYPE_CHECKING:
    from superalign.contracts.summary import Summary

EXAMPLES = """Examples:

superalign validate plans/quickstart.yaml

superalign validate --model ./my-model --base smollm2-135m --json

superalign validate plans/quickstart.yaml --model ./my-adapter --base ./my-base
"""


def validate(
    plan: Annotated[
        str | None, typer.Argument(metavar="[PLAN|RUN]", help="As for `run`. With --model, a plan or nothing.")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(metavar="PATH", help="Validate this model instead: full weights, a PEFT adapter or an endpoint."),
    ] = None,
    base: Annotated[
        str | None, typer.Option(metavar="NAME", help="What --model was trained from: a known name or a path.")
    ] = None,
    settings: Settings = None,
    seed: Seed = None,
    device: Device = "cpu",
    runs: Runs = "runs",
    jobs: Jobs = 1,
    on: On = "local",
    as_json: AsJson = False,
    display: Displayed = None,
) -> None:
    """Search the trained model, or one that you bring, for problematic behaviour and internals."""
    if model is None:
        if plan is None:
            raise InputError("There is nothing to validate.", fix="Give a plan, or --model PATH --base NAME.")
        if base is not None:
            raise InputError("--base goes with --model.", fix="Give both, or neither.")
        summary, folder = carry_out(plan, settings, seed, device, runs, display, Step.VALIDATE, jobs, on)
    elif base is None:
        raise InputError("A model is validated beside its base.", fix="Say what it was trained from: --base NAME.")
    else:
        summary, folder = _validate_model(model, base, plan, settings, seed, device, runs, display, jobs, on)
    show(summary, Step.VALIDATE, folder, as_json=as_json)


def _validate_model(
    model: str,
    base: str,
    plan: str | None,
    settings: list[str] | None,
    seed: int | None,
    device: str,
    runs: str,
    display: Display | None,
    jobs: int,
    on: str,
) -> tuple[Summary, Path]:
    from superalign.models.source import choose_device, resolve
    from superalign.runs.launch import Launch
    from superalign.runs.plan import load_plan
    from superalign.runs.progress import make_display
    from superalign.runs.quiet import quiet_libraries

    if plan is None and (settings or seed is not None):
        raise InputError("--set and --seed change a plan, and there is none.", fix="Give the plan too.")
    resolve(model, base)  # a misspelt name is told before anything heavy is imported
    chosen = load_plan(Path(plan), settings or (), seed) if plan else None
    device = choose_device(device, say)
    shown = make_display(display or default_display())
    # The run's name has the model's digest in it, so the model is loaded, not silently, before there is a folder.
    with TemporaryDirectory() as scratch, shown, quiet_libraries(Path(scratch) / "libraries.log"):
        from superalign import pipeline

        launch = Launch(jobs, on)
        return pipeline.validate_model(
            Path(runs), model, base, plan=chosen, device=device, display=shown, launch=launch
        )
