"""`superalign trial`: the sealed trial of a plan in its three stages, which `superalign stress` does in one go; and an
attack on its detectors afterwards.
"""

from __future__ import annotations

from typing import Annotated

import typer

from superalign.cli.options import AsJson, Device, Displayed, Jobs, On, PlanOrRun, RunFolder, Runs, Seed, Settings, Step
from superalign.cli.output import print_facts, print_json, print_list
from superalign.cli.run import opened_run, show

EXAMPLES = """Example:

superalign trial seal plans/quickstart.yaml

superalign trial run runs/2026-11-30-quickstart-1a2b3c4d

superalign trial unseal runs/2026-11-30-quickstart-1a2b3c4d

superalign trial attack runs/2026-11-30-quickstart-1a2b3c4d
"""
app = typer.Typer(
    no_args_is_help=True,
    help="A sealed trial in stages: commit to labels and thresholds, reach the verdicts, open the seal. Afterwards: an "
    "attack on its detectors.",
    epilog=EXAMPLES,
)


@app.command()
def seal(
    plan: PlanOrRun,
    settings: Settings = None,
    seed: Seed = None,
    device: Device = "cpu",
    runs: Runs = "runs",
    jobs: Jobs = 1,
    on: On = "local",
    as_json: AsJson = False,
    display: Displayed = None,
) -> None:
    """Build the subjects, set the thresholds, and commit to both by hash before any verdict exists.

    Publish the commitment: who has it can check what is opened later.
    """
    with opened_run(plan, settings, seed, device, runs, display, jobs, on) as (run, chosen):
        from superalign import pipeline

        opening = pipeline.seal(run, device=chosen)
        facts = {
            "run": str(run.folder),
            "commitment": opening.commitment,
            "subjects": len(opening.value["labels"]),
            "next": f"superalign trial run {run.folder}",
        }
    print_facts(facts, as_json=as_json)


@app.command()
def run(
    folder: RunFolder,
    device: Device = "cpu",
    jobs: Jobs = 1,
    on: On = "local",
    as_json: AsJson = False,
    display: Displayed = None,
) -> None:
    """Show every subject to every detector, blindly. What is printed tells nothing of what the subjects are."""
    with opened_run(folder, None, None, device, "runs", display, jobs, on) as (opened, chosen):
        from superalign import pipeline

        reached = pipeline.reach_verdicts(opened, device=chosen)
    rows = [
        {"look": look, "score": getattr(found, "score", None), "unscored": getattr(found, "reason", None)}
        for look, found in sorted(reached.items())
    ]
    shown = [{**row, "result": row["unscored"] or f"{row['score']:.3f}"} for row in rows]
    print_list(rows if as_json else shown, ("look", "result"), as_json=as_json)


@app.command()
def unseal(folder: RunFolder, device: Device = "cpu", as_json: AsJson = False, display: Displayed = None) -> None:
    """Open the seal, once, and count. Refused while a verdict is missing; afterwards the trial is spent."""
    with opened_run(folder, None, None, device, "runs", display, 1, "local") as (opened, chosen):
        from superalign import pipeline

        found = pipeline.unseal(opened, device=chosen)
        where = opened.folder
    show(found, Step.STRESS, where, as_json=as_json)


@app.command()
def attack(
    folder: RunFolder,
    task: Annotated[str, typer.Option(metavar="NAME", help="Whose questions they are given instead.")] = "elements",
    benign: Annotated[
        int, typer.Option(metavar="N", min=1, help="At most so many benign models set the thresholds there.")
    ] = 8,
    detector: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Attack this one of its detectors; repeatable. [default: all]"),
    ] = None,
    device: Device = "cpu",
    jobs: Jobs = 1,
    on: On = "local",
    as_json: AsJson = False,
    display: Displayed = None,
) -> None:
    """Attack the detectors of an unsealed trial: each in distribution, shifted, under a prompt attack, trained against.

    Every verdict is a step: what was killed goes on where it was. Leaves attacks.json, and the report with the table.
    """
    with opened_run(folder, None, None, device, "runs", display, jobs, on) as (opened, chosen):
        from superalign import pipeline

        found = pipeline.attack_trial(opened, task=task, benign=benign, chosen=detector or (), device=chosen)
    if as_json:
        print_json(found.model_dump(mode="json"))
        return
    from superalign.report import terminal

    print(terminal.render_attacks(found))
