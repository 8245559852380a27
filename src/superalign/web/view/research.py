"""The researcher's progress: the tree of proposals, a plot of them, and the switch that stops it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from superalign.contracts.records import Unscored
from superalign.contracts.review import ResearchOutcome, ResearchProgress
from superalign.report import svg
from superalign.report.wording import number
from superalign.runs.disk import disk_errors, write_atomically

STOP = "stop"
DEEPEST = 8  # levels that are indented; below, only the number of the parent tells
DRAWN = 400  # proposals; of more, the last ones
TOP, BELOW, LEFT, RIGHT = 14.0, 34.0, 44.0, 96.0


@dataclass(frozen=True)
class Branch:
    """A proposal at its place in the tree: below its first parent that is known."""

    depth: int
    outcome: ResearchOutcome
    best: bool


def stop(folder: Path, reviewer: str) -> None:
    """Ask the researcher to stop, by a file that it looks for. RunError when it can't be written."""
    with disk_errors(folder):
        write_atomically(folder / STOP, f"{reviewer}\n")


def is_stopped(folder: Path) -> bool:
    return (folder / STOP).exists()


def tree(progress: ResearchProgress) -> list[Branch]:
    """The proposals, each after its first parent and that one's earlier children. Whoever names a later proposal, or
    none that is there, for a parent, is a root.
    """
    known = {outcome.number for outcome in progress.outcomes}
    children: dict[int | None, list[ResearchOutcome]] = {}
    for outcome in sorted(progress.outcomes, key=lambda one: one.number):
        parent = next((each for each in outcome.parents if each in known and each < outcome.number), None)
        children.setdefault(parent, []).append(outcome)
    leader = best(progress)
    found: list[Branch] = []
    waiting = [(0, outcome) for outcome in reversed(children.get(None, []))]
    while waiting:
        depth, outcome = waiting.pop()
        found.append(Branch(min(depth, DEEPEST), outcome, outcome is leader))
        waiting += [(depth + 1, child) for child in reversed(children.pop(outcome.number, []))]
    return found


def best(progress: ResearchProgress) -> ResearchOutcome | None:
    """The proposal of the best value; the first of equals."""
    sign = 1 if progress.larger_is_better else -1
    scored = [one for one in progress.outcomes if not isinstance(one.value, Unscored)]
    return max(scored, key=lambda one: (sign * _value(one), -one.number), default=None)


def plot(progress: ResearchProgress, width: float, height: float, key: str) -> Markup | None:
    """Values by number, with intervals, a thread from each proposal to its parents, and lines for baseline and random
    search. None where nothing has a value.
    """
    outcomes = sorted(progress.outcomes, key=lambda one: one.number)[-DRAWN:]
    scored = [one for one in outcomes if not isinstance(one.value, Unscored)]
    if not scored:
        return None
    levels = [
        (level, name)
        for level, name in ((progress.baseline, "baseline"), (progress.random_best, "random search"))
        if level is not None
    ]
    bounds = [bound for one in scored if one.interval for bound in (one.interval.low, one.interval.high)]
    y = svg.scale_over([*map(_value, scored), *bounds, *(level for level, _ in levels)], height - BELOW, TOP)
    x = svg.Scale(outcomes[0].number - 0.7, outcomes[-1].number + 0.7, LEFT, width - RIGHT)
    drawn = [*_axes(x, y, width, height), *_levels(levels, y, width)]
    places = {one.number: (x(one.number), y(_value(one))) for one in scored}
    drawn += [
        _thread(places[one.number], places[parent]) for one in scored for parent in one.parents if parent in places
    ]
    leader = best(progress)
    drawn += [part for one in scored for part in _mark(one, places[one.number], y, one is leader)]
    failed = [one for one in outcomes if isinstance(one.value, Unscored)]
    drawn += [
        svg.text("\N{MULTIPLICATION SIGN}", x(one.number), height - BELOW + 4, "middle", class_="tick failed")
        for one in failed
    ]
    said = f"{len(scored)} proposals with a value, {len(failed)} without (crosses, below). Threads lead to parents."
    return Markup(svg.figure(key, width, height, f"Proposals by number: {progress.metric or 'value'}", said, *drawn))


def _value(outcome: ResearchOutcome) -> float:
    assert not isinstance(outcome.value, Unscored)
    return outcome.value


def _axes(x: svg.Scale, y: svg.Scale, width: float, height: float) -> list[str]:
    rows, columns = y.ticks(), [tick for tick in x.ticks() if tick == int(tick)]
    parts = [svg.line(LEFT, y(tick), width - RIGHT, y(tick), class_="grid") for tick in rows]
    parts += [svg.text(svg.tick_text(tick, rows), LEFT - 8, y(tick) + 4, "end", class_="tick") for tick in rows]
    parts += [svg.text(f"{tick:.0f}", x(tick), height - 14, "middle", class_="tick") for tick in columns]
    return [*parts, svg.text("proposal", width - RIGHT, height - 1, "end", class_="tick")]


def _levels(levels: Sequence[tuple[float, str]], y: svg.Scale, width: float) -> list[str]:
    places = svg.spread_out([y(level) + 4 for level, _ in levels], 14, TOP, y.start)
    parts = []
    for (level, name), place in zip(levels, places, strict=True):
        parts.append(svg.line(LEFT, y(level), width - RIGHT, y(level), class_=f"level {name.split()[0]}"))
        parts.append(svg.text(name, width - RIGHT + 6, place, class_="tick"))
    return parts


def _thread(child: tuple[float, float], parent: tuple[float, float]) -> str:
    (x1, y1), (x2, y2) = parent, child
    middle = (x1 + x2) / 2
    return svg.element(
        "path", d=f"M{x1:.1f},{y1:.1f} C{middle:.1f},{y1:.1f} {middle:.1f},{y2:.1f} {x2:.1f},{y2:.1f}", class_="thread"
    )


def _mark(outcome: ResearchOutcome, place: tuple[float, float], y: svg.Scale, leads: bool) -> list[str]:
    x, middle = place
    colour = "good" if outcome.accepted else "accent" if leads else "control"
    between = f" [{number(outcome.interval.low)}, {number(outcome.interval.high)}]" if outcome.interval else ""
    words = f"proposal {outcome.number}: {number(_value(outcome))}{between}"
    whisker = (
        [svg.line(x, y(outcome.interval.low), x, y(outcome.interval.high), stroke=f"var(--{colour})", class_="whisker")]
        if outcome.interval
        else []
    )
    shape = "diamond" if outcome.accepted else "circle"
    return [*whisker, svg.glyph(shape, x, middle, colour, words, hollow=not (outcome.accepted or leads), radius=4.5)]
