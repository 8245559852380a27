"""What one direction does, on one card: does it detect, does it steer, does the model need it, and what else breaks?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from pydantic import Field

from superalign.contracts.records import Cost, Interval, Record, Unscored


class Effect(Record):
    """What a direction does, beside what random ones do: intervals by group bootstrap."""

    value: Interval
    random: Interval = Field(description="The mean over random directions, of equal norm where they are added.")
    beyond: Interval = Field(description="The difference, over the same resamples.")


class Dose(Record):
    """Adding the direction, and taking it away, by so many standard deviations of what states have of it."""

    deviations: float
    shift: Effect = Field(description="Half of what lies between the two in the log odds of yes; random ones unsigned.")
    flipped: Effect = Field(description="Share of answers that turn when pushed the other way.")


class SideEffects(Record):
    """What becomes of the answers to unrelated questions, by the direction fitted on all the others."""

    questions: int
    says: Interval = Field(description="AUROC of the model's own answers.")
    flipped: Effect = Field(description="Share of answers that turn, pushed the other way by the largest dose.")
    lost_steered: Effect | Unscored = Field(description="AUROC lost by the largest dose, the mean of both ways.")
    lost_ablated: Effect | Unscored = Field(description="AUROC lost when the direction is projected out.")


class CauseCard(Record):
    """A direction of the residual stream after `layer` layers, where an answer begins. What is said of a question comes
    from a direction that saw no question of its group.
    """

    layer: int
    questions: int
    groups: int
    draws: int = Field(description="Random directions.")
    detects: Effect = Field(description="AUROC of the truth by what states have of the direction.")
    baselines: dict[str, float] = Field(description="AUROC of the text alone, and of directions for shuffled labels.")
    says: Interval = Field(description="AUROC of the model's own answers, before anything is changed.")
    steers: tuple[Dose, ...]
    lost: Effect | Unscored = Field(description="AUROC of its own answers that is lost when it is projected out.")
    narrowed: Effect | Unscored = Field(
        description="Share that is lost of what lies between the mean log odds of true and of false questions."
    )
    unrelated: SideEffects
    cost: Cost = Cost()


class Row(NamedTuple):
    """A line of the card, as text."""

    what: str
    direction: str
    random: str
    difference: str


def rows(card: CauseCard) -> list[Row]:
    """The card's numbers, with their 95 % intervals."""
    return list(_rows(card))


def markdown(card: CauseCard) -> str:
    """The card as a Markdown table, which reads as well in a terminal."""
    lines = [Row("", "direction", f"{card.draws} random ones", "difference"), *rows(card)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(Row._fields))]
    drawn = [" | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines]
    rule = "|".join("-" * (width + 2) for width in widths)
    return "\n".join([f"| {drawn[0]} |", f"|{rule}|", *(f"| {line} |" for line in drawn[1:])]) + "\n"


def terminal(card: CauseCard) -> str:
    """The card as a table for the terminal, in its colours and as wide as it allows."""
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for column in ("", "direction", f"{card.draws} random ones", "difference"):
        table.add_column(column, overflow="fold")
    for row in rows(card):
        table.add_row(*row)
    console = Console(markup=False, highlight=False, emoji=False)
    with console.capture() as captured:
        console.print(table)
    return captured.get()


def _rows(card: CauseCard) -> Iterator[Row]:
    yield _row(f"detects after layer {card.layer}: AUROC", card.detects)
    for name, value in card.baselines.items():
        yield Row(f"  {name} alone", f"{value:.2f}", "", "")
    for dose in card.steers:
        yield _row(f"steers by {dose.deviations:g} sd: log odds of yes", dose.shift)
        yield _row("  answers flipped", dose.flipped)
    yield _row(f"ablates: AUROC lost of {card.says.value:.2f}", card.lost)
    yield _row("  share lost of the gap in log odds", card.narrowed)
    beside, most = card.unrelated, card.steers[-1].deviations
    yield _row(f"unrelated, by {most:g} sd: answers flipped", beside.flipped)
    yield _row(f"  AUROC lost of {beside.says.value:.2f}", beside.lost_steered)
    yield _row(f"unrelated, ablated: AUROC lost of {beside.says.value:.2f}", beside.lost_ablated)


def _row(what: str, effect: Effect | Unscored) -> Row:
    if isinstance(effect, Unscored):
        return Row(what, f"not measured: {effect.reason}", "", "")
    return Row(
        what, *(f"{of.value:.2f} [{of.low:.2f}, {of.high:.2f}]" for of in (effect.value, effect.random, effect.beyond))
    )
