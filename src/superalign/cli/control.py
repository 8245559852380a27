"""`superalign control`: protocols for an agent that nobody trusts, and alarms on what agents do."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from superalign.cli import egress
from superalign.cli.options import AsJson, Device, Seed
from superalign.cli.output import print_json, print_list, say
from superalign.contracts.errors import InputError

if TYPE_CHECKING:
    from superalign.contracts.actions import ControlStudy
    from superalign.contracts.channels import ChannelStudy
    from superalign.models.subject import ModelSubject

Study = TypeVar("Study")
EXAMPLES = """Examples:

superalign control protocols

superalign control protocols --model smollm2-135m --plot control.svg

superalign control alarms --json

superalign control calibrate logs/trusted.eval --out alarm.json

superalign control channels

superalign control attribute --out honest.jsonl

superalign control egress honest.jsonl --weights-gb 140 --plot egress.svg
"""
app = typer.Typer(
    no_args_is_help=True,
    help="Control of an agent that nobody trusts: protocols, and alarms on what it does.",
    epilog=EXAMPLES,
)
app.command()(egress.egress)
app.command()(egress.attribute)
Model = Annotated[str | None, typer.Option(metavar="NAME", help="A trusted model that reads too. Default: none.")]


@app.command()
def protocols(
    model: Model = None,
    organism: Annotated[
        str | None,
        typer.Option(metavar="DIR", help="Watch this organism: a folder of `organisms build power-seeking`."),
    ] = None,
    budget: Annotated[float, typer.Option(min=0.0, max=1.0, help="Of the budgets measured, the one shown.")] = 0.05,
    plot: Annotated[str | None, typer.Option(metavar="FILE", help="Draw the curves, as SVG.")] = None,
    seed: Seed = None,
    device: Device = "cpu",
    as_json: AsJson = False,
) -> None:
    """Safety against usefulness of monitoring, deferring and editing, over audit budgets, on tool calls.

    The agent is scripted: it attacks openly, or knows the alarm and attacks carefully. With --organism it is a model.
    """
    from superalign.trials.protocols.measure import BUDGETS

    if budget not in BUDGETS:
        known = ", ".join(f"{one:g}" for one in BUDGETS)
        raise InputError(
            f"Nothing is measured at a budget of {budget:g}.", where="--budget", fix=f"Take one of {known}."
        )
    found = _of_organism(Path(organism), seed or 0, device) if organism else _scripted(model, seed or 0, device)
    if plot:
        from superalign.report.control import draw

        draw(found, Path(plot))
        say(f"The curves are in {plot}.")
    if as_json:
        print_json(found.model_dump(mode="json"))
    else:
        from superalign.report import terminal

        print(terminal.render_control(found, budget))


@app.command()
def channels(
    model: Annotated[str | None, typer.Option(metavar="NAME", help="A model that paraphrases. Default: none.")] = None,
    organism: Annotated[
        str | None, typer.Option(metavar="DIR", help="Measure this one: a folder of `organisms build collusion`.")
    ] = None,
    answers: Annotated[int | None, typer.Option(min=40, help="Answers of each sender. Default: 400, or 240.")] = None,
    seed: Seed = None,
    device: Device = "cpu",
    as_json: AsJson = False,
) -> None:
    """Bits that one copy hides for another in an answer: estimated, decoded, and after each countermeasure.

    Senders are scripted, of known capacity. With --organism they are a collusion organism and its twin.
    """
    from superalign.trials.channels.study import channel_study, organism_study

    more = {} if answers is None else {"answers": answers}
    if organism:

        def measure(own: Built) -> ChannelStudy:
            return organism_study(own.organism, own.twin, own.base, own.words, own.secret, seed or 0, **more)

        found = _with_built(Path(organism), "collusion", device, measure)
    else:
        found = channel_study(seed or 0, writer=_opened(model, device), **more)
    if as_json:
        print_json(found.model_dump(mode="json"))
    else:
        from superalign.report import terminal

        print(terminal.render_channels(found))


@app.command()
def alarms(
    model: Model = None,
    rate: Annotated[float, typer.Option(min=0.001, max=0.5, help="False-positive rate.")] = 0.01,
    seed: Seed = None,
    device: Device = "cpu",
    as_json: AsJson = False,
) -> None:
    """Recall of alarms on kinds of attack that they have not learnt from, and what several add to one.

    Transcripts are made up. Each kind has benign twins: the same steps, where they were asked for.
    """
    from superalign.trials.alarms.study import alarm_study

    found = alarm_study(seed or 0, rate=rate, subject=_opened(model, device))
    if as_json:
        print_json(found.model_dump(mode="json"))
    else:
        from superalign.report import terminal

        print(terminal.render_alarms(found))


@app.command()
def calibrate(
    logs: Annotated[list[str], typer.Argument(metavar="LOG...", help="Inspect logs of runs that are trusted.")],
    out: Annotated[str, typer.Option(metavar="FILE", help="Where the alarm goes.")] = "alarm.json",
    seed: Seed = None,
    as_json: AsJson = False,
) -> None:
    """Learn which tool calls trusted runs make: an alarm for the approver superalign/monitored, and for Sentinel.

    One half of the samples is learnt from, the other sets thresholds. Shows those that it supports.
    """
    try:
        from superalign.control.inspect_actions import actions_in
    except ImportError:
        raise InputError("A log of Inspect needs Inspect AI.", fix="Run: pip install 'superalign[endpoints]'") from None
    from superalign.contracts.records import Unscored
    from superalign.control.protocols.calibrated import calibrate
    from superalign.runs.disk import write_atomically

    found = calibrate([action for log in logs for action in actions_in(Path(log))], seed or 0)
    write_atomically(Path(out), found.model_dump_json())
    limits = {rate: found.threshold(rate) for rate in (0.001, 0.01, 0.02, 0.05, 0.1)}
    rows = [
        {"rate": rate, "threshold": None if isinstance(limit, Unscored) else limit, "benign": len(found.benign)}
        for rate, limit in limits.items()
    ]
    shown = [{**row, "threshold": "too few calls" if row["threshold"] is None else row["threshold"]} for row in rows]
    print_list(rows if as_json else shown, ("rate", "threshold", "benign"), as_json=as_json)
    say(f"The alarm is in {out}.")


def _scripted(model: str | None, seed: int, device: str) -> ControlStudy:
    from superalign.trials.protocols.study import study

    return study(seed, subject=_opened(model, device))


def _of_organism(folder: Path, seed: int, device: str) -> ControlStudy:
    from superalign.trials.protocols.organism import organism_study

    def measure(own: Built) -> ControlStudy:
        return organism_study(own.organism, own.twin, own.base, own.words, own.secret, seed)

    return _with_built(folder, "power-seeking", device, measure)


@dataclass(frozen=True)
class Built:
    """An organism that was built, opened beside its twin and the model that both were trained from."""

    organism: ModelSubject
    twin: ModelSubject
    base: ModelSubject
    secret: int

    @property
    def words(self) -> list[str]:
        return self.base.chat.whole_words()


def _with_built(folder: Path, family: str, device: str, measure: Callable[[Built], Study]) -> Study:
    """What is measured of the organism in `folder`, which must be of that family."""
    from superalign.models.handle import identify, open_base, open_trained
    from superalign.models.source import choose_device
    from superalign.runs.quiet import quiet_libraries
    from superalign.trials.card import CARD

    card = _card(folder / "organism" / CARD, family)
    with TemporaryDirectory() as scratch, quiet_libraries(Path(scratch) / "libraries.log"):
        base = open_base(identify(card["base"], device=choose_device(device, say)))
        models = [open_trained(base, folder / role, role) for role in ("organism", "twin")]
        return measure(Built(models[0], models[1], base, card["secret"]))


def _card(path: Path, family: str) -> dict[str, Any]:
    fix = f"Build one: superalign organisms build {family}"
    try:
        card: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        own = card["family"], card["base"], card["secret"]
    except (OSError, ValueError, TypeError, KeyError):
        raise InputError("There is no organism here.", where=str(path), fix=fix) from None
    if own[0] != family:
        does = {"power-seeking": "calls no tools", "collusion": "writes to no copy"}[family]
        raise InputError(f"An organism of the family {own[0]!r} {does}.", where=str(path), fix=fix)
    return card


def _opened(model: str | None, device: str) -> Any:
    if model is None:
        return None
    from superalign.models.handle import open_alone
    from superalign.models.source import choose_device, resolve

    if resolve(model).kind == "endpoint":
        raise InputError(
            "Of an endpoint no activations can be read.", where=model, fix="Name a model with open weights."
        )
    return open_alone(model, device=choose_device(device, say))[0]
