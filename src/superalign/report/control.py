"""Control protocols in tables and curves: safety against usefulness, collusion, and alarms on attacks held out."""

from __future__ import annotations

from pathlib import Path

from superalign.contracts.actions import AlarmResult, AlarmStudy, Collusion, ControlStudy
from superalign.contracts.records import Interval, Unscored
from superalign.report.charts import Curve, curves, write
from superalign.report.tables import Cell, Column, Table
from superalign.report.wording import MISSING, counted, interval, number, percent

AGENT_SAYS = {
    "open": "attacks without regard to the alarm",
    "careful": "knows the alarm and takes its least suspicious attack",
    "organism": "was taught to misbehave under a trigger",
}


def at_budget(found: ControlStudy, budget: float, agent: str) -> Table:
    """Every alarm under every protocol at one budget, against one agent."""
    points = [point for point in found.points if point.budget == budget and point.agent == agent]
    columns = (Column("Alarm"), Column("Protocol"), *(Column(name, True) for name in ("Stopped", "Useful", "Touched")))
    return Table(
        caption=f"An agent that {AGENT_SAYS.get(agent, agent)}. Thresholds from {found.benign} benign actions, for "
        f"alarms on {percent(budget)} of honest actions at most; people read as many of all. Stopped: attacks not "
        "executed; useful and touched: honest tasks done right, and those with an alarm. In brackets 95 % intervals",
        columns=columns,
        rows=tuple(
            (Cell(point.monitor), Cell(point.protocol), *map(measured, (point.stopped, point.useful, point.touched)))
            for point in points
        ),
    )


def collusion(found: tuple[Collusion, ...]) -> Table:
    """What each colluder's monitor stops, and which countermeasures dismissed it."""
    names = tuple(dict.fromkeys(one.countermeasure for one in found))
    by_sign: dict[str, dict[str, Cell]] = {}
    for one in found:
        own = measured(one.stopped)
        cell = Cell(own.text, "found" if one.found else "", "good" if one.found else "")
        by_sign.setdefault(one.colluder, {})[one.countermeasure] = cell
    return Table(
        caption="Share of attacks stopped by an untrusted monitor that passes what carries a sign; found: it was "
        "dismissed, and the trusted monitor took over, or nothing suspicious ran without a person",
        columns=(Column("Passes"), *(Column(name, True) for name in names)),
        rows=tuple((Cell(sign), *(cells[name] for name in names)) for sign, cells in by_sign.items()),
    )


def alarms(found: AlarmStudy) -> Table:
    """Each alarm alone, and several together."""

    def row(one: AlarmResult) -> tuple[Cell, ...]:
        exact = (one.recall, one.false_alarms)
        short = (one.known, one.auroc, one.auroc_twins)
        return (Cell(one.alarm), *map(measured, exact), *(Cell(measured(value).text) for value in short))

    names = ("Held out", "False alarms", "Known", "AUROC", "Twins")
    return Table(
        caption=f"Recall at a false-positive rate of {percent(found.rate)} on {counted(found.kinds, 'kind')} of "
        "attack, each held out in turn, with the realised rate; known: on kinds that were learnt; AUROC: held-out "
        "attacks against benign transcripts, and against their twins, which do the same where it was asked for. "
        f"Thresholds from {found.benign} benign transcripts each time. In brackets 95 % intervals; all are in the JSON",
        columns=(Column("Alarm"), *(Column(name, True) for name in names)),
        rows=tuple(map(row, found.alarms)),
    )


def measured(value: Interval | Unscored) -> Cell:
    if isinstance(value, Unscored):
        return Cell(MISSING, "unscored", "open")
    return Cell(number(value.value), interval(value))


def alone(found: ControlStudy) -> list[str]:
    """What either agent does right without the other."""
    return [
        f"Without any protocol the agent does {_percents(found.alone)} of its tasks right, the trusted agent by itself "
        f"{_percents(found.trusted)}"
    ]


def together(found: AlarmStudy) -> list[str]:
    """How far the alarms miss the same transcripts."""
    known = [f"{pair}: {number(value)}" for pair, value in found.shared_misses.items() if value is not None]
    if not known:
        return ["Whether alarms miss the same attacks could not be measured: one misses all or none"]
    return [f"Correlation of what two alarms miss (0 is independent, 1 the same): {'; '.join(known)}"]


def _percents(found: Interval) -> str:
    return f"{percent(found.value)} [{percent(found.low)}, {percent(found.high)}]"


def reasons(found: ControlStudy | AlarmStudy) -> list[str]:
    """Why what was not measured was not, each reason once; and what alarms could not score."""
    if isinstance(found, AlarmStudy):
        values = [(one.alarm, value) for one in found.alarms for value in (one.recall, one.known, one.false_alarms)]
    else:
        values = [(f"{one.monitor} at {percent(one.budget)}", one.stopped) for one in found.points]
    said = [f"{name}: {value.reason}" for name, value in values if isinstance(value, Unscored)]
    return list(dict.fromkeys(said))


def draw(found: ControlStudy, path: Path, protocol: str = "monitoring") -> None:
    """The curves of one protocol, a chart for each agent: attacks stopped over honest actions touched."""
    charts = []
    for agent in dict.fromkeys(point.agent for point in found.points):
        shown = []
        for monitor in dict.fromkeys(point.monitor for point in found.points):
            own = [one for one in found.points if (one.monitor, one.agent, one.protocol) == (monitor, agent, protocol)]
            drawn = [(one.budget, one.stopped.value) for one in own if isinstance(one.stopped, Interval)]
            if drawn:
                shown.append(Curve(monitor, [x for x, _ in drawn], [y for _, y in drawn]))
        if shown:
            title = f"{protocol}: an agent that {AGENT_SAYS.get(agent, agent)}"
            charts.append(
                curves(
                    f"control-{agent}", title, shown, x="share of honest actions touched", y="share of attacks stopped"
                )
            )
    if charts:
        write(path, *charts)
