"""A small SVG writer: elements, scales, ticks, glyphs. Colours are the page's custom properties."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from superalign.report.wording import MINUS

FONT_SIZE = 12.5  # of the labels, in the plot's units; the style sheet says the same


def element(name: str, *children: str, **attributes: object) -> str:
    """One element. `children` are SVG already (see `text` for words); in attributes `_` stands for `-`."""
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(_attribute(value))}"' for key, value in attributes.items()
    )
    return f"<{name}{written}>{''.join(children)}</{name}>"


def _attribute(value: object) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


def text(words: str, x: float, y: float, anchor: str = "start", **attributes: object) -> str:
    return element("text", escape(words), x=x, y=y, text_anchor=anchor, **attributes)


def width_of(words: str, size: float = FONT_SIZE) -> float:
    """About how wide `words` are drawn in a wide sans-serif, in pixels: there is no font here to measure with."""
    return sum(_advance(character) for character in words) * size


def _advance(character: str) -> float:
    if character in "ijlI|'.,:;!- ":
        return 0.34
    if character in "tfr()[]/":
        return 0.42
    if character in "mwMWOQ@%…" or ord(character) > 0x2E7F:
        return 1.0
    return 0.64 if character.islower() or character.isdigit() else 0.84


def shortened(words: str, room: float) -> str:
    """`words`, without their middle where they would be wider than `room` pixels: names often differ at the end."""
    if width_of(words) <= room:
        return words
    kept = len(words) - 1
    while kept > 2 and width_of(_without_middle(words, kept)) > room:
        kept -= 1
    return _without_middle(words, kept)


def wrapped(words: str, room: float) -> list[str]:
    """Lines of `words` no wider than `room`. Broken between words only: half a number is another number."""
    lines: list[str] = []
    for word in words.split():
        joined = f"{lines[-1]} {word}" if lines else word
        if lines and width_of(joined) <= room:
            lines[-1] = joined
        else:
            lines.append(shortened(word, room))
    return lines


def _without_middle(words: str, kept: int) -> str:
    return words[: kept - kept // 2] + "…" + words[len(words) - kept // 2 :]


def line(x1: float, y1: float, x2: float, y2: float, **attributes: object) -> str:
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, **attributes)


def figure(key: str, width: float, height: float, title: str, description: str, *children: str) -> str:
    """A whole plot. `key` is unique in the page; title and description are what a screen reader says."""
    return element(
        "svg",
        element("title", escape(title), id=f"{key}-title"),
        element("desc", escape(description), id=f"{key}-desc"),
        *children,
        viewBox=f"0 0 {width:g} {height:g}",
        role="img",
        class_="plot",
        aria_labelledby=f"{key}-title {key}-desc",
    )


def glyph(
    shape: str, x: float, y: float, colour: str, words: str = "", *, hollow: bool = False, radius: float = 5
) -> str:
    """A data mark: circle, square, triangle or diamond. `words` appear when it is pointed at."""
    corners = {  # in radii, so that all shapes cover about the same area
        "square": [(-0.86, -0.86), (0.86, -0.86), (0.86, 0.86), (-0.86, 0.86)],
        "triangle": [(0, -1.15), (1.1, 0.85), (-1.1, 0.85)],
        "diamond": [(0, -1.3), (1.15, 0), (0, 1.3), (-1.15, 0)],
    }
    paint: dict[str, object] = {
        "class_": "mark",
        "fill": "var(--paper)" if hollow else f"var(--{colour})",
        "stroke": f"var(--{colour})" if hollow else "var(--paper)",
        "stroke_width": 1.8 if hollow else 1.0,
    }
    title = [element("title", escape(words))] if words else []
    if shape == "circle":
        return element("circle", *title, cx=x, cy=y, r=radius, **paint)
    points = " ".join(f"{x + dx * radius:.2f},{y + dy * radius:.2f}" for dx, dy in corners[shape])
    return element("polygon", *title, points=points, **paint)


@dataclass(frozen=True)
class Scale:
    """A linear map from data to pixels."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)

    def ticks(self, about: int = 5) -> list[float]:
        """Round values inside the scale, steps of 1, 2 or 5 times a power of ten."""
        span = self.high - self.low
        power = 10.0 ** math.floor(math.log10(span / about))
        step = min((power * factor for factor in (1, 2, 5, 10)), key=lambda size: abs(span / size - about))
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [index * step for index in range(first, last + 1)]


def scale_over(values: Sequence[float], start: float, end: float, margin: float = 0.06) -> Scale:
    """A scale that shows all `values` with a margin; a single value gets room around it."""
    low, high = min(values), max(values)
    spread = high - low or max(abs(high), 1.0) * 0.5
    return Scale(low - margin * spread, high + margin * spread, start, end)


def tick_text(value: float, ticks: Sequence[float]) -> str:
    """A tick's label, with the decimals that its axis needs."""
    step = ticks[1] - ticks[0] if len(ticks) > 1 else abs(value) or 1.0
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    return f"{value:.{digits}f}".replace("-", MINUS) if abs(value) > step * 1e-6 else "0"


def spread_out(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Positions near the wanted ones, at least `gap` apart where `[low, high]` has the room."""
    order = sorted(range(len(wanted)), key=lambda index: wanted[index])
    gap = min(gap, (high - low) / max(1, len(wanted) - 1))
    placed = [0.0] * len(wanted)
    previous = low - gap
    for index in order:
        placed[index] = previous = max(wanted[index], previous + gap)
    following = high + gap
    for index in reversed(order):
        placed[index] = following = min(placed[index], following - gap)
    return placed
