"""Easy-to-hard: accuracy by level, how much of what hard labels bring easy ones recover, and what of it holds."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import cycle

from superalign.contracts.generalization import PGR
from superalign.contracts.records import Unscored
from superalign.contracts.studies.easy_to_hard import EasyToHard, RoleLevels
from superalign.report.plots import CEILING, ZERO_SHOT, Series
from superalign.report.protocols import COLOURS, SHAPES, estimate
from superalign.report.studies.course import course
from superalign.report.studies.losses import recovered
from superalign.report.studies.part import Figure, Part
from superalign.report.tables import Cell, Column, Table
from superalign.report.wording import MISSING, counted, number, percent

OWN = Series("the level's own labels", CEILING.colour, CEILING.shape)
INTERVALS = "in brackets 95 % intervals over seeds and groups"


def part(found: EasyToHard) -> Part:
    """All of it; the terminal shows the evaluator that was taught the easiest level."""
    roles = [own for own in (found.evaluator, found.chooser, found.generator) if isinstance(own, RoleLevels)]
    return Part(
        key="easy-to-hard",
        title="Easy-to-hard",
        about=f"Models were taught the truth of {counted(found.train_groups, 'group')} of {found.task} each, of easy "
        f"levels or of the level that is tested, in {counted(found.seeds, 'seed')}. The evaluator says of an answer "
        "whether it is right; the generator is asked which of two is right; the choosing evaluator chooses between the "
        "same two. SGR is the share of what labels of the tested level bring that easier ones bring too.",
        findings=list(findings(found)),
        tables=[table for own in roles for table in (accuracies(found, own), recoveries(found, own))],
        in_short=in_short(found),
        in_a_line=f"easy-to-hard, SGR at the hardest level: {in_words(found.evaluator.up_to[0].recovered[-1])}",
        figures=[by_level(found, own) for own in roles],
    )


def up_to(found: EasyToHard, level: int) -> str:
    """What a model was taught, in words."""
    return found.level_names[0] if level == 0 else f"up to {found.level_names[level]}"


def accuracies(found: EasyToHard, own: RoleLevels) -> Table:
    """Every kind of models at every level."""
    rows = [
        (Cell("nothing", "zero-shot"), *map(estimate, own.zero_shot)),
        *((Cell(up_to(found, kind.level)), *map(estimate, kind.accuracy)) for kind in own.up_to),
        (Cell(OWN.name), *map(estimate, own.own_level)),
    ]
    return Table(
        caption=f"The {own.role}: accuracy at each level, {INTERVALS}",
        columns=(Column("Taught"), *(Column(name, True) for name in found.level_names)),
        rows=tuple(rows),
    )


def recoveries(found: EasyToHard, own: RoleLevels) -> Table:
    """SGR at each level above those that were taught."""
    return Table(
        caption=f"The {own.role}: supervision gap recovered (SGR), {INTERVALS}; a dash where the gap may be nothing",
        columns=(Column("Taught"), *(Column(name, True) for name in found.level_names[1:])),
        rows=tuple(
            (Cell(up_to(found, kind.level)), *[Cell("")] * kind.level, *map(recovered, kind.recovered))
            for kind in own.up_to
        ),
    )


def in_short(found: EasyToHard) -> Table:
    """The evaluator that was taught the easiest level, at all others."""
    own = found.evaluator
    easiest = own.up_to[0]
    return Table(
        caption=f"Accuracy of evaluators taught {found.level_names[0]}, and SGR; {INTERVALS}",
        columns=(
            Column("Tested on"),
            Column("Zero-shot", True),
            Column("Easiest", True),
            Column("Own level", True),
            Column("SGR", True),
        ),
        rows=tuple(
            (
                Cell(found.level_names[level]),
                Cell(number(own.zero_shot[level].value)),
                Cell(number(easiest.accuracy[level].value)),
                Cell(number(own.own_level[level].value)),
                recovered(ratio) if ratio.defined else Cell(MISSING),
            )
            for level, ratio in enumerate(easiest.recovered, start=1)
        ),
    )


def by_level(found: EasyToHard, own: RoleLevels) -> Figure:
    """A line for each kind of models."""
    looks = zip(own.up_to, cycle(COLOURS[:1] + COLOURS[2:3] + COLOURS[4:]), cycle(SHAPES), strict=False)
    shown = [
        (ZERO_SHOT, own.zero_shot),
        (OWN, own.own_level),
        *((Series(up_to(found, kind.level), colour, shape), kind.accuracy) for kind, colour, shape in looks),
    ]
    svg = course(
        f"easy-to-hard-{own.role.replace(' ', '-')}",
        f"Accuracy of the {own.role} by level, by what was taught",
        found.level_names,
        shown,
        measure="accuracy",
        axis="harder →",
        lines=((0.5, "chance"),),
    )
    return Figure(svg, f"The {own.role}: accuracy by level, a line for each choice of levels that were taught.")


def findings(found: EasyToHard) -> Iterator[str]:
    """What the easiest labels bring at the hardest level, for each role; what is not defined, and why."""
    for name, own in (("evaluator", found.evaluator), ("chooser", found.chooser), ("generator", found.generator)):
        if isinstance(own, Unscored):
            yield f"There is no {name}: {own.reason}"
            continue
        ratio = own.up_to[0].recovered[-1]
        if ratio.defined:
            yield (
                f"Taught {found.level_names[0]} alone, the {own.role} recovers {in_words(ratio)} of what labels of "
                f"{found.level_names[-1]} bring there"
            )
        else:
            yield f"The {own.role} has no SGR at {found.level_names[-1]}: {ratio.reason}"
        ratios = [one for kind in own.up_to for one in kind.recovered]
        lost = sum(not one.defined for one in ratios)
        if lost > 0:
            yield f"Of {len(ratios)} SGR of the {own.role}, {lost} are undefined"
        if own.role == "generator" and own.undecided:
            share = percent(own.undecided / own.answers)
            yield f"Generators named neither of two answers, or both, {share} of the time, which counts as half right"


def in_words(ratio: PGR) -> str:
    """With its interval."""
    if ratio.value is None or ratio.low is None or ratio.high is None:
        return "undefined"
    return f"{number(ratio.value)} [{number(ratio.low)}, {number(ratio.high)}]"
