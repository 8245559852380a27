"""Protocols of oversight side by side: tables, a figure by level, what helped in words, and hearings to read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle

from superalign.contracts.oversight import (
    Comparison,
    Estimate,
    Hearing,
    ProtocolResult,
    StudentScore,
    TaskComparison,
)
from superalign.contracts.records import Cost, Interval, Unscored
from superalign.report.plots import Series, curves
from superalign.report.tables import Cell, Column, Table, Tone
from superalign.report.wording import MINUS, MISSING, SPACE, counted, duration, interval, number

BASELINES = {
    "direct": Series("direct", "weak", "square", "5 3"),
    "consultancy": Series("consultancy", "baseline", "triangle", "2 3"),
}
COLOURS = ("student", "ceiling", "threshold", "zero-shot", "open", "ink")
SHAPES = ("circle", "diamond", "triangle", "square")
INTERVALS = "in brackets 95 % intervals over seeds and groups, differences paired by question"
LEANING = 0.1  # by which AUROC is ahead of accuracy where probabilities lean to one side
PASSES = "Passes per right judgement"
SHOWN_OPEN = ("debate", "critique")  # whose hearings on the first task are read without a click
JUDGES = {
    "embedded": "the run's model, taught by those labels",
    "scripted": "a program that understands each line it is shown, but errs about some",
}
EXPERTS = {
    "embedded": "the same model, taught apart by the same labels",
    "scripted": "a program that understands every line",
}


def who_played(found: Comparison) -> str:
    """Who judged and who argued, in a sentence."""
    return (
        f"The judge is {JUDGES.get(found.judge, found.judge)}; the expert, who reads all of the evidence and argues "
        f"before it, is {EXPERTS.get(found.expert, found.expert)}"
    )


def compared(found: TaskComparison) -> Table:
    """Each protocol's accuracy, what it adds to the baselines, and what a right judgement costs."""

    def row(own: ProtocolResult) -> tuple[Cell, ...]:
        left = f"{own.unscored:,} of {own.judged + own.unscored:,} unscored" if own.unscored else ""
        return (
            Cell(own.protocol, left),
            estimate(own.accuracy),
            difference(own.over_direct),
            difference(own.over_consultancy),
            estimate(own.auroc),
            Cell(MISSING, own.per_correct.reason, "muted")
            if isinstance(own.per_correct, Unscored)
            else Cell(f"{own.per_correct.forward_passes:,}", human(own.per_correct)),
        )

    empty = Cell("")
    return Table(
        caption=f"{found.task}: {counted(found.questions, 'question')} beyond the level of the labels, {INTERVALS}",
        columns=(
            Column("Protocol"),
            Column("Accuracy", True),
            Column(f"{MINUS} direct", True),
            Column(f"{MINUS} consultancy", True),
            Column("AUROC", True),
            Column(PASSES, True),
        ),
        rows=(
            *map(row, found.protocols),
            (
                Cell("the expert itself", "having read everything"),
                estimate(found.expert_accuracy),
                *[empty] * 2,
                estimate(found.expert_auroc),
                empty,
            ),
            (
                Cell("question-blind", "from the wording alone"),
                *[empty] * 3,
                estimate(found.question_blind_auroc),
                empty,
            ),
        ),
    )


def measured(found: TaskComparison) -> Table:
    """Whether probabilities mean what they say, whether honesty pays, and all costs."""

    def row(own: ProtocolResult) -> tuple[Cell, ...]:
        return (
            Cell(own.protocol),
            estimate(own.brier),
            estimate(own.calibration_error),
            difference(own.asd),
            estimate(own.incentive_gap),
            Cell(f"{own.cost.forward_passes:,}", f"{own.cost.tokens:,} tokens, {duration(own.cost.seconds)}"),
            Cell(f"{own.learning.forward_passes:,}", duration(own.learning.seconds)),
        )

    return Table(
        caption=f"{found.task}: probabilities, incentives and costs. ASD: how much more the judge believes a side if "
        "it is true. Incentive gap: how much more the better side pays than the true one; 0 where honesty always pays. "
        "Learning is what a protocol would take by itself: the judge is taught once for all",
        columns=(
            Column("Protocol"),
            Column("Brier", True),
            Column("Calibration error", True),
            Column("ASD", True),
            Column("Incentive gap", True),
            Column("Passes to judge", True),
            Column("Passes to learn", True),
        ),
        rows=tuple(map(row, found.protocols)),
    )


