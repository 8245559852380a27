"""Charts that stand alone, as SVG files: curves and heatmaps of whatever numbers there are. They carry their style with
them, light and dark, so that a page can show them as images.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from math import ceil
from pathlib import Path
from typing import TypeAlias

from superalign.contracts.errors import InputError
from superalign.report.svg import Scale, element, figure, line, scale_over, spread_out, text, tick_text, width_of

WIDTH, HEIGHT = 560.0, 320.0
LEFT, TOP, BOTTOM = 58.0, 48.0, 48.0
COLOURS = ("student", "organism", "ceiling", "threshold", "baseline")
DASHES = ("none", "6 3", "2 3", "8 3 2 3", "1 3")
CELL = 30.0  # the largest height of a heatmap's cell; it is wider only where its column's name is
MARKED = 16  # points beyond which a curve is drawn without marks
FEW = 8  # different x up to which each is a tick, being a layer or the like

Tick: TypeAlias = tuple[float, str]


@dataclass(frozen=True)
class Curve:
    """Values of `y` at `x`. InputError when these are of two lengths, empty, or not finite."""

    name: str
    x: Sequence[float]
    y: Sequence[float]

    def __post_init__(self) -> None:
        if len(self.x) != len(self.y) or not len(self.x) or not all(map(math.isfinite, (*self.x, *self.y))):
            raise InputError(
                f"The curve {self.name!r} can't be drawn.", fix="Give as many finite x as y, at least one of each."
            )


def curves(
    key: str,
    title: str,
    shown: Sequence[Curve],
    *,
    x: str,
    y: str,
    log_x: bool = False,
    log_y: bool = False,
) -> str:
    """Lines, each named at its right end. A logarithmic axis is drawn in powers of ten, and needs values above 0."""
    places = [([_placed(at, log_x) for at in of.x], [_placed(at, log_y) for at in of.y]) for of in shown]
    right = WIDTH - 16 - max(width_of(of.name) for of in shown)
    horizontal = scale_over([at for xs, _ in places for at in xs], LEFT, right, margin=0.02)
    vertical = scale_over([at for _, ys in places for at in ys], HEIGHT - BOTTOM, TOP)
    parts = [text(title, 8, 18, class_="value"), text(y, 8, 37, class_="tick")]
    asked = sorted({at for of in shown for at in of.x})
    few = not log_x and len(asked) <= FEW
    across = [(at, f"{at:g}") for at in asked] if few else _ticks(horizontal, log_x)
    parts += _axes(horizontal, across, vertical, _ticks(vertical, log_y))
    parts.append(text(x, (LEFT + right) / 2, HEIGHT - 8, "middle", class_="tick"))
    for place, (xs, ys) in enumerate(places):
        points = [(horizontal(a), vertical(b)) for a, b in zip(xs, ys, strict=True)]
        stroke = {"stroke": _colour(place), "stroke_width": 2.2, "stroke_dasharray": DASHES[place % len(DASHES)]}
        path = "M" + "L".join(f"{a:.2f} {b:.2f}" for a, b in points)
        parts.append(element("path", d=path, class_="mark curve", fill="none", **stroke))
        marks = points if len(points) <= MARKED else points[-1:]
        parts += [element("circle", cx=a, cy=b, r=3.2, fill=_colour(place)) for a, b in marks]
    parts += _names([(of.name, vertical(ys[-1])) for of, (_, ys) in zip(shown, places, strict=True)], right)
    described = "; ".join(f"{of.name}: from {of.y[0]:.3g} to {of.y[-1]:.3g}" for of in shown)
    return figure(key, WIDTH, HEIGHT, title, described, *parts)


def heatmap(
    key: str,
    title: str,
    values: Sequence[Sequence[float]],
    *,
    rows: Sequence[str],
    columns: Sequence[str],
    x: str,
    y: str,
    limit: float | None = None,
) -> str:
    """A cell for each value, the first row at the top: blue above 0 and orange below, full at `limit`, which is the
    largest there is unless given.
    """
    if len(rows) != len(values) or any(len(of) != len(columns) for of in values):
        raise InputError(f"The heatmap {key!r} has cells without a name.", fix="Name as many rows and columns.")
    left = 26 + max(map(width_of, rows))
    room, named = (WIDTH - left - 16) / len(columns), 8 + max(map(width_of, columns))
    side, across = min(CELL, room), min(room, max(CELL, named))
    height = TOP + side * len(rows) + BOTTOM
    full = limit or max(abs(value) for of in values for value in of) or 1.0
    parts = [text(title, 8, 18, class_="value"), text(y, 8, 37, class_="tick")]
    for down, (row, of) in enumerate(zip(rows, values, strict=True)):
        top = TOP + down * side
        if down % ceil(14 / side) == 0:
            parts.append(text(row, left - 6, top + side / 2 + 4, "end", class_="tick"))
        for column, value in enumerate(of):
            said = element("title", escape(f"{row}, {columns[column]}: {value:.3g}"))
            colour, share = _colour(value < 0), min(1.0, abs(value) / full)
            box = {"x": left + column * across, "y": top, "width": across, "height": side, "class_": "cell"}
            parts.append(element("rect", said, fill=colour, fill_opacity=share, **box))
    every = ceil(named / across)
    parts += [
        text(columns[i], left + (i + 0.5) * across, height - BOTTOM + 16, "middle", class_="tick")
        for i in range(0, len(columns), every)
    ]
    parts.append(text(x, left + across * len(columns) / 2, height - 10, "middle", class_="tick"))
    described = f"{len(rows)} rows by {len(columns)} columns; full colour at {full:.3g}"
    return figure(key, WIDTH, height, title, described, *parts)


def write(path: Path, *charts: str) -> None:
    """The charts, one below another, as one SVG file with its style."""
    heights = [float(chart.split('viewBox="0 0 ', 1)[1].split('"', 1)[0].split()[1]) for chart in charts]
    placed = [
        chart.replace("<svg", f'<svg y="{sum(heights[:i]):g}" width="{WIDTH:g}" height="{heights[i]:g}"', 1)
        for i, chart in enumerate(charts)
    ]
    height = sum(heights)
    paper = element("rect", width=WIDTH, height=height, fill="var(--paper)")
    whole = element(
        "svg",
        element("style", _style()),
        paper,
        *placed,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {WIDTH:g} {height:g}",
        width=WIDTH,
        height=height,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(whole + "\n", encoding="utf-8")


def _style() -> str:
    """What of the report's style sheet is about colours and plots."""
    sheet = (files("superalign.report") / "style.css").read_text(encoding="utf-8")
    colours = sheet.split("\n\n", 1)[0]
    plots = "\n".join(row for row in sheet.splitlines() if row.startswith(".plot "))
    return (
        f"{colours}\nsvg {{ font-family: var(--sans); }}\n.cell {{ stroke: var(--line); stroke-width: .5; }}\n{plots}"
    )


