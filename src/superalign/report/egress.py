"""What leaves with outputs, and whether texts come from their model, in tables and curves."""

from __future__ import annotations

from pathlib import Path

from superalign.contracts.attribution import AttributionStudy
from superalign.contracts.egress import EgressReport, Leak
from superalign.contracts.records import Interval, Unscored
from superalign.report.charts import Curve, curves, write
from superalign.report.control import measured
from superalign.report.tables import Cell, Column, Table
from superalign.report.wording import MISSING, counted, number

SHOWN = 12  # outputs in the table: those that cost most; all are in the JSON
TRAFFIC = (1e3, 1e4, 1e5, 1e6, 1e7, 1e8)  # outputs a day


def outputs(found: EgressReport) -> Table:
    """The outputs that cost most."""
    dearest = sorted(found.outputs, key=lambda one: -one.bits)[:SHOWN]
    columns = (Column("Output"), *(Column(name, True) for name in ("Bits", "Of text", "Tokens", "Differ")))
    return Table(
        caption=f"The dearest of {counted(len(found.outputs), 'output')}: an upper bound of the bits hidden in each, "
        f"beside the bits of its text. Budget: {number(found.policy.bits_per_output, 0)} bits an output",
        columns=(*columns, Column("Goes")),
        rows=tuple(
            (
                Cell(one.id or str(place)),
                Cell(number(one.bits, 1)),
                Cell(number(8 * one.bytes, 0)),
                Cell(MISSING if one.tokens is None else str(one.tokens)),
                Cell(MISSING if one.deviating is None else str(one.deviating), one.unexplained or ""),
                Cell("out" if one.released else "held", tone="" if one.released else "bad"),
            )
            for place, one in enumerate(dearest)
        ),
    )


def leaks(found: EgressReport) -> Table:
    """How fast weights can leave under each defence."""

    def row(leak: Leak) -> tuple[Cell, ...]:
        days = MISSING if leak.days is None else f"{leak.days:,.3g}"
        return Cell(leak.defence), Cell(number(leak.bits_per_output)), Cell(f"{leak.gigabytes_per_day:.3g}"), Cell(days)

    return Table(
        caption=f"At most: {found.weights_gigabytes:g} GB of weights, {found.outputs_per_day:,.0f} outputs a day as "
        "long as these",
        columns=(Column("Defence"), *(Column(name, True) for name in ("Bits an output", "GB a day", "Days"))),
        rows=tuple(map(row, found.leaks)),
    )


def draw(found: EgressReport, path: Path) -> None:
    """Days until the weights are out, over the outputs of a day, for each defence."""
    size = found.weights_gigabytes * 8e9
    shown = [
        Curve(
            leak.defence.removesuffix(" (no bound)"),
            TRAFFIC,
            [size / (leak.bits_per_output * n) for n in TRAFFIC],
        )
        for leak in found.leaks
        if leak.bits_per_output > 0
    ]
    title = f"Until {found.weights_gigabytes:g} GB of weights can be out"
    write(path, curves("egress", title, shown, x="outputs a day", y="days", log_x=True, log_y=True))


def sources(found: AttributionStudy) -> Table:
    """How often each source's tokens are the ones that the seed gives."""
    return Table(
        caption=f"Answers to {counted(found.prompts, 'prompt')} said to come from {found.model} in {found.dtype}, seed "
        f"{found.seed}, temperature {found.temperature:g}; in brackets 95 % intervals",
        columns=(Column("Answers of"), *(Column(name, True) for name in ("Tokens", "The same", "Bits a token"))),
        rows=tuple(
            (Cell(one.name), Cell(str(one.tokens)), _three(one.same), Cell(number(one.bits, 3)))
            for one in found.sources
        ),
    )


def told_apart(found: AttributionStudy) -> Table:
    """AUROC by statistic and number of tokens."""
    lengths = tuple(dict.fromkeys(one.tokens for one in found.told))
    by_row: dict[tuple[str, str], dict[int, Cell]] = {}
    for one in found.told:
        by_row.setdefault((one.impostor, one.statistic), {})[one.tokens] = (
            measured(one.auroc) if one.tokens == lengths[-1] else Cell(measured(one.auroc).text)
        )
    return Table(
        caption="AUROC of each statistic, impostors above honest answers, by the number of first tokens read; 0.5 "
        "tells nothing. The unit is the prompt; in brackets 95 % intervals, all of them in the JSON",
        columns=(Column("Impostor"), Column("Statistic"), *(Column(str(size), True) for size in lengths)),
        rows=tuple(
            (Cell(impostor), Cell(statistic), *(cells[size] for size in lengths))
            for (impostor, statistic), cells in by_row.items()
        ),
    )


def _three(value: Interval | Unscored) -> Cell:
    if isinstance(value, Unscored):
        return measured(value)
    return Cell(number(value.value, 3), f"[{number(value.low, 3)}, {number(value.high, 3)}]")
