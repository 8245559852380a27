"""`superalign capability`: what an agent can do and is inclined to do, in small and harmless environments."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from superalign.cli.options import AsJson
from superalign.cli.output import Row, print_facts, print_json, print_list, print_table, say
from superalign.contracts.errors import InputError, SandboxError
from superalign.contracts.records import Decision, Unscored

if TYPE_CHECKING:
    from superalign.capability.hosts import Hosts
    from superalign.capability.play import Agent
    from superalign.capability.world import Environment
    from superalign.contracts.capability import CapabilityRecord

app = typer.Typer(no_args_is_help=True, help="What an agent can do, and is inclined to do, in toy environments.")
RUN_EXAMPLES = """Examples:

superalign capability run --model smollm2-135m --out scores.json

superalign capability run --model scripted:rate=0.3 --environment shutdown-resistance
"""
HOLD_EXAMPLE = "Example: superalign capability hold scores.json --at-most self-copying=0.2"
HostsWanted = Literal["auto", "namespaces", "simulated"]
Name = Annotated[str, typer.Argument(metavar="NAME", help="See `superalign capability list`.")]
Files = Annotated[list[str], typer.Argument(metavar="FILE...", help="What `capability run --out` wrote.")]


@app.command("list")
def list_all(as_json: AsJson = False) -> None:
    """List the environments."""
    from superalign.capability.environments import environments

    print_list([_row(each) for each in environments().values()], ("name", "measures", "about"), as_json=as_json)


@app.command()
def show(name: Name, as_json: AsJson = False) -> None:
    """Show one environment, and what an agent is told in its first episode."""
    from superalign.capability.environments import environment
    from superalign.capability.play import Episode

    found = environment(name)
    ask = Episode(found, found.conditions[0], 0, 0).ask()
    print_facts(_row(found) | {"asked": ask.conversation[0].content}, as_json=as_json)


@app.command(epilog=RUN_EXAMPLES)
def run(
    model: Annotated[
        str, typer.Option(metavar="NAME", help="A model, an endpoint, or scripted: and an agent of known strength.")
    ],
    base: Annotated[str | None, typer.Option(metavar="NAME", help="What an adapter or delta was trained from.")] = None,
    environment: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Only this one; once for each. Default: all.")
    ] = None,
    episodes: Annotated[int, typer.Option(min=4, max=1000, help="Of each arm; a third of so many of a level.")] = 20,
    seed: Annotated[int, typer.Option(min=0, help="Draws the worlds and the letters of their commands.")] = 0,
    hosts: Annotated[HostsWanted, typer.Option(help="What self-copying is between; auto: namespaces if it can.")] = (
        "auto"
    ),
    out: Annotated[str | None, typer.Option(metavar="FILE", help="Keep the record, to compare and to hold.")] = None,
    as_json: AsJson = False,
) -> None:
    """Play episodes in each environment, beside agents of known strength; without these right nothing is scored."""
    from superalign.capability.environments import environment as find
    from superalign.capability.environments import environments
    from superalign.capability.record import evaluate

    names = list(dict.fromkeys(find(name).name for name in environment)) if environment else list(environments())
    agent, parameters, digest = _agent(model, base, seed)
    with ExitStack() as open_hosts:
        between = _hosts(hosts, open_hosts) if "self-copying" in names else None
        found = evaluate(
            agent,
            [find(name, between) for name in names],
            episodes=episodes,
            seed=seed,
            hosts=between.what if between else None,
            parameters=parameters,
            digest=digest,
            note=say,
        )
    if out:
        try:
            Path(out).write_text(found.model_dump_json(indent=1) + "\n", encoding="utf-8")
        except OSError as error:
            raise InputError(f"This can't be written: {error.strerror}.", where=out, fix="Name another.") from None
        say(f"Written: {out}")
    if as_json:
        print_json(found.model_dump(mode="json"))
    else:
        _show(found)


@app.command(epilog="Example: superalign capability compare step-100.json step-200.json large.json")
def compare(files: Files, as_json: AsJson = False) -> None:
    """Set records of several checkpoints or sizes side by side, a row for each environment."""
    from superalign.capability.record import brief, read_record

    records = [read_record(Path(file)) for file in files]
    if as_json:
        print_json([record.model_dump(mode="json") for record in records])
        return
    print_table([_identity(i, record) for i, record in enumerate(records, 1)], ("#", "model", "parameters", "seed"))
    print()
    columns = [str(i) for i in range(1, len(records) + 1)]
    found = [{score.environment: brief(score) for score in record.scores} for record in records]
    names = dict.fromkeys(name for scores in found for name in scores)
    rows = [
        {"environment": name} | {i: scores.get(name, "not measured") for i, scores in zip(columns, found, strict=True)}
        for name in names
    ]
    print_table(rows, ("environment", *columns))


@app.command(epilog=HOLD_EXAMPLE)
def hold(
    file: Annotated[str, typer.Argument(metavar="FILE", help="What `capability run --out` wrote.")],
    at_most: Annotated[list[str], typer.Option(metavar="NAME=VALUE", help="A limit; once for each environment.")],
    as_json: AsJson = False,
) -> None:
    """Decide by limits: proceed only where the upper end of every score's interval is below its limit.

    Pause where one exceeds it, undetermined where one was not measured. Exit code 3 unless it is proceed.
    """
    from superalign.capability.limits import against, decided, read_limits
    from superalign.capability.record import read_record

    limits = against(read_record(Path(file)), read_limits(at_most))
    verdict = decided(limits)
    if as_json:
        print_json({"verdict": verdict.value, "limits": [limit.model_dump(mode="json") for limit in limits]})
    else:
        words = {True: "holds", False: "exceeded", None: "unknown"}
        rows = [
            {"environment": one.environment, "at most": f"{one.at_most:g}", "": words[one.holds], "score": one.says}
            for one in limits
        ]
        print_table(rows, ("environment", "at most", "", "score"))
        print(f"\nVerdict: {verdict.value}.")
    if verdict is not Decision.PROCEED:
        raise typer.Exit(3)


def _agent(model: str, base: str | None, seed: int) -> tuple[Agent, int | None, str | None]:
    """Who plays, with the number of its parameters and the digest of its weights where they are known."""
    from superalign.capability.agents import SCRIPTED, ModelAgent, scripted

    if model.startswith(SCRIPTED):
        return scripted(model, seed), None, None
    from superalign.models.endpoint import EndpointSubject
    from superalign.models.handle import open_alone
    from superalign.models.source import resolve

    if resolve(model, base).kind == "endpoint":
        return ModelAgent(model, EndpointSubject(model)), None, None
    subject, digest = open_alone(model, base)
    parameters = sum(tensor.numel() for tensor in subject.decoder.model.parameters())
    return ModelAgent(model, subject), parameters, digest


def _hosts(wanted: HostsWanted, open_hosts: ExitStack) -> Hosts:
    from superalign.capability.hosts import Folders, Namespaces

    if wanted == "simulated":
        return Folders()
    try:
        return open_hosts.enter_context(Namespaces())
    except SandboxError as error:
        if wanted == "namespaces":
            raise
        say(f"{error.what} Self-copying is between simulated hosts.")
        return Folders()


def _row(found: Environment) -> Row:
    return {
        "name": found.name,
        "measures": found.measures,
        "about": found.about,
        "scale": found.scale,
        "conditions": list(found.conditions),
    }


def _identity(number: int, record: CapabilityRecord) -> Row:
    from superalign.report.terminal import plain

    size = f"{record.parameters:,}" if record.parameters else "unknown"
    return {"#": str(number), "model": plain(record.model), "parameters": size, "seed": record.seed}


def _show(found: CapabilityRecord) -> None:
    from superalign.capability.record import brief
    from superalign.report.terminal import plain

    rows = []
    for score in found.scores:
        unscored = sum(score.reasons.values())
        episodes = sum(one.reached + one.not_reached + one.unscored for one in score.conditions)
        more = score.excess
        rows.append(
            {
                "environment": score.environment,
                "score": brief(score),
                "chance": f"{score.chance:.2g}" if isinstance(score.chance, float) else "",
                "excess": "" if more is None or isinstance(more, Unscored) else f"{more.value:+.2f}",
                "unscored": f"{unscored} of {episodes}",
                "controls": "right" if score.works else "WRONG",
            }
        )
    print(f"{plain(found.model)}, seed {found.seed}.\n")
    print_table(rows, ("environment", "score", "chance", "excess", "unscored", "controls"))
    for score in found.scores:
        remarks = [score.caveat] if score.caveat else []
        if isinstance(score.score, Unscored):
            remarks.append(score.score.reason)
        remarks += [f"{times} unscored: {reason}" for reason, times in score.reasons.items()]
        for remark in remarks:
            print(f"\n{score.environment}: {plain(remark)}.")
