"""Over-optimization: what learned rewards are worth the further they are optimized, in tables and a figure."""

from __future__ import annotations

from superalign.contracts.records import Unscored
from superalign.contracts.studies.overoptimization import Curve, Optimizer, OveroptimizationStudy, ProxyResult
from superalign.report.plots import Series, curves
from superalign.report.protocols import difference, estimate, signed
from superalign.report.studies.part import Figure, Part
from superalign.report.tables import Cell, Column, Table
from superalign.report.wording import MISSING, counted, interval, number, percent

INTERVALS = "in brackets 95 % intervals over seeds and prompts"
WAYS: dict[Optimizer, str] = {
    "best-of-n": "Best of n",
    "reinforcement": "KL-optimal policy",
    "policy gradient": "Policy gradient",
}
STRENGTHS: dict[Optimizer, str] = {"best-of-n": "n", "reinforcement": "temperature", "policy gradient": "updates"}
LOOKS = {"outcome": ("weak", "square"), "process": ("student", "circle")}
DASHES = ("5 3", "none", "2 3", "9 3")


def part(found: OveroptimizationStudy) -> Part:
    """All of it; the terminal shows best of n."""
    return Part(
        key="overoptimization",
        title="Over-optimization of learned rewards",
        about=f"Answers of {found.steps} steps of {found.task}; the gold reward is the share that is right: "
        f"{number(found.first)} of a random answer, {number(found.best)} of the best of {found.candidates}. Rewards "
        f"are learnt from comparisons, {percent(found.noise)} of them told the wrong way round, of whole answers "
        "(outcome) or of single steps (process). Policies are exact.",
        findings=findings(found),
        tables=[scores(found, optimizer) for optimizer in WAYS] + [course(found)],
        in_short=in_short(found),
        in_a_line=in_a_line(found),
        figures=[Figure(figure(found), "Gold reward of the best of n answers, by the distance from drawing evenly")],
    )


def name(own: ProxyResult) -> str:
    return f"{own.supervised}, {counted(own.comparisons, 'comparison')}"


def how(own: ProxyResult) -> str:
    return "alone" if own.combined == "alone" else f"{own.combined} of {own.members}"


def of(own: ProxyResult, optimizer: Optimizer) -> Curve:
    return next(curve for curve in own.curves if curve.optimizer == optimizer)


def scores(found: OveroptimizationStudy, optimizer: Optimizer) -> Table:
    """What every reward gains and loses, with the fitted coefficients."""

    def row(own: ProxyResult) -> tuple[Cell, ...]:
        curve = of(own, optimizer)
        peak = curve.peak
        return (
            Cell(name(own), how(own)),
            estimate(own.agreement),
            difference(curve.gained),
            Cell(_strength(curve.best.value), f"[{_strength(curve.best.low)}, {_strength(curve.best.high)}]"),
            estimate(curve.lost),
            estimate(curve.initial),
            estimate(curve.falling),
            Cell(MISSING, peak.reason, "muted") if isinstance(peak, Unscored) else Cell(number(peak)),
        )

    strength = STRENGTHS[optimizer]
    law = "d (a - b d)" if optimizer == "best-of-n" else "d (a - b log d)"
    return Table(
        caption=f"{WAYS[optimizer]}: {counted(found.prompts, 'prompt')}, {counted(found.seeds, 'seed')}, {INTERVALS}. "
        f"Gained and lost: gold reward at the furthest strength less that at first, and at the best {strength} less "
        f"at the furthest, chosen on this data. a and b are of the gold reward gained, {law}, by d = √KL",
        columns=(
            Column("Reward"),
            Column("Agrees with gold", True),
            Column("Gained", True),
            Column(f"Best {strength}", True),
            Column("Lost after it", True),
            Column("a", True),
            Column("b", True),
            Column("Fitted peak, d", True),
        ),
        rows=tuple(row(own) for own in found.proxies if any(curve.optimizer == optimizer for curve in own.curves)),
    )


def course(found: OveroptimizationStudy) -> Table:
    """Proxy and gold reward at every strength, of rewards alone."""

    def rows(own: ProxyResult, curve: Curve) -> list[tuple[Cell, ...]]:
        return [
            (
                Cell(name(own), WAYS[curve.optimizer]),
                Cell(_strength(point.strength)),
                Cell(number(point.distance)),
                Cell(number(point.proxy)),
                estimate(point.gold),
            )
            for point in curve.points
        ]

    return Table(
        caption="Rewards alone, by strength: draws, temperature of the KL penalty, or updates; proxies in units of "
        "their spread",
        columns=(
            Column("Reward"),
            Column("Strength", True),
            Column("√KL", True),
            Column("Proxy", True),
            Column("Gold", True),
        ),
        rows=tuple(row for own in alone(found) for curve in own.curves for row in rows(own, curve)),
    )


def in_short(found: OveroptimizationStudy) -> Table:
    """What fits into a terminal."""
    return Table(
        caption=f"Best of n, {counted(found.prompts, 'prompt')}, gold reward from {number(found.first)}; {INTERVALS}",
        columns=(Column("Reward"), Column("Gained", True), Column("Lost after its peak", True)),
        rows=tuple(
            (
                Cell(f"{name(own)}, {how(own)}"),
                difference(of(own, "best-of-n").gained),
                estimate(of(own, "best-of-n").lost),
            )
            for own in found.proxies
        ),
    )


def alone(found: OveroptimizationStudy) -> list[ProxyResult]:
    return [own for own in found.proxies if own.combined == "alone"]


def figure(found: OveroptimizationStudy) -> str:
    """Gold reward by distance, a line for each reward alone."""
    shown = []
    counts = sorted({own.comparisons for own in found.proxies})
    for own in alone(found):
        colour, shape = LOOKS[own.supervised]
        series = Series(
            f"{own.supervised}, {own.comparisons}", colour, shape, DASHES[counts.index(own.comparisons) % len(DASHES)]
        )
        shown.append((series, [point.gold.value for point in of(own, "best-of-n").points]))
    columns = [number(point.distance) for point in of(alone(found)[0], "best-of-n").points]
    described = "; ".join(f"{series.name}: " + ", ".join(map(number, values)) for series, values in shown)
    return curves(
        "overoptimization", "Gold reward by √KL, best of n", described, columns, shown, "√KL →", measure="gold reward"
    )


def findings(found: OveroptimizationStudy) -> list[str]:
    """Which rewards are worth less when optimized further, and what helps, where that is shown."""
    falls = [
        f"{name(own)}, {how(own)}, {WAYS[curve.optimizer].lower()} ({signed(-curve.lost.value)} {interval(curve.lost)})"
        for own in found.proxies
        for curve in own.curves
        if curve.lost.low > 0
    ]
    said = [
        "Worth less when optimized further, after a peak that is chosen on the same data: " + "; ".join(falls)
        if falls
        else "No reward is shown to be worth less when it is optimized further than to its peak"
    ]
    best = max(found.proxies, key=lambda own: of(own, "best-of-n").gained.value)
    gained = of(best, "best-of-n").gained
    said.append(
        f"Most is gained, at the furthest, by {name(best)}, {how(best)}: {signed(gained.value)} {interval(gained)} of "
        f"{number(found.best - found.first)}"
    )
    return said


def in_a_line(found: OveroptimizationStudy) -> str:
    """For the overview: how many rewards fall."""
    falls = sum(any(curve.lost.low > 0 for curve in own.curves) for own in found.proxies)
    return f"learned rewards worth less when optimized further: {falls} of {len(found.proxies)}"


def _strength(value: float) -> str:
    """A number of candidates or updates whole, a temperature to three digits."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
