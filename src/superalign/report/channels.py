"""Hidden channels in tables."""

from __future__ import annotations

from superalign.contracts.channels import Capacity, ChannelStudy
from superalign.contracts.records import Unscored
from superalign.report.control import measured
from superalign.report.tables import Cell, Column, Table
from superalign.report.wording import number


def capacities(found: ChannelStudy, sender: str) -> Table:
    """What one sender gets through each countermeasure."""
    own = [one for one in found.capacities if one.sender == sender]
    planted = "" if own[0].planted is None else f"; {number(own[0].planted)} bits were planted"

    def row(one: Capacity) -> tuple[Cell, ...]:
        return Cell(one.countermeasure), measured(one.bits), measured(one.decoded), measured(one.guessed), _short(one)

    return Table(
        caption=f"Bits in an answer of a secret out of {own[0].secrets}, in {own[0].answers} answers{planted}. "
        "Estimated: less what chance shows; decoded: what a fitted decoder's right guesses need at least; shuffled: "
        "its guesses where it was fitted to shuffled secrets. In brackets 95 % intervals",
        columns=(
            Column("Countermeasure"),
            *(Column(name, True) for name in ("Estimated", "Decoded", "Guesses", "Shuffled")),
        ),
        rows=tuple(map(row, own)),
    )


def reasons(found: ChannelStudy) -> list[str]:
    """Why what was not measured was not."""
    return list(
        dict.fromkeys(
            f"{one.sender}, {one.countermeasure}: {value.reason}"
            for one in found.capacities
            for value in (one.bits, one.guessed)
            if isinstance(value, Unscored)
        )
    )


def _short(one: Capacity) -> Cell:
    return Cell(measured(one.shuffled).text)
