"""One run: a folder that a plan fills step by step, and that a killed process can pick up where it was."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from datetime import date
from pathlib import Path
from typing import Any, Self, TypeVar

from superalign.contracts.errors import InputError, LedgerError
from superalign.contracts.records import Cost, Record
from superalign.provenance.digest import digest
from superalign.provenance.ledger import Ledger, LedgerReport, verify
from superalign.runs.cells import Cell, Outcome, raised, task_for
from superalign.runs.code_version import code_version
from superalign.runs.disk import FolderLock, disk_errors, write_atomically
from superalign.runs.launch import HERE, Executor, Launch, check, executor, outcomes
from superalign.runs.manifest import Manifest, describe_run, read_manifest, write_manifest
from superalign.runs.plan import Plan, load_plan, plan_digest, plan_yaml
from superalign.runs.progress import Display, shown_on
from superalign.runs.store import DamagedStep, Done, StepStore, function_name, step_key
from superalign.runs.time_limit import TimeIsUp, limited

Value = TypeVar("Value", bound=Record)
FAILURE_FILE = "failure.txt"


class Run:
    """A run folder that this process holds the lock of, until `close` or the end of the `with` block."""

    manifest: Manifest

    def __init__(self, folder: Path, plan: Plan, *, display: Display, launch: Launch = HERE) -> None:
        """Take hold of `folder`, completing what is not there yet. Callers use `open` or `existing`."""
        check(launch)
        self.folder, self.plan = folder, plan
        self._display, self._launch = display, launch
        self._executor: Executor | None = None
        self._used: dict[str, Done[Record]] = {}
        with disk_errors(folder):
            self._lock = FolderLock(folder)
            try:
                self._set_up()
            except BaseException:
                self._lock.release()
                raise

    @classmethod
    def open(cls, root: Path, plan: Plan, *, display: Display, launch: Launch = HERE) -> Self:
        """The newest run of exactly this plan by this code under `root`, or a new one that takes over what holds.

        RunError when another process works in it, a newer superalign wrote it, or the disk does not let us.
        """
        if root.exists() and not root.is_dir():
            raise InputError("Runs go into a folder, and this is a file.", where=str(root), fix="Name another folder.")
        ending = f"{plan.name}-{_identity(plan)[:8]}"
        with disk_errors(_existing_parent(root)):
            root.mkdir(parents=True, exist_ok=True)
            of_this_plan = re.compile(rf"\d{{4}}-\d{{2}}-\d{{2}}-{re.escape(ending)}")
            runs = sorted(path for path in root.iterdir() if path.is_dir() and of_this_plan.fullmatch(path.name))
            folder = runs[-1] if runs else root / f"{date.today().isoformat()}-{ending}"
            folder.mkdir(exist_ok=True)
        return cls(folder, plan, display=display, launch=launch)

    @classmethod
    def existing(cls, folder: Path, *, display: Display, launch: Launch = HERE) -> Self:
        """The run in `folder`. InputError when there is none."""
        check_run_folder(folder)
        return cls(folder, load_plan(folder / "plan.yaml"), display=display, launch=launch)

    def step(self, label: str, function: Callable[..., Value], /, **arguments: Any) -> Done[Value]:
        """The result of `function(folder, **arguments)`, computed at most once for the same code and arguments.

        `function` is at module level and declares the Record that it returns; it may write files into `folder`.
        Arguments are JSON values, records and other steps' `Done`. Errors of `function` pass through, leaving nothing.
        """
        return self._step(step_key(function, arguments), Cell(label, function, arguments))

    def steps(
        self, label: str, cells: Sequence[Cell[Value]], *, time_limit: float, otherwise: Callable[[str], Value]
    ) -> list[Done[Value]]:
        """The result of every cell, in their order, each as of `step`; computed by workers, in any order, where the
        launch asks for them or a cell has code of others.

        A cell that takes longer than `time_limit` seconds, or whose worker keeps dying, gets `otherwise(what it did)`
        for its result: in this run for good, while other runs try again.
        """
        keys = [step_key(cell.function, cell.arguments) for cell in cells]
        waiting: dict[str, Cell[Value]] = {}
        for key, cell in zip(keys, cells, strict=True):
            if not self._launch.needs_worker(cell):
                self._cell(key, cell, time_limit, otherwise)
            elif key not in self._used and not self._reused(key, cell):
                waiting[key] = cell
        if waiting:
            self._dispatch(label, waiting, time_limit, otherwise)
        return [self._used[key] for key in keys]  # type: ignore[misc]  # the key covers the function, and so its type

    def known(self, function: Callable[..., Value], /, **arguments: Any) -> bool:
        """Whether `step` would find the result here or in a sibling run."""
        return self._steps.exists(step_key(function, arguments))

    def cost(self) -> Cost:
        """What the steps used so far took, when they were computed."""
        return sum((done.cost for done in self._used.values()), start=Cost())

    def write(self, name: str, content: str) -> Path:
        """Write a file such as `summary.json` into the run folder, whole or not at all; returns its path."""
        with disk_errors(self.folder):
            write_atomically(self.folder / name, content)
        return self.folder / name

    def note_in_manifest(self, key: str, value: Any) -> None:
        """Keep a JSON value under `notes` of the manifest."""
        self.manifest = self.manifest.model_copy(update={"notes": {**self.manifest.notes, key: value}})
        with disk_errors(self.folder):
            write_manifest(self.folder, self.manifest)

    def close(self) -> None:
        """End all workers, and let go of the folder."""
        if self._executor:
            self._executor.close()
        self.ledger.close()
        self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, Exception):  # for whoever looks at the folder later; an interrupt is no failure
            with suppress(OSError):
                write_atomically(self.folder / FAILURE_FILE, f"{type(error).__name__}: {error}\n")
        self.close()

    def _set_up(self) -> None:
        before = read_manifest(self.folder)
        (self.folder / FAILURE_FILE).unlink(missing_ok=True)
        self._steps = StepStore(self.folder)
        self._steps.remove_leftovers()
        self.ledger = Ledger(self.folder / "ledger.db")
        if before and before.ledger_public_key != self.ledger.public_key:
            self.ledger.close()
            raise _foreign_ledger(self.folder)
        self._in_ledger = {(entry.body["key"], entry.body["digest"]) for entry in self.ledger.entries("step")}
        self.write("plan.yaml", plan_yaml(self.plan))
        now = describe_run(self.plan, self.ledger.public_key)
        kept = {"created": before.created, "notes": before.notes} if before else {}
        self.manifest = now.model_copy(update=kept)
        # Last, so that a folder with a manifest is complete.
        write_manifest(self.folder, self.manifest)

    def _cell(self, key: str, cell: Cell[Value], seconds: float, otherwise: Callable[[str], Value]) -> None:
        """Compute the cell in this process, in so much time."""
        began = time.monotonic()
        try:
            self._step(key, cell, limited(seconds))
        except TimeIsUp:
            done = self._give_up(key, cell, f"took longer than {seconds:g} s", time.monotonic() - began, otherwise)
            self._enter(key, cell, done, reused=False)

    def _step(self, key: str, cell: Cell[Value], limit: AbstractContextManager[None] | None = None) -> Done[Value]:
        if key not in self._used and not self._reused(key, cell):
            self._display.start(cell.label)
            with disk_errors(self.folder), shown_on(self._display):
                done = self._steps.compute(key, cell.label, cell.function, cell.arguments, limit)
            self._enter(key, cell, done, reused=False)
        return self._used[key]  # type: ignore[return-value]  # the key covers the function, and so its type

    def _reused(self, key: str, cell: Cell[Any]) -> bool:
        """Take the cell's result from the store, if it is there."""
        with disk_errors(self.folder):
            done = self._find(key, cell.label, cell.function)
        if done is not None:
            self._enter(key, cell, done, reused=True)
        return done is not None

    def _enter(self, key: str, cell: Cell[Value], done: Done[Value], *, reused: bool) -> None:
        """Note in the ledger, once, that the step is done."""
        if (key, done.digest) not in self._in_ledger:
            function = function_name(cell.function)
            entry = {"label": cell.label, "key": key, "digest": done.digest, "function": function}
            with disk_errors(self.folder):
                self.ledger.append("step", entry)
            self._in_ledger.add((key, done.digest))
        self._used[key] = done
        self._display.finish(cell.label, done.cost.seconds, reused)

    def _dispatch(
        self, label: str, cells: Mapping[str, Cell[Value]], time_limit: float, otherwise: Callable[[str], Value]
    ) -> None:
        """Have workers compute all of `cells`, by their keys."""
        self._executor = self._executor or executor(self._launch, self.folder)
        began = time.monotonic()
        self._display.start(label)
        tasks = (task_for(cell, key, self.folder, time_limit) for key, cell in cells.items())
        for number, outcome in enumerate(outcomes(tasks, self._executor), start=1):
            self._take(outcome, cells[outcome.key], otherwise)
            self._display.advance(number, len(cells))
        self._steps.remove_leftovers()  # of workers that died
        self._display.finish(label, time.monotonic() - began, False)

    def _take(self, outcome: Outcome, cell: Cell[Value], otherwise: Callable[[str], Value]) -> None:
        if outcome.fault:
            raise raised(outcome.fault)
        if outcome.lost:
            done = self._give_up(outcome.key, cell, outcome.lost, outcome.seconds, otherwise)
        else:
            with disk_errors(self.folder):
                done = self._steps.wait_for(outcome.key, cell.function)
        self._enter(outcome.key, cell, done, reused=False)

    def _give_up(
        self, key: str, cell: Cell[Value], lost: str, seconds: float, otherwise: Callable[[str], Value]
    ) -> Done[Value]:
        """Let the cell be without its own result, after so many seconds, for what `lost` says."""
        value, cost = otherwise(lost), Cost(seconds=seconds)
        with disk_errors(self.folder):
            done = self._steps.give_up(key, cell.label, cell.function, cell.arguments, value, cost)
        self._display.warn(f"{cell.label} {lost}")
        return done

    def _find(self, key: str, label: str, function: Callable[..., Value]) -> Done[Value] | None:
        try:
            return self._steps.find(key, function)
        except DamagedStep as damage:
            aside = self._steps.set_aside(key)
            self._display.warn(f"step {label!r} was damaged ({damage}): kept as {aside.name}, computing it again")
            self.ledger.append("damaged", {"label": label, "key": key, "reason": str(damage)})
            return None


