"""From streams to alarms: files are cut into blocks, counted here or by workers, and taken by the monitor in order.

The alarms are the same whoever counts. A killed monitor goes on behind the last block that its state tells of.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

from superalign.contracts.errors import InputError
from superalign.contracts.fleet import Alarm, Block, Health
from superalign.contracts.records import Record
from superalign.control.fleet.baseline import Baseline, fit
from superalign.control.fleet.counting import Counted, count
from superalign.control.fleet.monitor import Monitor, misfits
from superalign.control.fleet.reading import Unreadable, blocks
from superalign.control.fleet.register import Register
from superalign.control.fleet.saved import (
    BASELINE,
    STATE,
    baseline_digest,
    load_baseline,
    load_counted,
    load_state,
    save_baseline,
    save_counted,
    save_state,
)
from superalign.runs.cells import Cell, Task, raised, task_for
from superalign.runs.disk import FolderLock, disk_errors
from superalign.runs.launch import HERE, Launch, check, executor, outcomes
from superalign.runs.store import StepStore, step_key

SECONDS_PER_BLOCK = 600.0
SECONDS_BETWEEN_SAVES = 10.0


class InBlock(Record):
    """What a worker says of a block; its counts lie beside it."""

    events: int


def begin(folder: Path, files: Sequence[Path], register: Register, promise: float, tolerance: float = 0.0) -> Baseline:
    """Fit a baseline to the clean streams in `files`, and keep it in `folder`.

    InputError when there is one already, since it must not be fitted again on what was seen since; when the reference
    is too little or damaged; and when its agents differ within groups, since the promise could not be kept.
    """
    if (folder / BASELINE).exists():
        raise InputError(
            "There is a baseline here already, and a new one would be fitted after looking.",
            where=str(folder),
            fix="Leave --reference and --register out to go on, or name another folder.",
        )
    baseline, table = fit(files, register, promise, tolerance)
    if unlike := list(dict.fromkeys(misfits(baseline, table))):
        more = f" and {len(unlike) - 3:,} more" if len(unlike) > 3 else ""
        raise InputError(
            f"In the reference itself {', '.join(unlike[:3])}{more} are unlike the rest of their groups, so that a "
            "clean fleet would raise alarms.",
            fix="Give them groups of their own in the register, or allow for some difference, as in --tolerance 0.02.",
        )
    with disk_errors(_existing(folder)):
        folder.mkdir(parents=True, exist_ok=True)
        save_baseline(folder, baseline)
    return baseline


def watch(
    folder: Path, files: Sequence[Path], launch: Launch = HERE, tell: Callable[[Alarm], None] | None = None
) -> Monitor:
    """Take what is new in `files`; the state in `folder` is kept up. `tell` gets each alarm as it is raised."""
    check(launch)
    _need_baseline(folder)
    with disk_errors(folder):
        lock = FolderLock(folder)
        try:
            return _watched(folder, files, launch, tell)
        finally:
            lock.release()


def opened(folder: Path) -> Monitor:
    """The monitor of a folder, as it was left. InputError when there is none."""
    _need_baseline(folder)
    return Monitor(load_baseline(folder), load_state(folder) if (folder / STATE).exists() else None)


def _need_baseline(folder: Path) -> None:
    if not (folder / BASELINE).is_file():
        raise InputError(
            "There is no baseline here.", where=str(folder), fix="Give --register and --reference to fit one."
        )


def _watched(folder: Path, files: Sequence[Path], launch: Launch, tell: Callable[[Alarm], None] | None) -> Monitor:
    monitor = opened(folder)
    began = saved = time.monotonic()
    before = monitor.state.seconds
    for block, counted in _counted(_new_blocks(monitor, files), folder, monitor.baseline, launch):
        for alarm in monitor.take(block, counted):
            if tell:
                tell(alarm)
        monitor.state.seconds = before + time.monotonic() - began
        if time.monotonic() - saved > SECONDS_BETWEEN_SAVES:
            save_state(folder, monitor.state)
            saved = time.monotonic()
    save_state(folder, monitor.state)
    return monitor


def _new_blocks(monitor: Monitor, files: Sequence[Path]) -> Iterator[Block]:
    for path in files:
        try:
            yield from blocks(path, monitor.state.done.get(str(path), 0))
        except Unreadable as error:
            if (said := f"{path} {error}") not in monitor.state.health.unreadable:
                monitor.state.health += Health(unreadable=(said,))


def _counted(
    found: Iterator[Block], folder: Path, baseline: Baseline, launch: Launch
) -> Iterator[tuple[Block, Counted]]:
    """The counts of each block, in the order of the blocks."""
    if launch == HERE:
        for block in found:
            yield block, count(block, baseline.register, baseline.layout, baseline.rare)
        return
    store = StepStore(folder)
    digest, order = baseline_digest(folder), dict[str, Block]()
    done: dict[str, str] = {}
    numbered = iter(enumerate(found))

    def tasks() -> Iterator[Task]:
        for number, block in numbered:
            arguments = {"number": number, "block": block, "baseline": str(folder.resolve()), "digest": digest}
            key = step_key(count_block, arguments)
            order[key] = block
            cell = Cell(f"{block.path} {block.start}", count_block, arguments)
            yield task_for(cell, key, folder.resolve(), SECONDS_PER_BLOCK)

    workers = executor(launch, folder)
    try:
        for outcome in outcomes(tasks(), workers):
            if outcome.fault:
                raise raised(outcome.fault)
            done[outcome.key] = outcome.lost or ""
            while (first := next(iter(order), None)) in done:
                block, lost = order.pop(first), done.pop(first)
                yield block, _lost(block, baseline, lost) if lost else _fetched(store, first)
    finally:
        workers.close()


def _fetched(store: StepStore, key: str) -> Counted:
    """What a worker has counted; taken off the disk, whose use must not grow with the stream."""
    step = store.wait_for(key, count_block)
    counted = load_counted(step.folder)
    shutil.rmtree(step.folder)
    return counted


def _lost(block: Block, baseline: Baseline, lost: str) -> Counted:
    table = np.zeros((len(baseline.register.agents), baseline.layout.width), np.int64)
    return Counted(table, Health(unreadable=(f"{block.path} from {block.start:,} on {lost}",)))


def count_block(folder: Path, number: int, block: Block, baseline: str, digest: str) -> InBlock:
    """Count a block in another process. `number` tells blocks apart, `digest` is that of the baseline."""
    known = _baseline(baseline, digest)
    counted = count(block, known.register, known.layout, known.rare)
    save_counted(folder, counted)
    return InBlock(events=counted.health.events)


@lru_cache(1)
def _baseline(folder: str, digest: str) -> Baseline:
    return load_baseline(Path(folder))


def _existing(path: Path) -> Path:
    return next(parent for parent in (path, *path.absolute().parents) if parent.exists())
