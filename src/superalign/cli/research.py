"""`superalign research`: the automated alignment researcher."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

import typer

from superalign.cli.options import AsJson
from superalign.cli.output import print_json, print_table, say
from superalign.cli.parts import group
from superalign.cli.review import review
from superalign.contracts.errors import InputError

app = typer.Typer(no_args_is_help=True, help="The automated alignment researcher: problems, runs, their write-ups.")
app.add_typer(group("problems", "Well-scoped problems with a sealed evaluation."), name="problems")
app.command()(review)
app.add_typer(group("proposers", "Whoever thinks of solutions."), name="proposers")

RUN = "Example: superalign research run recall --proposer optuna --budget 30m"
UNITS = {"s": 1, "m": 60, "h": 3600}

Folder = Annotated[str, typer.Argument(metavar="RUN", help="The folder of a research run.")]


@app.command(epilog=RUN)
def run(
    problem: Annotated[str, typer.Argument(metavar="PROBLEM", help="See `superalign research problems list`.")],
    proposer: Annotated[
        str, typer.Option(metavar="NAME", help="See `superalign research proposers list`.")
    ] = "evolution",
    budget: Annotated[str, typer.Option(metavar="TIME", help="Of trials, such as 90s, 30m or 2h.")] = "30m",
    runs: Annotated[str, typer.Option(metavar="DIR", help="Where research runs are kept.")] = "runs",
    seed: Annotated[int, typer.Option(min=0, help="Everything random descends from it.")] = 0,
    patience: Annotated[int, typer.Option(min=0, help="Trials without a better one, then stop; 0 for never.")] = 0,
    approve: Annotated[
        Literal["every-step", "suspicious", "outcomes"],
        typer.Option(help="Which proposals a person approves before they run."),
    ] = "suspicious",
    minutes: Annotated[
        float, typer.Option(min=0, help="Of a reviewer's time, for all runs in DIR; the first run sets it.")
    ] = 10,
    deadline: Annotated[str, typer.Option(metavar="TIME", help="So long a proposal waits for a person.")] = "0s",
    above_reference: Annotated[
        bool, typer.Option("--above-reference", help="Go on above the recorded human solution.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Let a proposer work on PROBLEM, beside random search, and decide by samples that neither has seen.

    A run that was killed goes on with the same command.
    """
    from superalign.contracts.registry import PartCall, problems, proposers
    from superalign.researcher.folder import Settings
    from superalign.researcher.session import research

    problems.factory(problem)
    proposers.factory(proposer)
    settings = Settings(
        problem=PartCall(kind="problems", name=problem),
        proposer=PartCall(kind="proposers", name=proposer),
        seed=seed,
        seconds=seconds(budget, "--budget"),
        patience=patience,
        oversight=approve,
        reviewer_minutes=minutes,
        deadline_seconds=seconds(deadline, "--deadline"),
        above_reference=above_reference,
    )
    finished = research(settings, Path(runs), say)
    if as_json:
        print_json(finished.model_dump(mode="json"))
        return
    show(finished)


@app.command()
def stop(folder: Folder) -> None:
    """Ask a research run to stop after the trial that it is at. It then concludes with what it has."""
    from superalign.researcher.folder import STOP, settings_of

    settings_of(Path(folder))
    (Path(folder) / STOP).touch()
    say(f"Asked to stop: {folder}")


@app.command()
def report(folder: Folder) -> None:
    """Build the write-up of a run again from its ledger, with what a person has said of it since, and print it."""
    from superalign.researcher.session import looked_at_again

    found = looked_at_again(Path(folder))
    print((found.folder / "report.md").read_text(encoding="utf-8"), end="")


