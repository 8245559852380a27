"""A queue of proposals for people to decide on, in one SQLite file that several processes may use at once.

People's time is the scarce thing: each decision is charged to an explicit budget of minutes. By rule, what nobody
decided by its deadline, and what is left once the budget is spent, is denied, and says so. An answer that comes too
late changes nothing.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import Field

from superalign.contracts.control import Opinion, Oversight
from superalign.contracts.errors import InputError, RunError
from superalign.contracts.records import Record, Unscored
from superalign.contracts.research import Program, Solution
from superalign.control.escaped import escaped
from superalign.control.monitors import suspicion

BY_RULE = "rule"  # who decided, where nobody did
LEAST_MINUTES = 0.5  # charged for any decision: reading takes time, even where the clock saw none
_BUSY_SECONDS = 30.0

_Found = TypeVar("_Found", bound=Record)
Answer = Literal["approve", "reject", "ask"]

_TABLES = (
    "CREATE TABLE IF NOT EXISTS budget (one INTEGER PRIMARY KEY CHECK (one = 1), minutes REAL NOT NULL)",
    "CREATE TABLE IF NOT EXISTS items (number INTEGER PRIMARY KEY AUTOINCREMENT, item TEXT NOT NULL,"
    " deadline REAL NOT NULL)",
    "CREATE TABLE IF NOT EXISTS openings (number INTEGER NOT NULL, reviewer TEXT NOT NULL, at REAL NOT NULL,"
    " PRIMARY KEY (number, reviewer))",
    "CREATE TABLE IF NOT EXISTS decisions (seq INTEGER PRIMARY KEY AUTOINCREMENT, number INTEGER NOT NULL,"
    " answer TEXT NOT NULL, who TEXT NOT NULL, reason TEXT NOT NULL, minutes REAL NOT NULL, at REAL NOT NULL)",
    "CREATE UNIQUE INDEX IF NOT EXISTS decided_once ON decisions (number) WHERE answer != 'ask'",
)


class Item(Record):
    """Something to decide on. The queue keeps all text as it was handed in, and hands it out with everything that can't
    be seen spelled out. It is no HTML yet.
    """

    number: int
    kind: str
    title: str
    text: str = Field(description="What would run or be accepted: a source, or the difference to the last.")
    opinions: tuple[Opinion | Unscored, ...] = ()
    estimated_minutes: float = Field(ge=0)
    deadline: float = Field(description="Seconds since 1970; who has not answered by then has denied.")

    @property
    def suspicion(self) -> float:
        return suspicion(self.opinions)


class Decision(Record):
    """One answer. `ask` leaves the item open; `who` is "rule" where nobody decided in time."""

    number: int
    answer: Answer
    who: str
    reason: str
    minutes: float = Field(ge=0, description="Of human time, as charged.")

    @property
    def approved(self) -> bool:
        return self.answer == "approve"


def needs_human(
    oversight: Oversight,
    kind: Literal["proposal", "result"],
    solution: Solution,
    opinions: Sequence[Opinion | Unscored],
    threshold: float = 0.5,
) -> bool:
    """Whether a person has to approve before it goes on.

    A final result always needs one. Before it runs, a proposal needs one under "every-step"; under "suspicious" when
    its suspicion is at least `threshold`, when a monitor could not rate it, and when it is a program; under "outcomes"
    never.
    """
    if kind == "result" or oversight == "every-step":
        return True
    if oversight == "outcomes":
        return False
    return isinstance(solution, Program) or suspicion(opinions) >= threshold


class ReviewQueue:
    """The queue in the file at `path`, made with a budget of `minutes` where there is none yet.

    The budget of an existing file stays as it is. `clock` gives seconds since 1970. InputError for a file of another
    kind; RunError when it can't be written.
    """

    def __init__(self, path: Path, minutes: float = 0.0, clock: Callable[[], float] = time.time) -> None:
        self.path, self._clock = path, clock
        if not 0 <= minutes < float("inf"):
            raise InputError(f"A budget can't be {minutes} minutes.", fix="Give a number of 0 or more.")
        with self._changing() as database:
            for table in _TABLES:
                database.execute(table)
            database.execute("INSERT OR IGNORE INTO budget VALUES (1, ?)", (minutes,))

    def submit(
        self,
        kind: str,
        title: str,
        text: str,
        opinions: Sequence[Opinion | Unscored] = (),
        *,
        estimated_minutes: float = LEAST_MINUTES,
        seconds: float,
    ) -> int:
        """Add an item that has to be decided within `seconds`, and return its number."""
        item = Item(
            number=0,
            kind=kind,
            title=title,
            text=text,
            opinions=tuple(opinions),
            estimated_minutes=estimated_minutes,
            deadline=self._clock() + seconds,
        )
        with self._changing() as database:
            added = database.execute(
                "INSERT INTO items (item, deadline) VALUES (?, ?)", (item.model_dump_json(), item.deadline)
            )
            return int(added.lastrowid or 0)

    def pending(self) -> list[Item]:
        """What waits for a person, the most suspicious first."""
        with self._changing() as database:
            rows = self._deny_by_rule(database)
        return sorted((_shown(_item(row)) for row in rows), key=lambda item: (-item.suspicion, item.number))

    def open(self, number: int, reviewer: str) -> Item:
        """Show an item to a reviewer, whose time runs from now, or from when they opened it first.

        InputError for one that is not there, or decided.
        """
        with self._changing() as database:
            item = self._waiting(database, number)
            if isinstance(item, Item):
                database.execute(
                    "INSERT OR IGNORE INTO openings VALUES (?, ?, ?)", (number, _who(reviewer), self._clock())
                )
        return _shown(_or_refused(item))

    def decide(self, number: int, answer: Answer, *, reviewer: str, reason: str) -> Decision:
        """Record an answer and charge its time: since the reviewer opened it, and half a minute at least.

        InputError without a reason, for an item that this reviewer has not opened, and for one that is decided, by its
        deadline or the budget too: then the answer came too late.
        """
        if not reason.strip():
            raise InputError("A decision needs a reason.", fix="Say why in a sentence.")
        if answer not in ("approve", "reject", "ask"):
            raise InputError(f"{answer!r} is no decision.", fix="Use approve, reject or ask.")
        with self._changing() as database:
            item = self._waiting(database, number)
            made = self._charged(database, number, answer, _who(reviewer), reason) if isinstance(item, Item) else item
        return _or_refused(made)

    def decision(self, number: int) -> Decision | None:
        """What was decided, by a person or by rule; None while it waits."""
        with self._changing() as database:
            self._deny_by_rule(database)
            self._known(database, number)
            row = database.execute("SELECT * FROM decisions WHERE number = ? AND answer != 'ask'", (number,)).fetchone()
        return _decision(row) if row else None

    def decisions(self) -> list[Decision]:
        """Every answer in order, those that asked included."""
        with self._changing() as database:
            self._deny_by_rule(database)
            return [_decision(row) for row in database.execute("SELECT * FROM decisions ORDER BY seq")]

    @property
    def minutes_left(self) -> float:
        """Of the budget. A decision that was begun within it may overdraw it; then this is 0."""
        with self._changing() as database:
            return max(0.0, _left(database))

    def _waiting(self, database: sqlite3.Connection, number: int) -> Item | InputError:
        """The item, or why it does not wait. Returned, not raised: what was denied by rule on the way has to stay."""
        self._deny_by_rule(database)
        item = self._known(database, number)
        row = database.execute("SELECT * FROM decisions WHERE number = ? AND answer != 'ask'", (number,)).fetchone()
        if row is None:
            return item
        made = _decision(row)
        return InputError(f"Item {number} is decided: {made.answer} by {made.who}.", where=made.reason)

    def _charged(
        self, database: sqlite3.Connection, number: int, answer: Answer, reviewer: str, reason: str
    ) -> Decision | InputError:
        opened = database.execute(
            "SELECT at FROM openings WHERE number = ? AND reviewer = ?", (number, reviewer)
        ).fetchone()
        if opened is None:
            return InputError(f"{reviewer} has not opened item {number}.", fix="Open it first, and read it.")
        minutes = max(LEAST_MINUTES, (self._clock() - opened["at"]) / 60)
        decision = Decision(number=number, answer=answer, who=reviewer, reason=reason, minutes=minutes)
        self._record(database, decision)
        if answer == "ask":  # the answer to the question is read later, and costs its own time
            database.execute("DELETE FROM openings WHERE number = ? AND reviewer = ?", (number, reviewer))
        return decision

    def _deny_by_rule(self, database: sqlite3.Connection) -> list[sqlite3.Row]:
        """Reject what is overdue, or what there is no human time for; return what still waits."""
        rows = database.execute(
            "SELECT * FROM items WHERE number NOT IN (SELECT number FROM decisions WHERE answer != 'ask')"
        ).fetchall()
        spent, now = _left(database) <= 0, self._clock()
        waiting = []
        for row in rows:
            if row["deadline"] > now and not spent:
                waiting.append(row)
                continue
            late = (
                "nobody decided by the deadline" if row["deadline"] <= now else "the budget of human minutes is spent"
            )
            reason = f"Denied by rule: {late}."
            self._record(
                database, Decision(number=row["number"], answer="reject", who=BY_RULE, reason=reason, minutes=0)
            )
        return waiting

    def _record(self, database: sqlite3.Connection, decision: Decision) -> None:
        database.execute(
            "INSERT INTO decisions (number, answer, who, reason, minutes, at) VALUES (?, ?, ?, ?, ?, ?)",
            (decision.number, decision.answer, decision.who, decision.reason, decision.minutes, self._clock()),
        )

    def _known(self, database: sqlite3.Connection, number: int) -> Item:
        row = database.execute("SELECT * FROM items WHERE number = ?", (number,)).fetchone()
        if row is None:
            raise InputError(f"There is no item {number} in the queue.", where=str(self.path))
        return _item(row)

    @contextmanager
    def _changing(self) -> Iterator[sqlite3.Connection]:
        """One transaction that no other process comes between. A connection of its own: threads may share a queue."""
        try:
            with closing(sqlite3.connect(self.path, timeout=_BUSY_SECONDS, isolation_level=None)) as database:
                database.row_factory = sqlite3.Row
                database.execute("PRAGMA journal_mode = WAL")
                database.execute("PRAGMA synchronous = FULL")
                database.execute("BEGIN IMMEDIATE")
                try:
                    yield database
                except BaseException:
                    database.execute("ROLLBACK")
                    raise
                database.execute("COMMIT")
        except (sqlite3.OperationalError, OSError) as problem:
            raise RunError(f"The review queue can't be used: {problem}.", where=str(self.path)) from None
        except sqlite3.DatabaseError:
            raise InputError("This is no review queue.", where=str(self.path), fix="Name another file.") from None


def _or_refused(found: _Found | InputError) -> _Found:
    if isinstance(found, InputError):
        raise found
    return found


def _left(database: sqlite3.Connection) -> float:
    total = database.execute("SELECT minutes FROM budget").fetchone()[0]
    spent = database.execute("SELECT COALESCE(SUM(minutes), 0) FROM decisions").fetchone()[0]
    return float(total) - float(spent)


def _item(row: sqlite3.Row) -> Item:
    return Item.model_validate_json(row["item"]).model_copy(update={"number": row["number"]})


def _shown(item: Item) -> Item:
    texts = {name: escaped(getattr(item, name)) for name in ("kind", "title", "text")}
    return item.model_copy(update={**texts, "opinions": tuple(map(_shown_opinion, item.opinions))})


def _shown_opinion(opinion: Opinion | Unscored) -> Opinion | Unscored:
    if isinstance(opinion, Unscored):
        return Unscored(reason=escaped(opinion.reason))
    seen = {name: tuple(map(escaped, getattr(opinion, name))) for name in ("reasons", "evidence")}
    return opinion.model_copy(update={"monitor": escaped(opinion.monitor), **seen})


def _decision(row: sqlite3.Row) -> Decision:
    return Decision.model_validate({name: row[name] for name in Decision.model_fields})


def _who(reviewer: str) -> str:
    """A name that a person can have. The rule's own name is not one."""
    name = reviewer.strip()
    if not name or name == BY_RULE or escaped(name) != name:
        raise InputError(f"{escaped(reviewer)!r} can't be a reviewer's name.", fix="Give your own name.")
    return name
