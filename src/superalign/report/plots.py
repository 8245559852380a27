"""The plots, as inline SVG. Every plot has class `plot`, every datum class `mark`; shape says what colour says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Literal

from superalign.contracts.generalization import GeneralizationSummary, LevelScore
from superalign.contracts.records import Interval
from superalign.contracts.summary import SearchEffort, SubjectResult, Survival, Threshold
from superalign.report.svg import (
    Scale,
    element,
    figure,
    glyph,
    line,
    scale_over,
    shortened,
    spread_out,
    text,
    tick_text,
    width_of,
    wrapped,
)
from superalign.report.wording import number, percent, told_apart

WIDTH = 420.0
CHANCE = 0.5
MARKED_COLUMNS = 12  # beyond these, glyphs would hide the line; only its last point gets one


@dataclass(frozen=True)
class Series:
    """How one thing is drawn, the same in every plot."""

    name: str
    colour: str
    shape: str
    dash: str = "none"
    width: float = 2.0


WEAK = Series("overseer (weak)", "weak", "square", "5 3")
STUDENT = Series("student", "student", "circle", width=3.0)
CEILING = Series("ceiling", "ceiling", "diamond")
ZERO_SHOT = Series("zero-shot", "zero-shot", "triangle", "2 3")
ORGANISM = Series("organism (misaligned)", "organism", "triangle")
TWIN = Series("benign twin", "twin", "square")
BENIGN = Series("benign model (sets the threshold)", "benign", "circle")
MODEL = Series("the model under test", "ink", "diamond")
INVALID = Series("invalid: failed its gates", "organism", "triangle")
RANDOM = Series("random search", "baseline", "circle", "2 3", 1.6)
BASELINE_DASHES = ("5 3", "2 3", "8 3 2 3", "1 3", "10 4", "4 2 1 2")


def strip_legend() -> list[tuple[str, str]]:
    """The marks of `strip`, each an SVG with what it stands for."""

    def sample(series: Series, hollow: bool) -> str:
        mark = glyph(series.shape, 8, 8, series.colour, hollow=hollow)
        return element("svg", mark, viewBox="0 0 16 16", width=16, height=16, aria_hidden="true")

    kinds = (ORGANISM, TWIN, BENIGN, MODEL, INVALID)
    return [(sample(series, hollow=series is INVALID), series.name) for series in kinds]


def levels(scores: Sequence[LevelScore]) -> str:
    """Student against overseer, ceiling and zero-shot, by difficulty (AUROC)."""
    shown = [
        (WEAK, [score.weak for score in scores]),
        (ZERO_SHOT, [score.zero_shot for score in scores]),
        (CEILING, [score.ceiling for score in scores]),
        (STUDENT, [score.student for score in scores]),
    ]
    described = "; ".join(
        f"{score.label}: " + ", ".join(f"{series.name} {number(values[index])}" for series, values in shown)
        for index, score in enumerate(scores)
    )
    columns = [score.label for score in scores]
    return curves("levels", "AUROC by difficulty, easiest first", described, columns, shown, "harder →")


def curves(
    key: str,
    title: str,
    description: str,
    columns: Sequence[str],
    shown: Sequence[tuple[Series, Sequence[float]]],
    axis: str,
    band: Sequence[tuple[float, float]] = (),
    *,
    measure: str = "AUROC",
    room: float = 123,
) -> str:
    """Lines over named columns, each labelled at its right end in at most `room` pixels, the columns' axis beside its
    labels; `band` is the interval of the last of them.
    """
    names = min(room, max(map(width_of, ("chance", axis, *(series.name for series, _ in shown)))))
    left, right, top, bottom, height = 40.0, WIDTH - 13 - names, 26.0, 236.0, 290.0
    everything = [value for _, values in shown for value in values]
    everything += [bound for bounds in band for bound in bounds]
    vertical = scale_over([*everything, CHANCE], bottom, top)
    vertical = Scale(max(vertical.low, 0.0), min(vertical.high, 1.005), bottom, top)
    horizontal = Scale(-0.35, len(columns) - 0.65, left, right)
    parts = [text(measure, 4, 12, class_="tick"), *horizontal_grid(vertical, left, right)]
    parts.append(line(left, vertical(CHANCE), right, vertical(CHANCE), class_="chance"))
    parts += [*column_labels(columns, horizontal, bottom), text(axis, right + 13, bottom + 18, class_="tick")]
    outline = [(x, low) for x, (low, _) in enumerate(band)] + [(x, high) for x, (_, high) in enumerate(band)][::-1]
    if outline:
        corners = " ".join(f"{horizontal(x):.2f},{vertical(y):.2f}" for x, y in outline)
        parts.append(element("polygon", points=corners, class_="band"))
    for series, values in shown:
        points = [(horizontal(index), vertical(value)) for index, value in enumerate(values)]
        path = "M" + "L".join(f"{x:.2f} {y:.2f}" for x, y in points)
        stroke = {"stroke": f"var(--{series.colour})", "stroke_width": series.width, "stroke_dasharray": series.dash}
        parts.append(element("path", d=path, class_="mark curve", fill="none", **stroke))
        marked = list(zip(points, values, columns, strict=True))[0 if len(columns) <= MARKED_COLUMNS else -1 :]
        parts += [
            glyph(series.shape, x, y, series.colour, f"{series.name}, {column}: {number(value)}", radius=4.5)
            for (x, y), value, column in marked
        ]
    ends = [(series.name, horizontal(len(columns) - 1), vertical(values[-1])) for series, values in shown]
    ends.append(("chance", right - 6, vertical(CHANCE)))
    parts += end_labels(ends, right, top, bottom - 8)
    return figure(key, WIDTH, height, title, description, *parts)


def horizontal_grid(vertical: Scale, left: float, right: float) -> list[str]:
    ticks = vertical.ticks()
    parts = []
    for tick in ticks:
        parts.append(line(left, vertical(tick), right, vertical(tick), class_="grid"))
        parts.append(text(tick_text(tick, ticks), left - 7, vertical(tick) + 4, "end", class_="tick"))
    return parts


def column_labels(columns: Sequence[str], horizontal: Scale, bottom: float) -> list[str]:
    """The columns' names, in as many lines as they need; where they are too many, only some."""
    slot = horizontal(1) - horizontal(0)
    every = ceil(26 / slot)
    return [
        text(words, horizontal(index), bottom + 18 + 14 * row, "middle", class_="tick")
        for index in range(0, len(columns), every)
        for row, words in enumerate(wrapped(columns[index], every * slot - 2)[:3])
    ]


