"""All verbs together."""

from __future__ import annotations

from typing import Annotated

import typer

from superalign.cli import (
    bench,
    capability,
    control,
    doctor,
    economics,
    inspect,
    ledger,
    models,
    monitor,
    oversight,
    parts,
    prove,
    report,
    research,
    robustness,
    run,
    serve,
    steps,
    trial,
    validate,
    view,
)
from superalign.cli.options import Step

THE_JOB, PARTS, AFTERWARDS = "The job", "What there is to use", "Looking back and checking"

app = typer.Typer(
    name="superalign",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Begin with: superalign run plans/quickstart.yaml",
)


def _version(wanted: bool) -> None:
    if wanted:
        from superalign import __version__

        print(f"superalign {__version__}")
        raise typer.Exit


@app.callback()
def superalign(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Takes a language model through the superalignment plan and finds out whether the plan works on it.

    Exit codes: 0 done, 1 failed, 2 bad input, 3 the decision is not "proceed", 130 interrupted.
    """


app.command("run", rich_help_panel=THE_JOB, epilog=run.EXAMPLES)(run.run)
for step in Step:
    if step is Step.VALIDATE:
        app.command("validate", rich_help_panel=THE_JOB, epilog=validate.EXAMPLES)(validate.validate)
    else:
        example = f"Example: superalign {step} plans/quickstart.yaml"
        app.command(step.value, help=steps.SAYS[step], rich_help_panel=THE_JOB, epilog=example)(steps.verb(step))
app.add_typer(trial.app, name="trial", rich_help_panel=THE_JOB)
app.add_typer(oversight.app, name="oversight", rich_help_panel=THE_JOB)
app.add_typer(robustness.app, name="robustness", rich_help_panel=THE_JOB)
app.add_typer(control.app, name="control", rich_help_panel=THE_JOB)
app.add_typer(capability.app, name="capability", rich_help_panel=THE_JOB)
app.add_typer(research.app, name="research", rich_help_panel=THE_JOB)
app.add_typer(models.app, name="models", rich_help_panel=PARTS)
for kind, group in parts.groups().items():
    app.add_typer(group, name=kind, rich_help_panel=PARTS)
app.command("serve", rich_help_panel=PARTS, epilog=serve.EXAMPLES)(serve.serve)
app.command("report", rich_help_panel=AFTERWARDS)(report.report)
app.add_typer(ledger.app, name="ledger", rich_help_panel=AFTERWARDS)
app.command("inspect", rich_help_panel=AFTERWARDS, epilog=inspect.EXAMPLES)(inspect.inspect)
app.command("view", rich_help_panel=AFTERWARDS, epilog=view.EXAMPLES)(view.view)
app.command("monitor", rich_help_panel=AFTERWARDS, epilog=monitor.EXAMPLES)(monitor.monitor)
app.command("prove", rich_help_panel=AFTERWARDS, epilog=prove.EXAMPLES)(prove.prove)
app.add_typer(economics.app, name="economics", rich_help_panel=AFTERWARDS)
app.command("bench", rich_help_panel=AFTERWARDS, epilog=bench.EXAMPLES)(bench.bench)
app.command("doctor", rich_help_panel=AFTERWARDS)(doctor.doctor)
