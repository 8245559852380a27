"""`superalign research`: the automated alignment researcher."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_type_hints

import typer

from superalign.cli.options import AsJson
from superalign.cli.output import print_json, print_table, say
from superalign.cli.parts import group
from superalign.cli.review import review
from superalign.contracts.errors import InputError

if TYPE_CHECKING:
    from superalign.contracts.capability import Limit
    from superalign.contracts.registry import PartCall

app = typer.Typer(no_args_is_help=True, help="The automated alignment researcher: problems, runs, their write-ups.")
app.add_typer(group("problems", "Well-scoped problems with a sealed evaluation."), name="problems")
app.command()(review)
app.add_typer(group("proposers", "Whoever thinks of solutions."), name="proposers")

RUN = "Example: superalign research run recall --proposer optuna --budget 30m"
UNITS = {"s": 1, "m": 60, "h": 3600}

Folder = Annotated[str, typer.Argument(metavar="RUN", help="The folder of a research run.")]
Arguments = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="NAME.KEY=VALUE", help="An argument of a problem or proposer, as in llm.model=openai/NAME."
    ),
]


@app.command(epilog=RUN)
def run(
    problem: Annotated[str, typer.Argument(metavar="PROBLEM", help="See `superalign research problems list`.")],
    proposer: Annotated[
        str, typer.Option(metavar="NAME", help="See `superalign research proposers list`.")
    ] = "evolution",
    budget: Annotated[str, typer.Option(metavar="TIME", help="Of trials, such as 90s, 30m or 2h.")] = "30m",
    trials: Annotated[
        int, typer.Option(min=0, help="Of the proposer, then stop, however busy the machine is; 0 for no limit.")
    ] = 0,
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
    capability: Annotated[
        str | None, typer.Option(metavar="FILE", help="The proposer's record, of `superalign capability run`.")
    ] = None,
    at_most: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="A limit on it; once for each environment.")
    ] = None,
    arguments: Arguments = None,
    as_json: AsJson = False,
) -> None:
    """Let a proposer work on PROBLEM, beside random search, and decide by samples that neither has seen.

    A run that was killed goes on with the same command.
    """
    from superalign.researcher.folder import Settings
    from superalign.researcher.session import research

    asked, (by,) = calls(problem, [proposer], arguments)
    settings = Settings(
        problem=asked,
        proposer=by,
        seed=seed,
        seconds=seconds(budget, "--budget"),
        trials=trials,
        patience=patience,
        oversight=approve,
        reviewer_minutes=minutes,
        deadline_seconds=seconds(deadline, "--deadline"),
        above_reference=above_reference,
        capability=_limits(capability, at_most),
    )
    finished = research(settings, Path(runs), say)
    if as_json:
        print_json(finished.model_dump(mode="json"))
        return
    show(finished)


def _limits(record: str | None, at_most: list[str] | None) -> tuple[Limit, ...]:
    """What the record says of the limits. InputError for one without the other."""
    from superalign.capability.limits import against, read_limits
    from superalign.capability.record import read_record

    if record is None and not at_most:
        return ()
    if record is None:
        raise InputError("There is no record to hold to these limits.", fix="Type --capability FILE too.")
    return against(read_record(Path(record)), read_limits(at_most or ()))


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
    arguments: Arguments = None,
    as_json: AsJson = False,
) -> None:
    """Compare proposers at equal budget, on final samples, with intervals over seeds."""
    from superalign.contracts.records import Interval
    from superalign.researcher import compare as measure

    asked, compared = calls(problem, [name.strip() for name in proposers.split(",")], arguments)
    found = measure.compare(
        asked,
        compared,
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


@app.command()
def dial(
    proposals: Annotated[int, typer.Option(min=4, help="In each stream, a quarter of them hostile.")] = 60,
    minutes: Annotated[float, typer.Option(min=0, help="Of the person's time, for each stream.")] = 60,
    each: Annotated[float, typer.Option(min=0.5, help="Minutes that a decision takes.")] = 2,
    error: Annotated[float, typer.Option(min=0, max=1, help="How often the person decides wrongly.")] = 0.05,
    seeds: Annotated[int, typer.Option(min=1, help="Streams.")] = 5,
    as_json: AsJson = False,
) -> None:
    """Measure what each setting of --approve costs a simulated person, and what it buys.

    Honest and hostile proposals for `location` pass the same gate under every setting. Takes a few minutes.
    """
    from superalign.contracts.records import Interval
    from superalign.researcher.dial import Stream, price

    stream = Stream(proposals=proposals, minutes=minutes, minutes_each=each, error=error, seeds=seeds)
    found = price(stream, note=say)
    if as_json:
        print_json([one.model_dump(mode="json") for one in found])
        return

    def shown(share: object) -> str:
        return f"{share.value:.2f} [{share.low:.2f}, {share.high:.2f}]" if isinstance(share, Interval) else "—"

    rows = [
        {
            "--approve": one.oversight,
            "minutes": f"{one.minutes:.0f}",
            "hostile ran": shown(one.hostile_ran),
            "honest ran": shown(one.honest_ran),
            "best": f"{one.best:.3f}" if isinstance(one.best, float) else "—",
        }
        for one in found
    ]
    print_table(rows, ("--approve", "minutes", "hostile ran", "honest ran", "best"))


def calls(problem: str, by: list[str], arguments: list[str] | None) -> tuple[PartCall, list[PartCall]]:
    """The problem and the proposers with what --set gives them. InputError for a name or an argument that none has."""
    from superalign.contracts.registry import PartCall, problems, proposers
    from superalign.runs.plan import override_key

    names = (problem, *by)
    given: dict[str, Any] = {name: {} for name in names}
    for argument in arguments or ():
        name, dot, _ = argument.partition("=")[0].partition(".")
        if not ("=" in argument and dot) or name not in names:
            raise InputError(
                f"--set is no argument of these: {argument!r}.",
                fix=f"Type NAME.KEY=VALUE, where NAME is {' or '.join(names)}.",
            )
        override_key(given, argument)
    asked = PartCall(kind="problems", name=problem, arguments=taken(problem, problems.factory(problem), given[problem]))
    return asked, [
        PartCall(kind="proposers", name=name, arguments=taken(name, proposers.factory(name), given[name]))
        for name in by
    ]


def taken(name: str, part: Callable[..., Any], given: dict[str, Any]) -> dict[str, Any]:
    """What is given, if the part takes it. InputError for what it does not take, what it lacks, and values of another
    type.
    """
    from pydantic import TypeAdapter, ValidationError

    own = {key: one for key, one in inspect.signature(part).parameters.items() if key not in ("card", "seed")}
    wrong = [key for key in given if key not in own]
    lacks = [key for key, one in own.items() if one.default is one.empty and key not in given]
    if wrong:
        raise InputError(f"{name} takes no {wrong[0]!r}.", fix=f"It takes: {', '.join(own) or 'nothing'}.")
    if lacks:
        raise InputError(f"{name} needs {' and '.join(lacks)}.", fix=f"Add --set {name}.{lacks[0]}=VALUE.")
    types = get_type_hints(part.__init__ if inspect.isclass(part) else part)
    for key, value in given.items():
        try:
            TypeAdapter(types[key]).validate_python(value)
        except ValidationError as error:
            said = error.errors()[0]["msg"].lower()
            raise InputError(f"{name}.{key} can't be {value!r}: {said}.", fix="Give another value.") from None
    return given


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