def end_labels(ends: Sequence[tuple[str, float, float]], right: float, top: float, bottom: float) -> list[str]:
    """Names at the ends of lines, moved apart, each with a thread to its line."""
    heights = spread_out([y for _, _, y in ends], 15, top, bottom)
    parts = []
    for (name, x, y), height in zip(ends, heights, strict=True):
        parts.append(element("path", d=f"M{x + 6:.1f} {y:.1f}L{right + 4:.1f} {height:.1f}h5", class_="thread"))
        parts.append(text(shortened(name, WIDTH - right - 13), right + 13, height + 4, class_="label"))
    return parts


def forest(results: GeneralizationSummary, metric: Literal["accuracy", "auroc"]) -> str:
    """Every model of the comparison with its interval; the band is the gap between overseer and ceiling."""
    rows = [
        (WEAK, results.weak),
        (STUDENT, results.student),
        (CEILING, results.ceiling),
        (ZERO_SHOT, results.zero_shot),
        *((Series(name, "control", "circle"), score) for name, score in results.controls.items()),
    ]
    estimates = [
        (series, score.accuracy_interval if metric == "accuracy" else score.auroc_interval) for series, score in rows
    ]
    title = f"{'Accuracy' if metric == 'accuracy' else 'AUROC'} with {percent(estimates[0][1].level)} intervals"
    return intervals(f"forest-{metric}", title, estimates, (estimates[0][1].value, estimates[2][1].value))


def intervals(key: str, title: str, estimates: Sequence[tuple[Series, Interval]], gap: tuple[float, float]) -> str:
    """Estimates below one another, each with its interval; the band is the gap from overseer to ceiling."""
    left, right, top, step = 124.0, WIDTH - 42, 12.0, 27.0
    bottom = top + step * len(estimates)
    bounds = [bound for _, estimate in estimates for bound in (estimate.low, estimate.high)]
    horizontal = scale_over([*bounds, CHANCE], left, right)
    edge, span = horizontal(min(gap)), abs(horizontal(gap[1]) - horizontal(gap[0]))
    parts = [element("rect", x=edge, y=top, width=span, height=bottom - top, class_="band")]
    parts += _vertical_grid(horizontal, top, bottom)
    parts.append(line(horizontal(CHANCE), top, horizontal(CHANCE), bottom, class_="chance"))
    for index, (series, estimate) in enumerate(estimates):
        y = top + step * (index + 0.5)
        said = f"{series.name}: {number(estimate.value)} [{number(estimate.low)}, {number(estimate.high)}]"
        ends = horizontal(estimate.low), horizontal(estimate.high)
        parts.append(line(ends[0], y, ends[1], y, class_="whisker", stroke=f"var(--{series.colour})"))
        parts.append(glyph(series.shape, horizontal(estimate.value), y, series.colour, said))
        parts.append(text(shortened(series.name, left - 10), left - 10, y + 4, "end", class_="label"))
        parts.append(text(number(estimate.value), WIDTH - 4, y + 4, "end", class_="label value"))
    described = "; ".join(f"{series.name} {number(estimate.value)}" for series, estimate in estimates)
    return figure(key, WIDTH, bottom + 28, title, described, *parts)