def by_level(found: TaskComparison) -> Table:
    """Accuracy at each level, with intervals."""
    levels = [level.label for level in found.protocols[0].levels]
    return Table(
        caption=f"{found.task}: accuracy by level, in brackets 95 % intervals",
        columns=(Column("Protocol"), *(Column(label, True) for label in levels)),
        rows=tuple(
            (Cell(own.protocol), *(estimate(level.accuracy) for level in own.levels)) for own in found.protocols
        ),
    )


def students(found: TaskComparison) -> Table | None:
    """What models are worth that learnt from each protocol's labels; None where none were trained."""
    learnt = [(own.protocol, own.accuracy, own.student) for own in found.protocols if own.student]
    if not (learnt and found.ceiling):
        return None
    judge = {name: accuracy for name, accuracy, _ in learnt}

    def row(name: str, own: StudentScore) -> tuple[Cell, ...]:
        return (
            Cell(name),
            estimate(judge[name]) if name in judge else Cell(""),
            estimate(own.accuracy),
            difference(own.over_direct),
            estimate(own.auroc),
            Cell(f"{own.labels:,}"),
        )

    return Table(
        caption=f"{found.task}: models that learnt from each protocol's labels for other questions, and read all of "
        f"the evidence; by the truth, {INTERVALS}",
        columns=(
            Column("Labels by"),
            Column("Judge's accuracy", True),
            Column("Student's accuracy", True),
            Column(f"{MINUS} direct", True),
            Column("AUROC", True),
            Column("Labels", True),
        ),
        rows=(*(row(name, own) for name, _, own in learnt), row("the truth", found.ceiling)),
    )


def in_short(found: TaskComparison) -> Table:
    """What fits into a terminal: accuracy, what it adds to direct, and what a right judgement costs."""

    def row(own: ProtocolResult) -> tuple[Cell, ...]:
        over = Cell(MISSING) if isinstance(own.over_direct, Unscored) else difference(own.over_direct)
        passes = MISSING if isinstance(own.per_correct, Unscored) else f"{own.per_correct.forward_passes:,}"
        return (Cell(own.protocol), estimate(own.accuracy), over, Cell(passes))

    return Table(
        caption=f"{counted(found.questions, 'question')} beyond the level of the labels, {INTERVALS}; passes per right "
        "judgement",
        columns=(Column("Protocol"), Column("Accuracy", True), Column(f"{MINUS} direct", True), Column("Passes", True)),
        rows=tuple(map(row, found.protocols)),
    )


def levels(found: TaskComparison, key: str) -> str:
    """Accuracy by level, a line for each protocol that has one."""
    series = series_of([own.protocol for own in found.protocols])
    shown = [
        (series[own.protocol], [level.accuracy.value for level in own.levels if isinstance(level.accuracy, Interval)])
        for own in found.protocols
        if all(isinstance(level.accuracy, Interval) for level in own.levels)
    ]
    if not shown:
        return ""
    columns = [level.label for level in found.protocols[0].levels]
    described = "; ".join(
        f"{one.name}: " + ", ".join(f"{label} {number(value)}" for label, value in zip(columns, values, strict=True))
        for one, values in shown
    )
    title = f"Accuracy on {found.task} by level"
    return curves(key, title, described, columns, shown, "harder →", measure="accuracy", room=170)


def series_of(protocols: Sequence[str]) -> dict[str, Series]:
    """How each is drawn: the baselines always alike, all others apart from each other."""
    others = [name for name in protocols if name not in BASELINES]
    looks = zip(others, cycle(COLOURS), cycle(SHAPES), strict=False)
    dashes = ["none" if place < len(COLOURS) else "9 3" for place in range(len(others))]
    drawn = {name: Series(name, colour, shape, dash) for (name, colour, shape), dash in zip(looks, dashes, strict=True)}
    return BASELINES | drawn


