"""Streams in files, cut into blocks that can be counted in any process, and the events of a block.

What a file holds is not to be trusted: a line that is no event is counted, and a part that can't be read is named.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, BinaryIO, Literal

import numpy as np
from pydantic_core import from_json

from superalign.contracts.errors import InputError
from superalign.contracts.fleet import Block
from superalign.control.fleet.events import COLUMNS, SCORE, Events, from_columns

FORMATS: dict[str, Literal["jsonl", "parquet", "eval"]] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".eval": "eval",
}
BLOCK_BYTES = 16 * 2**20  # of JSONL: some hundred thousand events
CHUNK_BYTES = 2**20
LONGEST_LINE = 2**20
MOST_SCORES = 16  # of one event


class Unreadable(Exception):
    """A file, or a part of it, is not what its name says; the text says why."""


def files(paths: Sequence[Path]) -> list[Path]:
    """The streams at `paths`, folders searched, by name. InputError when one is missing or of an unknown kind."""
    found: list[Path] = []
    for path in paths:
        inside = sorted(each for each in path.rglob("*") if each.suffix in FORMATS) if path.is_dir() else [path]
        if not path.exists() or not inside:
            raise InputError("There is no stream here.", where=str(path), fix="Give files, or a folder that has some.")
        found += inside
    if strange := next((path for path in found if path.suffix not in FORMATS), None):
        raise InputError(
            "A stream of this kind can't be read.", where=str(strange), fix=f"Known are {', '.join(FORMATS)}."
        )
    return list(dict.fromkeys(path.resolve() for path in found))


def blocks(path: Path, start: int = 0) -> Iterator[Block]:
    """The blocks of a file from `start` on: where the last one ended that was counted before. Unreadable as it says."""
    match FORMATS[path.suffix]:
        case "jsonl":
            yield from _line_blocks(path, start)
        case "parquet":
            yield from _parquet().row_groups(path, start)
        case "eval" if start == 0:
            yield Block(path=str(path), format="eval", start=0, end=1)


def events(block: Block, scores: Sequence[str] | None = None) -> Iterator[Events]:
    """The events of a block, some thousands at a time, with these `scores`, by default all that there are.

    Unreadable when there is no going on; what came before holds.
    """
    match block.format:
        case "jsonl":
            return _line_events(block, scores)
        case "parquet":
            found: Iterator[Events] = _parquet().group_events(block, scores)
            return found
        case "eval":
            from superalign.control.fleet.inspect_log import log_events

            return log_events(block, scores)


def place(block: Block, where: int) -> str:
    """A place in a block's file, in words."""
    return {"jsonl": f"byte {where:,}", "parquet": f"row {where:,}", "eval": f"sample {where:,}"}[block.format]


def from_rows(
    rows: Sequence[Mapping[str, Any]], places: Sequence[int], scores: Sequence[str] | None, garbled: int = 0
) -> Events:
    """Events of objects as JSON has them."""
    if scores is None:
        scores = sorted({name for row in rows for name in row if name.startswith(SCORE)})[:MOST_SCORES]
    columns = {name: [row.get(name) for row in rows] for name in (*COLUMNS, *scores)}
    return from_columns(columns, np.array(places, np.int64), garbled)


def _parquet() -> ModuleType:
    """What reads Parquet. InputError without pyarrow."""
    try:
        return import_module("superalign.control.fleet.parquet")
    except ImportError:
        raise InputError(
            "Parquet is read by pyarrow, which is not installed.", fix="pip install 'superalign[monitor]'"
        ) from None


def _line_blocks(path: Path, start: int) -> Iterator[Block]:
    """Cut behind line ends. A last line without an end is being written still, and left for later."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        if start > size:
            raise Unreadable("is shorter than what was read of it before: it was cut or replaced")
        while start < size:
            end = _line_end(file, start + BLOCK_BYTES, size)
            if end == size:
                end = _last_line_end(file, start, size)
            if end == start:
                return
            yield Block(path=str(path), format="jsonl", start=start, end=end)
            start = end


def _line_end(file: BinaryIO, start: int, size: int) -> int:
    """Behind the first line end at or after `start`; `size` if there is none."""
    file.seek(start)
    while chunk := file.read(CHUNK_BYTES):
        if (found := chunk.find(b"\n")) >= 0:
            return start + found + 1
        start += len(chunk)
    return size


def _last_line_end(file: BinaryIO, start: int, size: int) -> int:
    """Behind the last line end before `size`; `start` if there is none."""
    end = size
    while end > start:
        begin = max(start, end - CHUNK_BYTES)
        file.seek(begin)
        if (found := file.read(end - begin).rfind(b"\n")) >= 0:
            return begin + found + 1
        end = begin
    return start


def _line_events(block: Block, scores: Sequence[str] | None) -> Iterator[Events]:
    with Path(block.path).open("rb") as file:
        file.seek(block.start)
        for lines, places, too_long in _lines(file, block.start, block.end):
            rows, kept, garbled = [], [], too_long
            for line, where in zip(lines, places, strict=True):
                try:
                    row = from_json(line)
                except ValueError:
                    row = None
                if isinstance(row, dict):
                    rows.append(row)
                    kept.append(where)
                elif line.strip():
                    garbled += 1
            yield from_rows(rows, kept, scores, garbled)


def _lines(file: BinaryIO, start: int, end: int) -> Iterator[tuple[list[bytes], list[int], int]]:
    """Lines with the bytes they begin at, and how many were too long to be kept; never much more than a chunk."""
    rest, began, skipping = b"", start, False
    while start < end:
        chunk = file.read(min(CHUNK_BYTES, end - start))
        if not chunk:
            return
        start += len(chunk)
        lines = (rest + chunk).split(b"\n")
        rest = lines.pop()
        places = np.cumsum([began, *(len(line) + 1 for line in lines)]).tolist()
        began = places.pop()
        too_long = 0
        if skipping and lines:  # the end of a line that was given up
            del lines[0], places[0]
            skipping = False
        if skipping or len(rest) > LONGEST_LINE:
            began += len(rest)
            rest, too_long, skipping = b"", int(not skipping), True
        yield lines, places, too_long