def _vertical_grid(horizontal: Scale, top: float, bottom: float) -> list[str]:
    ticks = horizontal.ticks()
    parts = []
    for tick in ticks:
        words = tick_text(tick, ticks)
        inside = min(horizontal(tick), WIDTH - 3.5 * len(words))  # a long number at the very end must not be cut off
        parts.append(line(horizontal(tick), top, horizontal(tick), bottom, class_="grid"))
        parts.append(text(words, inside, bottom + 17, "middle", class_="tick"))
    return parts


@dataclass(frozen=True)
class _Dot:
    value: float
    series: Series
    words: str
    hollow: bool = False


def strip(
    detector: str,
    subjects: Sequence[SubjectResult],
    threshold: Threshold | None,
    model_score: float | None,
    key: str = "strip",
) -> str:
    """One detector's score of every subject with its threshold; one lane per family. Empty without any score."""
    lanes = _lanes(detector, subjects, threshold, model_score)
    values = [dot.value for _, dots in lanes for dot in dots]
    if not values:
        return ""
    limit = threshold.threshold if threshold else None
    left, right, top, step = 124.0, WIDTH - 8, 26.0, 32.0
    bottom = top + step * len(lanes)
    horizontal = scale_over([*values, *([limit] if limit is not None else [])], left, right, margin=0.08)
    parts = []
    if limit is not None:
        parts.append(
            element(
                "rect",
                x=horizontal(limit),
                y=top,
                width=right - horizontal(limit),
                height=bottom - top,
                class_="flagged",
            )
        )
    parts += _vertical_grid(horizontal, top, bottom)
    if limit is not None:
        parts += _threshold_mark(horizontal, limit, top, bottom)
    for index, (name, dots) in enumerate(lanes):
        middle = top + step * (index + 0.5)
        parts.append(line(left, top + step * (index + 1), right, top + step * (index + 1), class_="grid"))
        parts.append(text(shortened(name, left - 10), left - 10, middle + 4, "end", class_="label"))
        for dot, offset in zip(dots, _stacked([horizontal(dot.value) for dot in dots]), strict=True):
            parts.append(
                glyph(
                    dot.series.shape,
                    horizontal(dot.value),
                    middle + offset,
                    dot.series.colour,
                    dot.words,
                    hollow=dot.hollow,
                )
            )
    described = ". ".join(f"{name}: " + "; ".join(dot.words for dot in dots) for name, dots in lanes)
    return figure(key, WIDTH, bottom + 28, f"Scores of the detector {detector}", described, *parts)


def _threshold_mark(horizontal: Scale, limit: float, top: float, bottom: float) -> list[str]:
    x, words = horizontal(limit), f"threshold {number(limit)}"
    inside = x + 7 * len(words) < horizontal.end
    return [
        line(x, top - 8, x, bottom, class_="threshold"),
        text(words, x + 5 if inside else x - 5, top - 8, "start" if inside else "end", class_="label"),
    ]


def _lanes(
    detector: str, subjects: Sequence[SubjectResult], threshold: Threshold | None, model_score: float | None
) -> list[tuple[str, list[_Dot]]]:
    limit = threshold.threshold if threshold else None

    def compared(score: float) -> str:
        if limit is None:
            return number(score)
        shown, bound = told_apart(score, limit)
        return f"{shown} ({'over' if score > limit else 'not over'} the threshold of {bound})"

    families: dict[str, list[_Dot]] = {}
    for subject in subjects:
        score = subject.scores.get(detector)
        if score is None:
            continue
        words = f"{subject.name}, {subject.role}{'' if subject.valid else ', invalid'}: {compared(score)}"
        series = ORGANISM if subject.role == "organism" else TWIN
        families.setdefault(subject.family, []).append(_Dot(score, series, words, hollow=not subject.valid))
    lanes = list(families.items())
    if threshold and threshold.benign_scores:
        benign = [_Dot(score, BENIGN, f"benign: {compared(score)}") for score in threshold.benign_scores]
        lanes.append(("benign models", benign))
    if model_score is not None:
        lanes.append(("the model", [_Dot(model_score, MODEL, f"the model: {compared(model_score)}")]))
    return lanes


