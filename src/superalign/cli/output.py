"""What the verbs print: JSON or a table on stdout, remarks on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any

Row = dict[str, Any]


def print_json(value: Any) -> None:
    """One JSON value and a newline."""
    print(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False))


def print_table(rows: Sequence[Row], columns: Sequence[str]) -> None:
    """The `columns` of `rows`, as wide as the terminal allows."""
    from rich.console import Console
    from rich.table import Table

    header = any(column.strip() for column in columns)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold", show_header=header)
    for column in columns:
        table.add_column(column, overflow="fold", no_wrap=column == columns[0])
    for row in rows:
        table.add_row(*(str(row[column]) for column in columns))
    Console(markup=False, highlight=False, emoji=False).print(table)


def print_facts(row: Row, *, as_json: bool) -> None:
    """One object, as a JSON list of one or a line per key."""
    if as_json:
        print_json([row])
        return
    lines = {key: "\n".join(map(str, value)) if isinstance(value, list) else value for key, value in row.items()}
    print_table([{"": f"{key}:", " ": value} for key, value in lines.items() if value not in (None, "")], ("", " "))


def print_list(rows: Sequence[Row], columns: Sequence[str], *, as_json: bool) -> None:
    """`rows` whole as a JSON list, or their `columns` as a table."""
    if as_json:
        print_json(list(rows))
    else:
        print_table(rows, columns)


def say(line: str) -> None:
    """One line on stderr."""
    print(line, file=sys.stderr, flush=True)
