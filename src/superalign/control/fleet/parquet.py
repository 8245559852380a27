"""Events in Parquet files. Names stay what they are in the file: numbers into a dictionary."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
from jaxtyping import Float, Int

from superalign.contracts.fleet import Block
from superalign.control.fleet.events import (
    COLUMNS,
    LONGEST_NAME,
    SCORE,
    Events,
    buckets,
    hashed,
    moments,
    named,
    numbers,
)
from superalign.control.fleet.reading import MOST_SCORES, Unreadable

ROWS = 65_536  # held in memory at once
NAMES = ("agent", "kind", "feature")


def row_groups(path: Path, start: int) -> Iterator[Block]:
    """A block for each row group. Unreadable when the file is cut off or no Parquet."""
    with _opened(path) as file:
        groups = [file.metadata.row_group(number).num_rows for number in range(file.metadata.num_row_groups)]
    if start > len(groups):
        raise Unreadable("has fewer row groups than were read of it before: it was replaced")
    for number in range(start, len(groups)):
        yield Block(path=str(path), format="parquet", start=number, end=number + 1, first_row=sum(groups[:number]))


def group_events(block: Block, scores: Sequence[str] | None) -> Iterator[Events]:
    """The events of a row group. Unreadable where its bytes are damaged."""
    path, row = Path(block.path), block.first_row
    with _opened(path) as file:
        try:
            columns = _columns(file, scores)
            for batch in file.iter_batches(ROWS, row_groups=[block.start], columns=columns, use_threads=False):
                yield _events(batch, row)
                row += len(batch)
        except (OSError, ValueError) as error:  # of which all errors of pyarrow are
            raise Unreadable(f"row group {block.start} is damaged: {_short(error)}") from None


def _opened(path: Path) -> Any:
    try:
        there = parquet.read_schema(path).names
        return parquet.ParquetFile(path, read_dictionary=[name for name in NAMES if name in there])
    except (OSError, ValueError) as error:
        raise Unreadable(f"is cut off or no Parquet file: {_short(error)}") from None


def _columns(file: Any, scores: Sequence[str] | None) -> list[str]:
    there = file.schema_arrow.names
    if "agent" not in there:
        raise Unreadable("has no column named agent")
    if scores is None:
        scores = sorted(name for name in there if name.startswith(SCORE))[:MOST_SCORES]
    return [name for name in (*COLUMNS, *scores) if name in there]


def _events(batch: pa.RecordBatch, first_row: int) -> Events:
    columns: dict[str, Any] = dict(zip(batch.schema.names, batch.columns, strict=True))
    agent_names, agents = _coded(columns["agent"])
    kind_names, kinds = _coded(columns["kind"]) if "kind" in columns else ([], np.full(len(batch), -1))
    found = Events(
        agent_names=agent_names,
        agents=agents,
        kind_names=kind_names,
        kinds=kinds,
        times=_moments(columns["time"]) if "time" in columns else np.full(len(batch), np.nan),
        scores={name: _numbers(column) for name, column in columns.items() if name.startswith(SCORE)},
        features=_features(columns["feature"]) if "feature" in columns else np.full(len(batch), -1),
        places=np.arange(first_row, first_row + len(batch)),
        ids=hashed(columns["id"].to_pylist()) if "id" in columns else None,
    )
    return found.with_agents()


def _dictionary(column: pa.Array) -> tuple[list[Any], Int[np.ndarray, "events"]]:
    """Each value once, and for each event the index of its value; -1 for none."""
    encoded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    return encoded.dictionary.to_pylist(), encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False)


def _coded(column: pa.Array) -> tuple[list[str], Int[np.ndarray, "events"]]:
    if pa.types.is_nested(column.type):
        return [], np.full(len(column), -1)
    values, codes = _dictionary(column)
    names = [named(value) for value in values]
    usable = np.array([*(name is not None for name in names), False], bool)  # the last one is where -1 leads
    return [name or "" for name in names], np.where(usable[codes], codes, -1)


def _features(column: pa.Array) -> Int[np.ndarray, "events"]:
    if pa.types.is_nested(column.type):
        return buckets(column.to_pylist())
    values, codes = _dictionary(column)
    return np.asarray(np.append(buckets(values), -1)[codes])


def _numbers(column: pa.Array) -> Float[np.ndarray, "events"]:
    if pa.types.is_floating(column.type) or pa.types.is_integer(column.type):
        return numbers(column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False))
    return numbers(column.to_pylist())


def _moments(column: pa.Array) -> Float[np.ndarray, "events"]:
    if pa.types.is_timestamp(column.type):
        seconds = column.cast(pa.timestamp("us"), safe=False).cast(pa.int64()).cast(pa.float64(), safe=False)
        return numbers(seconds.to_numpy(zero_copy_only=False) / 1e6)
    return moments(column.to_pylist()) if not pa.types.is_primitive(column.type) else _numbers(column)


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:LONGEST_NAME]
