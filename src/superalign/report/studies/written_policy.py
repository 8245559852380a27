"""Policies that write their own text against learned rewards: tables, and gold and proxy reward by distance."""

from __future__ import annotations

from superalign.contracts.records import Unscored
from superalign.contracts.studies.overoptimization import Curve
from superalign.contracts.studies.written_policy import RewardResult, TrainedPolicy, WrittenPolicyStudy
from superalign.report import charts
from superalign.report.protocols import difference, estimate, signed
from superalign.report.studies.part import Figure, Part
from superalign.report.tables import Cell, Column, Table
from superalign.report.wording import MISSING, counted, interval, number, percent

INTERVALS = "in brackets 95 % intervals over seeds and prompts"


def part(found: WrittenPolicyStudy) -> Part:
    """All of it."""
    captions = {
        "gold": "Gold reward by the distance from the first policy",
        "proxy": "What the proxies make of the same texts, each in units of its spread at first",
    }
    return Part(
        key="written-policy",
        title="Over-optimization of what a policy writes",
        about=f"The model names four cities of a country, at temperature {found.temperature:g}; the gold reward is the "
        f"share that is right, {number(found.first.value)} {interval(found.first)} at first. Rewards are learnt from "
        f"{counted(found.comparisons, 'comparison')} of such texts, {percent(found.noise)} of them told the wrong way "
        "round: of whole texts (outcome) or of single names (process). Policies are trained by GRPO with TRL, "
        f"{counted(found.steps, 'step')} of {counted(found.batch, 'text')}, and measured on other countries.",
        findings=findings(found),
        tables=[scores(found), course(found), examples(found)] if results(found) else [in_short(found)],
        in_short=in_short(found),
        in_a_line=in_a_line(found),
        figures=[Figure(figure(found, what), words) for what, words in captions.items() if results(found)],
    )


def results(found: WrittenPolicyStudy) -> tuple[RewardResult, ...]:
    return () if isinstance(found.rewards, Unscored) else found.rewards


def name(own: RewardResult) -> str:
    return own.supervised if own.combined == "alone" else f"{own.combined} of {own.members}"


def curves(own: RewardResult) -> list[tuple[str, Curve]]:
    """By the way in which the reward is optimized."""
    return [(f"best of n \N{LESS-THAN OR EQUAL TO} {best(own):g}", own.best_of), *map(way, own.trained)]


def best(own: RewardResult) -> float:
    return own.best_of.points[-1].strength


def way(own: TrainedPolicy) -> tuple[str, Curve]:
    return f"GRPO, beta {own.beta:g}", own.curve


def scores(found: WrittenPolicyStudy) -> Table:
    """What every reward gains and loses, with the fitted coefficients."""

    def row(own: RewardResult, how: str, curve: Curve) -> tuple[Cell, ...]:
        last, peak = curve.points[-1], curve.peak
        return (
            Cell(name(own), how),
            estimate(own.agreement),
            Cell(number(last.distance)),
            Cell(signed(last.proxy - curve.points[0].proxy)),
            difference(curve.gained),
            Cell(f"{curve.best.value:g}", f"[{curve.best.low:g}, {curve.best.high:g}]"),
            estimate(curve.lost),
            estimate(curve.initial),
            estimate(curve.falling),
            Cell(MISSING, peak.reason, "muted") if isinstance(peak, Unscored) else Cell(number(peak)),
        )

    return Table(
        caption=f"{counted(found.prompts, 'prompt')}, {counted(found.seeds, 'seed')}, {INTERVALS}. Proxy and gold "
        "gained: at the furthest less that at first, of the proxy in units of its spread. Lost: gold reward at the "
        "best n or step, chosen on this data, less that at the furthest. a and b are of the gold reward gained, "
        "d (a - b d) for best of n and d (a - b log d) for GRPO, by d = √KL",
        columns=(
            Column("Reward"),
            Column("Agrees with gold", True),
            Column("Furthest √KL", True),
            Column("Proxy gained", True),
            Column("Gold gained", True),
            Column("Best n or step", True),
            Column("Lost after it", True),
            Column("a", True),
            Column("b", True),
            Column("Fitted peak, d", True),
        ),
        rows=tuple(row(own, *curve) for own in results(found) for curve in curves(own)),
    )


