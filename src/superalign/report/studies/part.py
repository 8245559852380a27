"""What the report shows of one study, on the page and in the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from superalign.report.tables import Table


@dataclass(frozen=True)
class Figure:
    """A plot as SVG, none where there is nothing to draw, and what it shows."""

    svg: str
    caption: str


@dataclass(frozen=True)
class Part:
    """One study. `key` is unique in the page; `in_short` is the table of 80 columns for the terminal, `in_a_line` the
    key result for the overview.
    """

    key: str
    title: str
    about: str
    findings: Sequence[str]
    tables: Sequence[Table]
    in_short: Table
    in_a_line: str
    figures: Sequence[Figure] = ()
