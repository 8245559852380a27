"""Baselines, states and counts on disk: one safetensors file each, with what isn't a number in its header as JSON."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from superalign.contracts.errors import RunError
from superalign.contracts.fleet import Alarm, Health, Witness
from superalign.contracts.records import Record
from superalign.control.fleet.baseline import Baseline
from superalign.control.fleet.betting import Ledger
from superalign.control.fleet.counting import Counted, Layout
from superalign.control.fleet.monitor import Course, Recent, State
from superalign.control.fleet.register import Register
from superalign.control.fleet.sketches import Distinct, Frequent
from superalign.runs.disk import write_atomically

BASELINE, STATE, COUNTS = "baseline.safetensors", "state.safetensors", "counts.safetensors"
HEADER = "superalign"


class Names(Record):
    """A `Frequent`, as it is written."""

    counts: dict[str, int]
    short: int

    @classmethod
    def of(cls, found: Frequent) -> Names:
        return cls(counts=dict(found.counts), short=found.short)

    def frequent(self) -> Frequent:
        return Frequent(self.counts, self.short)


class BaselineHeader(Record):
    register_of: Register
    layout: Layout
    promise: float
    tolerance: float


class CountedHeader(Record):
    health: Health
    began: float | None
    ended: float | None
    witnesses: tuple[Witness, ...]
    strangers: tuple[str, ...]
    first_seen: tuple[Witness, ...]
    stranger_events: Names
    other_kinds: Names


class StateHeader(Record):
    baseline: str
    blocks: int
    doublings: int
    alarms: tuple[Alarm, ...]
    health: Health
    witnesses: tuple[Witness, ...]
    strangers: tuple[str, ...]
    stranger_events: Names
    other_kinds: Names
    done: dict[str, int]
    ended: float | None
    seconds: float


def save_baseline(folder: Path, baseline: Baseline) -> None:
    header = BaselineHeader(
        register_of=baseline.register,
        layout=baseline.layout,
        promise=baseline.promise,
        tolerance=baseline.tolerance,
    )
    _write(folder / BASELINE, header, reference=baseline.reference, agent_events=baseline.agent_events)


def load_baseline(folder: Path) -> Baseline:
    """RunError when it is damaged."""
    header, arrays = _read(folder / BASELINE, BaselineHeader)
    return Baseline(
        header.register_of,
        header.layout,
        header.promise,
        header.tolerance,
        arrays["reference"],
        arrays["agent_events"],
    )


def baseline_digest(folder: Path) -> str:
    return hashlib.sha256((folder / BASELINE).read_bytes()).hexdigest()


def save_counted(folder: Path, counted: Counted) -> None:
    """Only the counts that are not 0."""
    flat = counted.table.ravel()
    cells = np.flatnonzero(flat)
    header = CountedHeader(
        health=counted.health,
        began=counted.began,
        ended=counted.ended,
        witnesses=tuple(counted.witnesses),
        strangers=tuple(counted.strangers),
        first_seen=tuple(counted.first_seen.values()),
        stranger_events=Names.of(counted.stranger_events),
        other_kinds=Names.of(counted.other_kinds),
    )
    _write(
        folder / COUNTS,
        header,
        shape=np.array(counted.table.shape),
        cells=cells,
        counts=flat[cells],
        strangers=np.array(list(counted.strangers.values()), np.int64),
        registers=counted.stranger_names.registers,
    )


def load_counted(folder: Path) -> Counted:
    header, arrays = _read(folder / COUNTS, CountedHeader)
    table = np.zeros(arrays["shape"], np.int64)
    table.ravel()[arrays["cells"]] = arrays["counts"]
    return Counted(
        table=table,
        health=header.health,
        began=header.began,
        ended=header.ended,
        witnesses=list(header.witnesses),
        strangers=dict(zip(header.strangers, arrays["strangers"], strict=True)),
        first_seen=dict(zip(header.strangers, header.first_seen, strict=True)),
        stranger_events=header.stranger_events.frequent(),
        stranger_names=Distinct(arrays["registers"]),
        other_kinds=header.other_kinds.frequent(),
    )


def save_state(folder: Path, state: State) -> None:
    header = StateHeader(
        baseline=baseline_digest(folder),
        blocks=state.blocks,
        doublings=state.recent.doublings,
        alarms=tuple(state.alarms),
        health=state.health,
        witnesses=tuple(witness for each in state.witnesses.values() for witness in each),
        strangers=tuple(state.strangers),
        stranger_events=Names.of(state.stranger_events),
        other_kinds=Names.of(state.other_kinds),
        done=state.done,
        ended=state.ended,
        seconds=state.seconds,
    )
    arrays = {
        "bets": state.bets.logs,
        "silence": state.silence.logs,
        "features": state.features,
        "recent": state.recent.counts,
        "seen": state.seen,
        "raised": state.raised,
        "strangers": np.array(list(state.strangers.values()), np.int64),
        "registers": state.stranger_names.registers,
    }
    for name, course in (("course", state.course), ("silence_course", state.silence_course)):
        arrays |= {f"{name}.{part}": values for part, values in vars(course).items()}
    _write(folder / STATE, header, **arrays)


def load_state(folder: Path) -> State:
    """RunError when it is damaged, or was made with another baseline."""
    header, arrays = _read(folder / STATE, StateHeader)
    if header.baseline != baseline_digest(folder):
        raise RunError(
            "The state belongs to another baseline.",
            where=str(folder),
            fix="Restore the folder as it was, or begin anew in another one.",
        )
    witnesses: dict[tuple[str, str], deque[Witness]] = {}
    for witness in header.witnesses:
        witnesses.setdefault((witness.agent, witness.kind), deque(maxlen=3)).append(witness)
    return State(
        bets=Ledger(arrays["bets"], header.blocks),
        course=_course(arrays, "course"),
        silence=Ledger(arrays["silence"], header.blocks),
        silence_course=_course(arrays, "silence_course"),
        features=arrays["features"],
        recent=Recent(arrays["recent"], header.doublings),
        seen=arrays["seen"],
        raised=arrays["raised"],
        alarms=list(header.alarms),
        health=header.health,
        witnesses=witnesses,
        strangers=dict(zip(header.strangers, arrays["strangers"], strict=True)),
        stranger_events=header.stranger_events.frequent(),
        stranger_names=Distinct(arrays["registers"]),
        other_kinds=header.other_kinds.frequent(),
        done=dict(header.done),
        ended=header.ended,
        seconds=header.seconds,
    )


def _course(arrays: Mapping[str, np.ndarray], name: str) -> Course:
    return Course(**{part: arrays[f"{name}.{part}"] for part in ("block", "time", "events", "total")})


def _write(path: Path, header: Record, **arrays: np.ndarray) -> None:
    from safetensors.numpy import save

    content = {name: np.ascontiguousarray(values) for name, values in arrays.items()}
    write_atomically(path, save(content, metadata={HEADER: header.model_dump_json()}))


def _read(path: Path, kind: type[Any]) -> tuple[Any, dict[str, np.ndarray]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            header = kind.model_validate_json((file.metadata() or {}).get(HEADER, ""))
            return header, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # no mapping
    except (SafetensorError, ValidationError, OSError) as error:
        raise RunError(
            f"What the monitor had kept is damaged: {type(error).__name__}.",
            where=str(path),
            fix="Restore the folder from a copy, or begin anew in another one.",
        ) from None
