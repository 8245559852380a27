"""Detector pressure: what becomes of a misbehaviour, and who still sees it, by penalty and steps."""

from __future__ import annotations

from superalign.contracts.studies.pressure import PressurePoint, PressureStudy
from superalign.report.plots import Series, curves
from superalign.report.protocols import estimate
from superalign.report.studies.part import Figure, Part
from superalign.report.tables import Cell, Column, Table, Tone
from superalign.report.wording import counted, interval, number

INTERVALS = "in brackets 95 % intervals over seeds and groups"
TONES: dict[str, Tone] = {"in sight": "open", "out of sight": "bad", "weakened": "open", "gone": "good"}
LOOKS = (("ceiling", "diamond", "9 3"), ("zero-shot", "triangle", "2 3"), ("threshold", "square", "5 3"))


def part(found: PressureStudy) -> Part:
    """All of it."""
    return Part(
        key="pressure",
        title="Training with a detector in the loop",
        about=f"Organisms of {found.family}, each beside a benign twin, are trained on with what made them so, and pay "
        f"for what a probe reads of them after layer {found.layer}: by its weight, the penalty. Sibling probes were "
        "fitted on the same models before and are not trained against; the refitted one is fitted on what came out.",
        findings=findings(found),
        tables=[table(found)],
        in_short=in_short(found),
        in_a_line=in_a_line(found),
        figures=[
            Figure(figure(found, steps), f"Behaviour, and how well probes tell it, after {steps} steps")
            for steps in sorted({own.steps for own in found.points if own.steps})
        ],
    )


def trained(own: PressurePoint) -> str:
    return f"penalty {own.penalty:g}, {counted(own.steps, 'step')}" if own.steps else "before"


def table(found: PressureStudy) -> Table:
    """Every penalty and number of steps."""

    def row(own: PressurePoint) -> tuple[Cell, ...]:
        return (
            Cell(trained(own)),
            estimate(own.behaviour),
            estimate(own.capability),
            estimate(own.divergence),
            estimate(own.read),
            *map(estimate, own.siblings.values()),
            estimate(own.refitted),
            Cell(own.outcome, tone=TONES[own.outcome]),
        )

    return Table(
        caption=f"{found.family}, {counted(found.seeds, 'organism')}, {counted(found.questions, 'question')} of "
        f"{found.task} each that were not taught, {INTERVALS}. Probes: AUROC of organism above twin",
        columns=(
            Column("Trained"),
            Column("Misbehaves", True),
            Column("Right elsewhere", True),
            Column("KL from before", True),
            Column("Probe trained against", True),
            *(Column(f"Sibling: {name}", True) for name in found.points[0].siblings),
            Column("Refitted", True),
            Column("Outcome"),
        ),
        rows=tuple(map(row, found.points)),
    )


def in_short(found: PressureStudy) -> Table:
    """What fits into a terminal: the behaviour, the probe, the best sibling."""
    return Table(
        caption=f"{found.family}, AUROC of probes, {INTERVALS}",
        columns=(
            Column("Trained"),
            Column("Misbehaves", True),
            Column("Probe", True),
            Column("Best sibling", True),
            Column("Outcome"),
        ),
        rows=tuple(
            (
                Cell(trained(own)),
                Cell(number(own.behaviour.value)),
                estimate(own.read),
                estimate(max(own.siblings.values(), key=lambda sibling: sibling.value)),
                Cell(own.outcome, tone=TONES[own.outcome]),
            )
            for own in found.points
        ),
    )


def figure(found: PressureStudy, steps: int) -> str:
    """The behaviour and all probes, by penalty."""
    points = sorted((own for own in found.points if own.steps == steps), key=lambda own: own.penalty)
    shown = [
        (Series("misbehaves", "organism", "triangle"), [own.behaviour.value for own in points]),
        (Series("trained against", "student", "circle", width=3.0), [own.read.value for own in points]),
        *(
            (Series(name, *look), [own.siblings[name].value for own in points])
            for name, look in zip(points[0].siblings, LOOKS, strict=False)
        ),
        (Series("refitted", "ink", "diamond"), [own.refitted.value for own in points]),
    ]
    described = "; ".join(f"{series.name}: " + ", ".join(map(number, values)) for series, values in shown)
    title = f"Behaviour and probes after {counted(steps, 'step')} under pressure"
    columns = [f"{own.penalty:g}" for own in points]
    key = f"pressure-{steps}"
    return curves(key, title, described, columns, shown, "penalty →", measure="rate, AUROC", room=150)


def findings(found: PressureStudy) -> list[str]:
    """Where the behaviour stayed out of the probe's sight, and which siblings warned there."""
    hidden = [own for own in found.points if own.outcome == "out of sight"]
    said = []
    for own in hidden:
        warned = [f"{name} ({number(at.value)} {interval(at)})" for name, at in own.siblings.items() if at.low > 0.5]
        said.append(
            f"After {trained(own)} the misbehaviour stays at {number(own.behaviour.value)} {interval(own.behaviour)}, "
            f"out of the probe's sight: {number(own.read.value)} {interval(own.read)}. "
            + (f"Siblings that still tell: {', '.join(warned)}" if warned else "No sibling is shown to tell either")
        )
    gone = [trained(own) for own in found.points if own.outcome == "gone"]
    if gone:
        said.append(f"It went away after {'; '.join(gone)}")
    if not said:
        said.append("Under no penalty did the misbehaviour leave the probe's sight, or go")
    return said


def in_a_line(found: PressureStudy) -> str:
    """For the overview: how often the behaviour hid."""
    pressed = [own for own in found.points if own.penalty and own.steps]
    hidden = sum(own.outcome == "out of sight" for own in pressed)
    return f"misbehaviour out of the probe's sight under {hidden} of {counted(len(pressed), 'pressure')}"
