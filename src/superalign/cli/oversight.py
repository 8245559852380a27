"""`superalign oversight`: what no protocol has by itself, measured outside of any run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from superalign.cli.options import AsJson, Device
from superalign.cli.output import print_json, say
from superalign.cli.oversight_shown import show_failures, show_gaps, show_honesty, show_sandwich, show_scaling

if TYPE_CHECKING:
    from superalign.contracts.records import Record, Specification, Unscored
    from superalign.oversight.docket import Docket

Found = TypeVar("Found", bound="Record")

app = typer.Typer(no_args_is_help=True, help="Measure oversight outside of a run.")

WHO = "embedded, scripted, or PROVIDER/MODEL"
Task = Annotated[str, typer.Option(metavar="NAME", help="A task; see `superalign tasks list`.")]
Judge = Annotated[str, typer.Option(metavar="WHO", help=f"The judge: {WHO}.")]
Expert = Annotated[str, typer.Option(metavar="WHO", help=f"The expert: {WHO}.")]
Model = Annotated[str, typer.Option(metavar="NAME", help="Who plays what is embedded: a known name or a path.")]
Labels = Annotated[int, typer.Option(min=4, metavar="N", help="Easy groups whose truth is given, to learn from.")]
Groups = Annotated[int, typer.Option(min=8, metavar="N", help="Groups of all levels to measure on.")]
Seed = Annotated[int, typer.Option(min=0, help="Everything random descends from it.")]


@app.command(epilog="Example: superalign oversight gaps --task passage --groups 40")
def gaps(
    task: Task = "passage",
    judge: Judge = "embedded",
    expert: Expert = "embedded",
    model: Model = "smollm2-135m",
    labels: Labels = 50,
    groups: Groups = 100,
    seed: Seed = 0,
    device: Device = "cpu",
    as_json: AsJson = False,
) -> None:
    """Does the expert know of flaws that it does not get across?

    It gives answers, tells right ones from wrong ones, and shows the judge what speaks against them.
    """
    from superalign.oversight import gaps as measure

    roles = measure.roles(judge, expert)
    given = (task, model, labels, groups, seed, device)
    finish(measured(lambda docket: measure.gaps(docket, roles), *given), show_gaps, as_json=as_json)


@app.command(epilog="Example: superalign oversight sandwich --judge scripted --expert embedded --protocol debate")
def sandwich(
    task: Task = "passage",
    judge: Judge = "embedded",
    expert: Expert = "embedded",
    protocol: Annotated[str, typer.Option(metavar="NAME", help="By which the judge makes use of it.")] = "consultancy",
    model: Model = "smollm2-135m",
    labels: Labels = 50,
    groups: Groups = 100,
    seed: Seed = 0,
    device: Device = "cpu",
    as_json: AsJson = False,
) -> None:
    """Do a non-expert and a model together come near an expert, where neither does alone?

    The non-expert is --judge, or `human`: a simulated person. The model is --expert. The expert to come near to is a
    program that understands all of the evidence.
    """
    from superalign.oversight import sandwiching as measure
    from superalign.oversight.docket import with_evidence

    with_evidence(task)
    parties = measure.parties(judge, expert, protocol)
    given = (task, model, labels, groups, seed, device)
    finish(measured(lambda docket: measure.sandwich(docket, parties), *given), show_sandwich, as_json=as_json)


@app.command(epilog="Example: superalign oversight scaling --players scripted --groups 200")
def scaling(
    task: Task = "passage",
    players: Annotated[str, typer.Option(metavar="WHO", help="Who is graded: embedded or scripted.")] = "embedded",
    model: Model = "smollm2-135m",
    labels: Labels = 50,
    groups: Groups = 100,
    seed: Seed = 0,
    device: Device = "cpu",
    as_json: AsJson = False,
) -> None:
    """How does oversight hold up as adversaries get stronger than guards? With it, nested oversight's best steps.

    Players are graded by their rate of errors, or by how many of the labels were wrong that they were taught by.
    """
    from superalign.oversight import scaling as measure
    from superalign.oversight.docket import with_evidence
    from superalign.oversight.grades import check_gradable, graded

    with_evidence(task)
    check_gradable(players)
    given = (task, model, labels, groups, seed, device)
    finish(
        measured(lambda docket: measure.scaling(docket, graded(players, docket.given)), *given),
        show_scaling,
        as_json=as_json,
    )


@app.command(epilog="Example: superalign oversight failures --judge scripted --expert scripted --json")
def failures(
    task: Task = "passage",
    judge: Judge = "embedded",
    expert: Expert = "embedded",
    model: Model = "smollm2-135m",
    labels: Labels = 50,
    groups: Groups = 100,
    seed: Seed = 0,
    device: Device = "cpu",
    as_json: AsJson = False,
) -> None:
    """Where does oversight fail? By how far a flaw is spread, as debaters collude, as a judge is optimised against."""
    from superalign.oversight import failures as measure
    from superalign.oversight.docket import with_evidence

    with_evidence(task)
    measure.check_roles(judge, expert)
    given = (task, model, labels, groups, seed, device)
    finish(measured(lambda docket: measure.failures(docket, judge, expert), *given), show_failures, as_json=as_json)


@app.command(epilog="Example: superalign oversight honesty --protocol direct --protocol debate")
def honesty(
    task: Task = "passage",
    judge: Judge = "embedded",
    expert: Expert = "embedded",
    protocol: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Whose labels are learnt from; once for each.")
    ] = None,
    specification: Annotated[
        str | None, typer.Option(metavar="FILE", help="What the designer wants. Default: honest answers.")
    ] = None,
    model: Model = "smollm2-135m",
    labels: Labels = 50,
    lessons: Annotated[int, typer.Option(min=8, metavar="N", help="Groups that protocols label.")] = 60,
    groups: Groups = 40,
    seed: Seed = 0,
    device: Device = "cpu",
    as_json: AsJson = False,
) -> None:
    """Does a model that learnt a specification from an overseer's labels behave by it?

    It should say what it knows, admit what it does not, take back what is wrong and nothing else, and say the same to
    everybody. Beside it: a model that learnt from the truth, and one that learnt nothing.
    """
    from superalign.oversight import honesty as measure
    from superalign.oversight.docket import with_evidence
    from superalign.oversight.roles import make_with_roles
    from superalign.runs.plan import load_specification
    from superalign.tasks.specification import honest_specification

    with_evidence(task)
    wanted = load_specification(Path(specification)) if specification else honest_specification()
    protocols = {name: make_with_roles(name, judge, expert) for name in protocol or ("direct", "debate")}
    given = (task, model, labels, groups, seed, device)
    finish(
        measured(lambda docket: measure.honesty(docket, protocols), *given, lessons=lessons, specification=wanted),
        show_honesty,
        as_json=as_json,
    )


def measured(
    measure: Callable[[Docket], Found | Unscored],
    task: str,
    model: str,
    labels: int,
    groups: int,
    seed: int,
    device: str,
    *,
    lessons: int = 8,
    specification: Specification | None = None,
) -> Found | Unscored:
    """What `measure` makes of the questions that the options ask for."""
    from superalign.models.source import choose_device, resolve
    from superalign.oversight.docket import docket
    from superalign.runs.quiet import quiet_libraries

    resolve(model)
    device = choose_device(device, say)
    with TemporaryDirectory() as scratch, quiet_libraries(Path(scratch) / "libraries.log"):
        return measure(
            docket(
                task,
                model,
                labels=labels,
                groups=groups,
                lessons=lessons,
                seed=seed,
                device=device,
                specification=specification,
            )
        )


def finish(found: Found | Unscored, show: Callable[[Found], None], *, as_json: bool) -> None:
    """Print it. Exit code 1 when nothing could be measured."""
    from superalign.contracts.records import Unscored

    if as_json:
        print_json(found.model_dump(mode="json"))
    elif not isinstance(found, Unscored):
        show(found)
    if isinstance(found, Unscored):
        say(f"Not measured: {found.reason}.")
        raise typer.Exit(1)