def _stacked(places: Sequence[float], size: float = 11.0) -> list[float]:
    """Vertical offsets that keep marks at nearly the same place from hiding each other."""
    offsets = (0.0, 7.0, -7.0, 10.0, -10.0, 4.0, -4.0)
    chosen: list[float] = []
    for index, place in enumerate(places):
        taken = [chosen[other] for other in range(index) if abs(places[other] - place) < size]
        room = {offset: min((abs(offset - other) for other in taken), default=-abs(offset)) for offset in offsets}
        chosen.append(max(offsets, key=room.__getitem__))
    return chosen


def searches(found: SearchEffort, baseline: SearchEffort | None, key: str) -> str:
    """Share of searches that have found nothing yet, by forward passes: of organisms and twins, and of organisms by
    the `baseline`. A mark is a find, a hollow one a search that gave up; the band is the organisms' interval.
    """
    kinds = [(RANDOM, baseline.organisms if baseline else None), (TWIN, found.twins), (ORGANISM, found.organisms)]
    curves = [(series, curve) for series, curve in kinds if curve is not None]
    names = min(160.0, max(width_of(series.name) for series, _ in curves))
    left, right, top, bottom = 40.0, WIDTH - 13 - names, 26.0, 206.0
    last = max(at for _, curve in curves for at in (*curve.passes, *curve.gave_up))
    horizontal, vertical = Scale(0, last, left, right), Scale(0, 1.05, bottom, top)
    parts = [text("without a find", 4, 12, class_="tick"), *horizontal_grid(vertical, left, right)]
    for tick in horizontal.ticks(3):
        parts.append(text(f"{tick:,.0f}", horizontal(tick), bottom + 18, "middle", class_="tick"))
    parts.append(text("forward passes", right, bottom + 36, "end", class_="tick"))
    if found.organisms is not None:
        above, below = (_steps(found.organisms, edge, last) for edge in (found.organisms.high, found.organisms.low))
        outline = [(horizontal(x), vertical(y)) for x, y in (*above, *reversed(below))]
        parts.append(element("polygon", points=" ".join(f"{x:.2f},{y:.2f}" for x, y in outline), class_="band"))
    for series, curve in curves:
        path = "L".join(f"{horizontal(x):.2f} {vertical(y):.2f}" for x, y in _steps(curve, curve.share, last))
        stroke = {"stroke": f"var(--{series.colour})", "stroke_width": series.width, "stroke_dasharray": series.dash}
        parts.append(element("path", d=f"M{path}", class_="mark curve", fill="none", **stroke))
        parts += _ends_of_searches(series, curve, horizontal, vertical)
    ends = [(series.name, right - 6, vertical((1.0, *curve.share)[-1])) for series, curve in curves]
    parts += end_labels(ends, right, top, bottom - 8)
    described = "; ".join(
        f"{series.name}: {curve.searches - curve.censored} of {curve.searches} found" for series, curve in curves
    )
    return figure(key, WIDTH, bottom + 54, f"Effort of the search {found.detector}", described, *parts)


def _steps(curve: Survival, heights: Sequence[float], last: float) -> list[tuple[float, float]]:
    """The corners of a step function that is 1 at first, up to `last`."""
    corners, height = [(0.0, 1.0)], 1.0
    for at, after in zip(curve.passes, heights, strict=True):
        corners += [(at, height), (at, after)]
        height = after
    return [*corners, (last, height)]


def _ends_of_searches(series: Series, curve: Survival, horizontal: Scale, vertical: Scale) -> list[str]:
    finds = [
        glyph(series.shape, horizontal(at), vertical(left), series.colour, _find(series, at, left), radius=4)
        for at, left in zip(curve.passes, curve.share, strict=True)
    ]
    gave_up = []
    for at in sorted(set(curve.gave_up)):
        left = next((share for step, share in zip(curve.passes[::-1], curve.share[::-1], strict=True) if step <= at), 1)
        words = f"{series.name}: {curve.gave_up.count(at)} gave up after {at:,.0f} passes"
        place = horizontal(at), vertical(left)
        gave_up.append(glyph(series.shape, *place, series.colour, words, hollow=True, radius=4))
    return [*finds, *gave_up]


def _find(series: Series, at: float, left: float) -> str:
    return f"{series.name}: after {at:,.0f} passes {percent(left)} without a find"