def course(found: WrittenPolicyStudy) -> Table:
    """Every policy that was trained, on its way."""

    def rows(own: RewardResult, policy: TrainedPolicy) -> list[tuple[Cell, ...]]:
        return [
            (
                Cell(name(own), way(policy)[0]),
                Cell(f"{point.strength:g}"),
                estimate(moved),
                Cell(number(point.distance)),
                Cell(number(point.proxy)),
                estimate(point.gold),
                Cell(number(names)),
            )
            for point, moved, names in zip(policy.curve.points, policy.divergence, policy.names, strict=True)
        ]

    return Table(
        caption=f"Policies on their way, {counted(found.written, 'text')} to each prompt at each point, "
        f"{counted(found.pool, 'text')} of the first policy; {INTERVALS}",
        columns=(
            Column("Reward"),
            Column("Step", True),
            Column("KL, nats", True),
            Column("√KL", True),
            Column("Proxy", True),
            Column("Gold", True),
            Column("Names in a text", True),
        ),
        rows=tuple(row for own in results(found) for policy in own.trained for row in rows(own, policy)),
    )


def examples(found: WrittenPolicyStudy) -> Table:
    """What each policy writes at last."""
    return Table(
        caption="A text of each policy after its last step: the first to the first prompt, whatever it is",
        columns=(Column("Reward"), Column("Text")),
        rows=tuple(
            (Cell(name(own), way(policy)[0]), Cell(policy.example or MISSING))
            for own in results(found)
            for policy in own.trained
        ),
    )


def in_short(found: WrittenPolicyStudy) -> Table:
    """What fits into a terminal."""
    return Table(
        caption=f"{counted(found.prompts, 'prompt')}, gold reward from {number(found.first.value)}; {INTERVALS}",
        columns=(Column("Reward"), Column("√KL", True), Column("Gold gained", True), Column("Lost after peak", True)),
        rows=tuple(
            (
                Cell(f"{name(own)}; {how}"),
                Cell(number(curve.points[-1].distance)),
                difference(curve.gained),
                estimate(curve.lost),
            )
            for own in results(found)
            for how, curve in curves(own)
        ),
    )


def figure(found: WrittenPolicyStudy, what: str) -> str:
    """Gold or proxy reward by distance: a line for each policy that was trained, and one for best of n of the first
    reward.
    """
    first = results(found)[0]
    lines = [(f"best of n; {name(first)}", first.best_of)]
    lines += [(f"{how}; {name(own)}", curve) for own in results(found) for how, curve in map(way, own.trained)]
    shown = [
        charts.Curve(
            words,
            [point.distance for point in curve.points],
            [point.gold.value if what == "gold" else point.proxy for point in curve.points],
        )
        for words, curve in lines
    ]
    title = f"{what.capitalize()} reward by √KL"
    return charts.curves(f"written-policy-{what}", title, shown, x="√KL", y=f"{what} reward")


def findings(found: WrittenPolicyStudy) -> list[str]:
    """Which rewards are worth less when optimized further, and what helps, where that is shown."""
    if isinstance(found.rewards, Unscored):
        return [f"Not measured: {found.rewards.reason}"]
    every = [(f"{name(own)}, {how}", curve) for own in found.rewards for how, curve in curves(own)]
    falls = [
        f"{words} (by {curve.lost.value:.2f} {interval(curve.lost)})" for words, curve in every if curve.lost.low > 0
    ]
    said = [
        "Worth less when optimized further, after a peak that is chosen on the same data: " + "; ".join(falls)
        if falls
        else "No reward is shown to be worth less when it is optimized further than to its peak"
    ]
    apart = [
        f"{words} (proxy {signed(curve.points[-1].proxy - curve.points[0].proxy)}, gold {signed(curve.gained.value)} "
        f"{interval(curve.gained)})"
        for words, curve in every
        if curve.points[-1].proxy > curve.points[0].proxy and curve.gained.high < 0
    ]
    if apart:
        said.append(
            "At the furthest the proxy is above where it began, and gold shown to be below: " + "; ".join(apart)
        )
    words, curve = max(every, key=lambda one: one[1].gained.value)
    said.append(f"Most is gained, at the furthest, by {words}: {signed(curve.gained.value)} {interval(curve.gained)}")
    return said


def in_a_line(found: WrittenPolicyStudy) -> str:
    """For the overview: how many policies fall."""
    if isinstance(found.rewards, Unscored):
        return "written texts: not measured"
    every = [policy.curve for own in found.rewards for policy in own.trained]
    return f"policies worth less when trained further: {sum(curve.lost.low > 0 for curve in every)} of {len(every)}"