def check_run_folder(folder: Path) -> Manifest:
    """The manifest of `folder`. InputError when it is no run, RunError when it is a newer version's or damaged."""
    manifest = read_manifest(folder) if folder.is_dir() else None
    if manifest is None:
        raise InputError(
            "There is no run here.", where=str(folder), fix="Give a run folder; `superalign run PLAN` makes one."
        )
    return manifest


def verify_run(folder: Path) -> LedgerReport:
    """Check a run's ledger against the key that its manifest names, without taking the run's lock.

    LedgerError names the first bad entry; InputError and RunError as for `check_run_folder`.
    """
    public_key = check_run_folder(folder).ledger_public_key
    with disk_errors(folder):
        return verify(folder / "ledger.db", public_key)


def _identity(plan: Plan) -> str:
    """Digest of the plan and of the code that carries it out: a sealed trial must not be continued by other code."""
    return digest({"plan": plan_digest(plan), "code": code_version("superalign.pipeline")})


def _foreign_ledger(folder: Path) -> LedgerError:
    return LedgerError(
        "The run's ledger is gone, or another was put in its place.",
        where=str(folder / "ledger.db"),
        fix="Restore ledger.db and ledger.key, or move the run folder away and run the plan again.",
    )


def _existing_parent(path: Path) -> Path:
    return next(parent for parent in (path, *path.absolute().parents) if parent.exists())
