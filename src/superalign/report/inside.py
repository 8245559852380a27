"""What is inside the model, drawn: a probe by layer beside its controls, and numbers of tokens as coloured text."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from superalign.contracts.readings import BASE, Control, ProbeReading, TokenHeat, TokenValues
from superalign.contracts.records import Interval, Unscored
from superalign.report.plots import BASELINE_DASHES, Series, curves
from superalign.report.tables import Cell, Column, Table
from superalign.report.wording import MISSING, SPACE, counted, interval, number

PROBE = Series("probe", "student", "circle", width=3.0)
BASE_PROBE = Series(BASE, "ceiling", "diamond", width=2.0)
UNDERLINED = 0.25  # of the full colour, from which on a token is underlined too


def layers(reading: ProbeReading) -> str:
    """The probe of each layer with its interval, the base's, and what should find nothing (held-out AUROC)."""
    found = reading.layers
    flat = {"shuffled, 95 %": reading.best.shuffled.high} | {
        control.name: control.auroc.value
        for control in reading.controls
        if isinstance(control.auroc, Interval) and control.name != BASE
    }
    lines = {"random, 95 %": [layer.random_directions.high for layer in found]}
    lines |= {name: [value] * len(found) for name, value in flat.items()}
    shown = [
        (Series(name, "baseline", "circle", BASELINE_DASHES[index % len(BASELINE_DASHES)], 1.6), values)
        for index, (name, values) in enumerate(lines.items())
    ]
    base = [layer.base.value for layer in found if isinstance(layer.base, Interval)]
    if len(base) == len(found):
        shown.append((BASE_PROBE, base))
    shown.append((PROBE, [layer.auroc.value for layer in found]))
    described = "; ".join(
        f"layer {layer.layer}: {number(layer.auroc.value)} {interval(layer.auroc)}, p = {number(layer.p_value)}"
        for layer in found
    )
    band = [(layer.auroc.low, layer.auroc.high) for layer in found]
    return curves("layers", "AUROC by layer", described, [str(layer.layer) for layer in found], shown, "layer", band)


def chosen(reading: ProbeReading) -> str:
    """What the nested choice found, in a sentence."""
    places = sorted({choice.layer for choice in reading.chosen})
    fold = f"after {'layer' if len(places) == 1 else 'layers'} {', '.join(map(str, places))}"
    return (
        f"With layer and strength chosen without the questions that are scored ({fold}), a probe reads the truth of "
        f"{counted(reading.questions, 'question')} at AUROC {number(reading.auroc.value)} {interval(reading.auroc)}, "
        f"p{SPACE}={SPACE}{number(reading.p_value)}: {counted(reading.shuffled.draws, 'labelling')} shuffled "
        f"{reading.shuffling} went through the same choice, and 19 of 20 of them stay below "
        f"{number(reading.shuffled.high)}. So the p-value is corrected for the number of layers."
    )


def controls(reading: ProbeReading) -> Table:
    """What reads less than the model does, and by how much the probe is ahead of it."""

    def row(control: Control) -> tuple[Cell, ...]:
        ahead = _estimate(control.ahead)
        if isinstance(control.ahead, Interval):
            ahead = Cell(ahead.text, ahead.note, "good" if control.ahead.low > 0 else "open")
        return (Cell(control.name), _estimate(control.auroc), ahead)

    return Table(
        caption="A probe that is not ahead of a control reads no more than that. In brackets 95 % intervals, which "
        "resample groups",
        columns=(Column("Control"), Column("AUROC", True), Column("The probe is ahead by", True)),
        rows=tuple(map(row, reading.controls)),
    )


def _estimate(found: Interval | Unscored) -> Cell:
    if isinstance(found, Unscored):
        return Cell(MISSING, found.reason, "muted")
    return Cell(number(found.value), interval(found))


@dataclass(frozen=True)
class Token:
    """One token as it is drawn: its text, its number in words, its colour's share from 0 to 1, and its classes."""

    text: str
    says: str
    share: str
    classes: str


def tokens(of: TokenValues, full: float) -> list[Token]:
    """Every token with its number; the colour is full from `full` on, either way."""
    return [
        _token(text, value, min(1.0, abs(value) / full) if full else 0.0)
        for text, value in zip(of.tokens, of.values, strict=True)
    ]


def _token(text: str, value: float, share: float) -> Token:
    sign = "above" if value > 0 else "below"
    return Token(legible(text), signed(value), f"{share:.2f}", f"{sign} strong" if share >= UNDERLINED else sign)


def legible(text: str) -> str:
    """A token's text, with a sign for what would not be seen or would steer the page."""
    return "".join(_sign(character) for character in text) or "∅"


def _sign(character: str) -> str:
    if character == "\n":
        return "↵\n"
    return "·" if unicodedata.category(character) in ("Cc", "Cf") else character


def signed(value: float) -> str:
    """`+1.20`, with a real minus sign below 0."""
    return f"{'+' if value > 0 else ''}{number(value)}"


def full_colour(shown: Sequence[TokenHeat]) -> float:
    """The largest number at any answer, which the probe was made for: elsewhere it may be far beyond its range."""
    return max((abs(heat.known) for heat in shown), default=0.0)


def scale(full: float) -> list[Token]:
    """The legend: five tokens from full below 0 to full above."""
    steps = (-1.0, -0.5, 0.0, 0.5, 1.0)
    return [_token(f" {signed(step * full)} ", step * full, abs(step)) for step in steps]


def peak(examples: Iterable[TokenValues]) -> float:
    """The largest number in any of them."""
    return max((max(map(abs, example.values)) for example in examples), default=0.0)


def leaning(value: float) -> str:
    return "yes" if value > 0 else "no"


def heat_note(heat: TokenHeat) -> str:
    """What is true, what the probe reads at the answer, and what the model says."""
    return (
        f"True answer: {'yes' if heat.truth else 'no'}. At the answer the probe reads {leaning(heat.known)} "
        f"({signed(heat.known)}); the answer leans to {leaning(heat.said)} (log odds of yes {signed(heat.said)} beyond "
        "the median of all questions)."
    )
