"""The course of estimates over generations or levels, each with its interval, as inline SVG."""

from __future__ import annotations

from collections.abc import Sequence

from superalign.contracts.oversight import Estimate
from superalign.contracts.records import Interval
from superalign.report.plots import WIDTH, Series, column_labels, end_labels, horizontal_grid
from superalign.report.svg import Scale, element, figure, glyph, line, scale_over, text, width_of
from superalign.report.wording import interval, number

ROOM = 150.0  # pixels for names at the right end
APART = 0.07  # of a column, by which the marks of two lines stand apart


def course(
    key: str,
    title: str,
    columns: Sequence[str],
    shown: Sequence[tuple[Series, Sequence[Estimate]]],
    *,
    measure: str,
    axis: str,
    lines: Sequence[tuple[float, str]] = (),
) -> str:
    """A line with whiskers for each series over the columns; what is unscored is left out. `lines` are values to
    compare with, by their names. Nothing where nothing is scored.
    """
    scored = [
        (series, [(at, own) for at, own in enumerate(values) if isinstance(own, Interval)]) for series, values in shown
    ]
    scored = [(series, values) for series, values in scored if values]
    if not scored:
        return ""
    names = min(ROOM, max(map(width_of, (axis, *(series.name for series, _ in scored), *(name for _, name in lines)))))
    left, right, top, bottom, height = 40.0, WIDTH - 13 - names, 26.0, 236.0, 290.0
    bounds = [bound for _, values in scored for _, own in values for bound in (own.low, own.high)]
    vertical = scale_over([*bounds, *(value for value, _ in lines)], bottom, top)
    horizontal = Scale(-0.35, len(columns) - 0.65, left, right)
    parts = [text(measure, 4, 12, class_="tick"), *horizontal_grid(vertical, left, right)]
    parts += [line(left, vertical(value), right, vertical(value), class_="chance") for value, _ in lines]
    parts += [*column_labels(columns, horizontal, bottom), text(axis, right + 13, bottom + 18, class_="tick")]
    ends = []
    for place, (series, values) in enumerate(scored):
        aside = APART * (place - (len(scored) - 1) / 2)
        points = [(horizontal(at + aside), vertical(own.value)) for at, own in values]
        path = "M" + "L".join(f"{x:.2f} {y:.2f}" for x, y in points)
        colour = f"var(--{series.colour})"
        stroke = {"stroke": colour, "stroke_width": series.width, "stroke_dasharray": series.dash}
        parts.append(element("path", d=path, class_="mark curve", fill="none", **stroke))
        for (x, y), (at, own) in zip(points, values, strict=True):
            said = f"{series.name}, {columns[at]}: {number(own.value)} {interval(own)}"
            parts.append(line(x, vertical(own.low), x, vertical(own.high), class_="whisker", stroke=colour))
            parts.append(glyph(series.shape, x, y, series.colour, said, radius=4.5))
        ends.append((series.name, *points[-1]))
    ends += [(name, right - 6, vertical(value)) for value, name in lines]
    parts += end_labels(ends, right, top, bottom - 8)
    described = "; ".join(
        f"{series.name}: " + ", ".join(f"{columns[at]} {number(own.value)} {interval(own)}" for at, own in values)
        for series, values in scored
    )
    return figure(key, WIDTH, height, title, described, *parts)