def findings(found: TaskComparison) -> list[str]:
    """Which protocols helped, which were not shown to, and what else to know, a sentence each."""
    over = [(own, own.over_direct) for own in found.protocols if isinstance(own.over_direct, Interval)]
    kinds = {
        "Better than direct": [(own, gain) for own, gain in over if gain.low > 0],
        "Did not help, as far as this shows": [(own, gain) for own, gain in over if gain.low <= 0 <= gain.high],
        "Worse than direct": [(own, gain) for own, gain in over if gain.high < 0],
    }
    said = [
        f"{kind}: " + ", ".join(f"{own.protocol} ({signed(gain.value)} {interval(gain)})" for own, gain in those)
        for kind, those in kinds.items()
        if those
    ]
    said += [
        f"{own.protocol} tells right from wrong better than it decides: AUROC {number(own.auroc.value)} "
        f"{interval(own.auroc)}, accuracy {number(own.accuracy.value)} {interval(own.accuracy)}. Its judge leans to "
        "one side, which another threshold would mend"
        for own in found.protocols
        if isinstance(own.auroc, Interval)
        and isinstance(own.accuracy, Interval)
        and own.auroc.low > own.accuracy.high + LEANING
    ]
    said += [
        f"{own.protocol} left {own.unscored:,} of {own.judged + own.unscored:,} questions unscored: "
        + "; ".join(f"{reason} ({times:,})" for reason, times in own.reasons.items())
        for own in found.protocols
        if own.unscored
    ]
    blind = found.question_blind_auroc
    if blind.low > 0.5:
        said.append(
            f"The wording of {found.task} gives answers away: without reading all of a question one scores an AUROC of "
            f"{number(blind.value)} {interval(blind)}"
        )
    return said


def in_a_line(found: Comparison) -> str:
    """For the overview: how often a protocol is better than direct."""
    over = [own.over_direct for task in found.tasks for own in task.protocols if isinstance(own.over_direct, Interval)]
    tasks = f", over {counted(len(found.tasks), 'task')}" if len(found.tasks) > 1 else ""
    return f"protocols better than direct: {sum(gain.low > 0 for gain in over)} of {len(over)}{tasks}"


@dataclass(frozen=True)
class Turn:
    """What one party said in a hearing."""

    who: str
    said: str
    judge: bool = False


def turns(hearing: Hearing) -> Iterator[Turn]:
    """The hearing turn by turn: who plays whom, the question, what was shown and said by whom, the judge."""
    cast, question, *others = hearing.transcript
    yield Turn("who plays whom", cast.content)
    yield Turn("the question", question.content)
    for message in others:
        who, named, said = message.content.partition(":\n")
        if message.role == "assistant":
            yield Turn("the judge", message.content, judge=True)
        else:
            yield Turn(who, said) if named else Turn("shown", message.content)


def came_out(hearing: Hearing) -> str:
    """Whether the judge was right, and what is true."""
    return f"{'Right' if hearing.right else 'Wrong'}: the true answer is {'yes' if hearing.truth else 'no'}."


def estimate(found: Estimate) -> Cell:
    if isinstance(found, Unscored):
        return Cell(MISSING, found.reason, "muted")
    return Cell(number(found.value), interval(found))


def difference(found: Estimate) -> Cell:
    """With its sign, and a colour where its interval excludes 0."""
    if isinstance(found, Unscored):
        return Cell(MISSING, found.reason, "muted")
    tone: Tone = "good" if found.low > 0 else "bad" if found.high < 0 else ""
    return Cell(signed(found.value), interval(found), tone)


def signed(value: float) -> str:
    return f"{'+' if number(value) != number(-value) and value > 0 else ''}{number(value)}"


def human(cost: Cost) -> str:
    return f"{duration(cost.human_seconds)}{SPACE}of human time" if cost.human_seconds else ""