@app.command(epilog="Example: superalign research compare location --proposers evolution,optuna --trials 20 --seeds 5")
def compare(
    problem: Annotated[str, typer.Argument(metavar="PROBLEM", help="See `superalign research problems list`.")],
    proposers: Annotated[str, typer.Option(metavar="NAMES", help="Proposers, between commas.")] = "evolution,optuna",
    trials: Annotated[int, typer.Option(min=1, help="Of each proposer, and of random search beside it.")] = 30,
    seeds: Annotated[int, typer.Option(min=1, help="Runs of each proposer, with samples of their own.")] = 5,
    runs: Annotated[str, typer.Option(metavar="DIR", help="Where research runs are kept.")] = "runs",
    as_json: AsJson = False,
) -> None:
    """Compare proposers at equal budget, on final samples, with intervals over seeds."""
    from superalign.contracts.records import Interval
    from superalign.contracts.registry import PartCall
    from superalign.contracts.registry import problems as known_problems
    from superalign.contracts.registry import proposers as known_proposers
    from superalign.researcher import compare as measure

    known_problems.factory(problem)
    names = [name.strip() for name in proposers.split(",")]
    for name in names:
        known_proposers.factory(name)
    found = measure.compare(
        PartCall(kind="problems", name=problem),
        [PartCall(kind="proposers", name=name) for name in names],
        Path(runs),
        trials=trials,
        seeds=range(seeds),
        note=say,
    )
    if as_json:
        print_json([one.model_dump(mode="json") for one in found])
        return

    def shown(gain: object) -> str:
        return f"{gain.value:+.3f} [{gain.low:+.3f}, {gain.high:+.3f}]" if isinstance(gain, Interval) else "—"

    rows = [
        {
            "proposer": one.proposer,
            "accepted": f"{one.accepted} of {one.seeds}",
            "over the baseline": shown(one.over_baseline),
            "over random": shown(one.over_random),
        }
        for one in found
    ]
    print_table(rows, ("proposer", "accepted", "over the baseline", "over random"))


@app.command()
def sabotage(as_json: AsJson = False) -> None:
    """Attack the researcher's own defences, and show what was prevented, noticed and missed.

    Takes a few minutes. Exit code 1 when anything was missed.
    """
    from superalign.researcher.sabotage.suite import sabotage as attack

    found = attack(note=say)
    if as_json:
        print_json(found.model_dump(mode="json"))
    else:
        rows = [{"attacks on": kind, **counts} for kind, counts in found.counts().items()]
        print_table(rows, ("attacks on", "attempted", "prevented", "noticed", "missed"))
        print(f"\nSandbox: {found.tier}.")
        for one in found.attacks:
            if one.succeeded:
                print(f"{one.outcome}: {one.name} ({one.noticed_by or 'noticed by the monitors, before it ran'})")
    if not found.held:
        raise typer.Exit(1)


def seconds(text: str, option: str) -> float:
    """90s, 30m or 2h. InputError for anything else."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", text)
    if not found:
        raise InputError(f"{option} is no time: {text!r}.", fix="Type a number with its unit, such as 90s, 30m or 2h.")
    return float(found[1]) * UNITS[found[2]]


def show(finished: object) -> None:
    """The decision, and what it rests on."""
    from superalign.contracts.records import Unscored
    from superalign.researcher.accept import Gain
    from superalign.researcher.session import Finished

    assert isinstance(finished, Finished)
    progress, decision = finished.progress, finished.decision
    best = {"baseline": progress.baseline, progress.proposer: progress.best, "random": progress.random_best}
    rows = [
        {"by": by, "best on development samples": f"{score:.3f}"} for by, score in best.items() if score is not None
    ]
    print_table(rows, ("by", "best on development samples"))
    print()
    if isinstance(decision, Unscored):
        print(f"Nothing was decided: {decision.reason}.")
    else:
        for name, gain in (("the baseline", decision.over_baseline), ("random search", decision.over_control)):
            if isinstance(gain, Gain):
                print(f"On final samples, over {name}: {gain.mean:+.3f}, at least {gain.low:+.3f}.")
        print("Accepted." if decision.accepted else "Rejected.", *(f"\n  - {reason}" for reason in decision.reasons))
        if finished.word:
            print(f"A person: {finished.word.says}")
    print(f"\nReport: {finished.folder / 'report.html'}")