def _colour(place: int) -> str:
    return f"var(--{COLOURS[place % len(COLOURS)]})"


def _placed(value: float, logarithmic: bool) -> float:
    if not logarithmic:
        return value
    if value <= 0:
        raise InputError(f"{value:g} has no place on a logarithmic axis.", fix="Draw it on a linear one.")
    return math.log10(value)


def _axes(horizontal: Scale, across: list[Tick], vertical: Scale, up: list[Tick]) -> list[str]:
    parts = []
    for tick, words in up:
        parts.append(line(horizontal.start, vertical(tick), horizontal.end, vertical(tick), class_="grid"))
        parts.append(text(words, horizontal.start - 7, vertical(tick) + 4, "end", class_="tick"))
    for tick, words in across:
        parts.append(text(words, horizontal(tick), vertical.start + 18, "middle", class_="tick"))
    return parts


def _ticks(scale: Scale, logarithmic: bool) -> list[Tick]:
    if not logarithmic:
        ticks = scale.ticks()
        return [(tick, tick_text(tick, ticks)) for tick in ticks]
    powers = range(ceil(scale.low - 1e-9), math.floor(scale.high + 1e-9) + 1)
    every = ceil(len(powers) / 7) or 1
    return [(power, f"{10.0**power:g}") for power in powers if power % every == 0]


def _names(ends: Sequence[tuple[str, float]], right: float) -> list[str]:
    heights = spread_out([y for _, y in ends], 15, TOP, HEIGHT - BOTTOM)
    return [
        text(name, right + 8, height + 4, class_="label", style=f"fill: {_colour(place)}")
        for place, ((name, _), height) in enumerate(zip(ends, heights, strict=True))
    ]
