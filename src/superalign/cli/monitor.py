"""`superalign monitor`: a fleet of agents watched through its streams of events."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from superalign.cli.options import AsJson
from superalign.cli.output import Row, print_json, print_table, say
from superalign.contracts.errors import InputError

if TYPE_CHECKING:
    from superalign.contracts.fleet import Alarm, FleetReport, Health, Sight

EXAMPLES = """Examples:

superalign monitor today.jsonl --state watch --register agents.csv --reference clean/

superalign monitor today.jsonl --state watch

superalign monitor logs/ --state watch --jobs 2 --json
"""
ALARMED = 3
PROMISE = 0.01
MOST_LISTED = 20


def monitor(
    streams: Annotated[
        list[str] | None,
        typer.Argument(metavar="[STREAM]...", help="Files (.jsonl, .parquet, .eval) or folders. None: report only."),
    ] = None,
    state: Annotated[
        str, typer.Option(metavar="DIR", help="What is remembered of the fleet. What was read is not read again.")
    ] = "monitor",
    register: Annotated[
        str | None, typer.Option(metavar="FILE", help="The agents, a CSV file with the columns agent and group.")
    ] = None,
    reference: Annotated[
        list[str] | None, typer.Option(metavar="STREAM", help="A clean stream to compare with; once for each.")
    ] = None,
    promise: Annotated[
        float | None,
        typer.Option(
            min=1e-9, max=0.5, help=f"The probability with which a clean fleet ever raises an alarm [{PROMISE}]."
        ),
    ] = None,
    tolerance: Annotated[
        float | None,
        typer.Option(min=0.0, max=0.5, help="How much clean agents may differ from their group, as a share [0]."),
    ] = None,
    jobs: Annotated[int, typer.Option(metavar="N", min=1, help="How many processes count events.")] = 1,
    on: Annotated[
        str, typer.Option("--on", metavar="WHERE", help="Where events are counted: local, or a Ray cluster's address.")
    ] = "local",
    as_json: AsJson = False,
) -> None:
    """Watch a fleet of agents: rare behaviour, drift, agents that are not who they say or fall silent.

    The first time, --register and --reference say what a clean fleet does. Exit code 3 when there are alarms.
    """
    from superalign.control.fleet.reading import files
    from superalign.control.fleet.register import read_register
    from superalign.control.fleet.sight import report
    from superalign.control.fleet.watch import begin, opened, watch
    from superalign.runs.launch import Launch

    folder = Path(state)
    found = files([Path(stream) for stream in streams or []])
    if register or reference:
        if not (register and reference):
            raise InputError("A baseline takes a register and a reference.", fix="Give --register and --reference.")
        if common := set(found) & set(clean := files([Path(path) for path in reference])):
            raise InputError(
                "A stream can't be its own reference.", where=str(common.pop()), fix="Give a trusted one for that."
            )
        begin(folder, clean, read_register(Path(register)), promise or PROMISE, tolerance or 0.0)
    elif promise is not None or tolerance is not None:
        raise InputError(
            "Promise and tolerance are fixed with the baseline.", fix="Leave them out, or begin anew in another folder."
        )
    watched = watch(folder, found, Launch(jobs, on), _tell) if found else opened(folder)
    told = report(watched)
    if as_json:
        print_json(told.model_dump(mode="json"))
    else:
        show(told)
    if told.alarms:
        raise typer.Exit(ALARMED)


def show(told: FleetReport) -> None:
    """The report in a terminal of 80 columns."""
    from superalign.report.wording import counted, duration, percent

    events = told.health.events + told.health.unregistered
    print(
        f"{counted(told.agents, 'agent')} in {counted(told.groups, 'group')}: {counted(events, 'event')} in "
        f"{counted(told.blocks, 'block')}, read in {duration(told.seconds)}."
    )
    kinds = Counter(alarm.what for alarm in told.alarms)
    number = counted(len(told.alarms), "alarm") if told.alarms else "No alarm"
    number += f" ({', '.join(f'{many:,} {what}' for what, many in kinds.most_common())})" if len(kinds) > 1 else ""
    print(f"{number}.\nA clean fleet ever raises one with a probability of at most {percent(told.promise)}.")
    print()
    if told.alarms:
        shown = [_alarm(alarm) for alarm in sorted(told.alarms, key=_weight)[:MOST_LISTED]]
        print_table(shown, ("alarm", "who", "evidence"))
        if (more := len(told.alarms) - MOST_LISTED) > 0:
            print(f"{more:,} more: --json lists all.")
        print()
    rows = [*_health(told.health), *({"": "not covered", " ": _plain(line)} for line in told.not_covered)]
    print_table(rows, ("", " "))
    if told.sight:
        print()
        _show_sight(told.sight)


def _weight(alarm: Alarm) -> tuple[bool, int, float]:
    """What is shown first: the fleet before its parts, then the strongest; strangers, who may be many, come last."""
    return alarm.what == "unregistered", ("fleet", "group", "agent").index(alarm.level), -(alarm.strength or 0)


def _alarm(alarm: Alarm) -> Row:
    odds = "" if alarm.strength is None else f" Evidence: 10^{alarm.strength:.1f} to 1."
    since = "" if alarm.since is None else f" ({datetime.fromtimestamp(alarm.since, UTC):%Y-%m-%d %H:%M} UTC)"
    lines = [f"{_plain(alarm.says)}. Since block {alarm.since_block}{since}.{odds}"]
    lines += [
        f"{_plain(Path(seen.path).name)}, {seen.place}: {_plain(seen.kind)} by {_plain(seen.agent)}"
        for seen in alarm.witnesses
    ]
    return {"alarm": alarm.what, "who": _who(alarm), "evidence": "\n".join(lines)}


def _health(health: Health) -> list[Row]:
    counts = {name: value for name, value in health if isinstance(value, int) and value and name != "events"}
    said = ", ".join(f"{value:,} {name}" for name, value in counts.items()) or "nothing missing"
    rows = [{"": "read", " ": f"{health.events:,} events of registered agents; {said}"}]
    return rows + [{"": "not read", " ": _plain(line)} for line in health.unreadable[:5]]


def _show_sight(sights: Sequence[Sight]) -> None:
    """What would have been seen with a probability of 80 %, in the fleet and in one of its agents."""
    heads = {sight.level: f"{_plain(sight.who)}, {sight.events:,} events" for sight in sights}
    rows: dict[str, Row] = {}
    for sight in sights:
        row = rows.setdefault(sight.what, {"would be seen": sight.what, **dict.fromkeys(heads.values(), "")})
        row[heads[sight.level]] = _smallest(sight)
    print_table(list(rows.values()), ("would be seen", *heads.values()))


def _smallest(sight: Sight) -> str:
    if sight.smallest is None:
        return "none is large enough"
    if sight.what.startswith("rate"):
        return f"1 in {1 / sight.smallest:,.0f}"
    return f"{sight.smallest:,.0f} of the fleet's events" if sight.what == "silence" else f"{sight.smallest:.2g}"


def _tell(alarm: Alarm) -> None:
    say(f"ALARM {_who(alarm)}: {_plain(alarm.says)}")


def _who(alarm: Alarm) -> str:
    return _plain(alarm.who) if alarm.level == "fleet" else f"{alarm.level} {_plain(alarm.who)}"


def _plain(text: str) -> str:
    """Without anything that could steer a terminal: names are whatever agents call themselves."""
    from superalign.report.terminal import plain

    return plain(text)
