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
from typing import Literal

from superalign.contracts.control import Opinion, Oversight
from superalign.contracts.errors import InputError, RunError
from superalign.contracts.records import Unscored
from superalign.contracts.research import Program, Solution
from superalign.contracts.review import ItemState, MonitorOpinion, ReviewDecision, ReviewItem
from superalign.control.escaped import escaped
from superalign.control.monitors import suspicion

QUEUE = "reviews.db"  # in the folder of runs
BY_RULE = "rule"  # who decided, where nobody did
LEAST_MINUTES = 0.5  # charged for any decision: reading takes time, even where the clock saw none
_BUSY_SECONDS = 30.0

STATES: dict[str, ItemState] = {"approve": "approved", "reject": "rejected", "ask": "asked", "expire": "expired"}

_TABLES = (
    "CREATE TABLE IF NOT EXISTS budget (one INTEGER PRIMARY KEY CHECK (one = 1), minutes REAL NOT NULL)",
    "CREATE TABLE IF NOT EXISTS items (number INTEGER PRIMARY KEY AUTOINCREMENT, item TEXT NOT NULL,"
    " deadline REAL NOT NULL)",
    "CREATE TABLE IF NOT EXISTS openings (number INTEGER NOT NULL, reviewer TEXT NOT NULL, at REAL NOT NULL,"
    " PRIMARY KEY (number, reviewer))",
    "CREATE TABLE IF NOT EXISTS decisions (seq INTEGER PRIMARY KEY AUTOINCREMENT, number INTEGER NOT NULL,"
    " answer TEXT NOT NULL, who TEXT NOT NULL, reason TEXT NOT NULL, minutes REAL NOT NULL, at REAL NOT NULL)",
    "CREATE UNIQUE INDEX IF NOT EXISTS decided_once ON decisions (number)",
)


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
        body: str,
        opinions: Sequence[MonitorOpinion] = (),
        *,
        diff: str = "",
        cost: str = "",
        seconds: float,
    ) -> int:
        """Add an item that has to be decided within `seconds`, and return its number."""
        now = self._clock()
        item = ReviewItem(
            number=0,
            kind=kind,
            title=title,
            body=body,
            diff=diff,
            opinions=tuple(opinions),
            cost=cost,
            asked_at=now,
            deadline=now + seconds,
        )
        with self._changing() as database:
            added = database.execute(
                "INSERT INTO items (item, deadline) VALUES (?, ?)", (item.model_dump_json(), item.deadline)
            )
            return int(added.lastrowid or 0)

    def pending(self) -> list[ReviewItem]:
        """What waits for a person, the most suspicious first."""
        with self._changing() as database:
            rows = self._deny_by_rule(database)
        return sorted((_shown(_item(row)) for row in rows), key=lambda item: (-_suspicion(item), item.number))

    def get(self, number: int) -> ReviewItem:
        """The item as it stands, decided or not. InputError when there is none."""
        with self._changing() as database:
            self._deny_by_rule(database)
            return _shown(self._known(database, number))

    def open(self, number: int, reviewer: str) -> ReviewItem:
        """Show an item to a reviewer, whose time runs from now, or from when they opened it first. One that is decided
        is shown as it stands. InputError for one that is not there.
        """
        who = _who(reviewer)
        with self._changing() as database:
            self._deny_by_rule(database)
            item = self._known(database, number)
            if item.state == "pending":
                database.execute("INSERT OR IGNORE INTO openings VALUES (?, ?, ?)", (number, who, self._clock()))
        return _shown(item)

    def decide(self, decision: ReviewDecision) -> ReviewItem:
        """Record a decision and charge its time: since the reviewer opened it, and half a minute at least.

        InputError for an item that this reviewer has not opened, and for one that is decided, by its deadline or the
        budget too: then the answer came too late.
        """
        reviewer = _who(decision.reviewer)
        with self._changing() as database:
            self._deny_by_rule(database)
            item = self._known(database, decision.number)
            refusal = self._charged(database, item, decision, reviewer)
        if refusal:  # raised here and not above: what was denied by rule on the way has to stay
            raise refusal
        return self.get(decision.number)

    @property
    def minutes_left(self) -> float:
        """Of the budget. A decision that was begun within it may overdraw it; then this is 0."""
        with self._changing() as database:
            return max(0.0, _left(database))

    def _charged(
        self, database: sqlite3.Connection, item: ReviewItem, decision: ReviewDecision, reviewer: str
    ) -> InputError | None:
        if item.state != "pending":
            return InputError(f"Item {item.number} is {item.state} by {item.reviewer}.", where=item.reason)
        opened = database.execute(
            "SELECT at FROM openings WHERE number = ? AND reviewer = ?", (item.number, reviewer)
        ).fetchone()
        if opened is None:
            return InputError(f"{reviewer} has not opened item {item.number}.", fix="Open it first, and read it.")
        minutes = max(LEAST_MINUTES, (self._clock() - opened["at"]) / 60)
        self._record(database, item.number, decision.verdict, reviewer, decision.reason, minutes)
        return None

    def _deny_by_rule(self, database: sqlite3.Connection) -> list[sqlite3.Row]:
        """Reject what is overdue, or what there is no human time for; return what still waits."""
        rows = database.execute("SELECT * FROM items WHERE number NOT IN (SELECT number FROM decisions)").fetchall()
        spent, now = _left(database) <= 0, self._clock()
        waiting = []
        for row in rows:
            if row["deadline"] > now and not spent:
                waiting.append(row)
                continue
            late = (
                "nobody decided by the deadline" if row["deadline"] <= now else "the budget of human minutes is spent"
            )
            self._record(database, row["number"], "expire", BY_RULE, f"Denied by rule: {late}.", 0.0)
        return waiting

    def _record(
        self, database: sqlite3.Connection, number: int, answer: str, who: str, reason: str, minutes: float
    ) -> None:
        database.execute(
            "INSERT INTO decisions (number, answer, who, reason, minutes, at) VALUES (?, ?, ?, ?, ?, ?)",
            (number, answer, who, reason, minutes, self._clock()),
        )

    def _known(self, database: sqlite3.Connection, number: int) -> ReviewItem:
        """The item with what was decided on it, if anything was."""
        row = database.execute("SELECT * FROM items WHERE number = ?", (number,)).fetchone()
        if row is None:
            raise InputError(f"There is no item {number} in the queue.", where=str(self.path))
        made = database.execute("SELECT * FROM decisions WHERE number = ?", (number,)).fetchone()
        if made is None:
            return _item(row)
        decided = {"state": STATES[made["answer"]], "reason": made["reason"], "reviewer": made["who"]}
        return _item(row).model_copy(update={**decided, "minutes": made["minutes"]})

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


def _left(database: sqlite3.Connection) -> float:
    total = database.execute("SELECT minutes FROM budget").fetchone()[0]
    spent = database.execute("SELECT COALESCE(SUM(minutes), 0) FROM decisions").fetchone()[0]
    return float(total) - float(spent)


def _item(row: sqlite3.Row) -> ReviewItem:
    return ReviewItem.model_validate_json(row["item"]).model_copy(update={"number": row["number"]})


def _suspicion(item: ReviewItem) -> float:
    """Of the most suspicious monitor; what one could not rate, or none did, is at 1."""
    rated = [1.0 if isinstance(one.suspicion, Unscored) else one.suspicion for one in item.opinions]
    return max(rated, default=1.0)


def _shown(item: ReviewItem) -> ReviewItem:
    """With everything that can't be seen spelled out. It is no HTML yet."""
    texts = {name: escaped(getattr(item, name)) for name in ("kind", "title", "body", "diff", "cost", "reason")}
    return item.model_copy(update={**texts, "opinions": tuple(map(_shown_opinion, item.opinions))})


def _shown_opinion(opinion: MonitorOpinion) -> MonitorOpinion:
    suspicion = opinion.suspicion
    if isinstance(suspicion, Unscored):
        suspicion = Unscored(reason=escaped(suspicion.reason))
    reasons = tuple(map(escaped, opinion.reasons))
    return MonitorOpinion(monitor=escaped(opinion.monitor), suspicion=suspicion, reasons=reasons)


def _who(reviewer: str) -> str:
    """A name that a person can have. The rule's own name is not one."""
    name = reviewer.strip()
    if not name or name == BY_RULE or escaped(name) != name:
        raise InputError(f"{escaped(reviewer)!r} can't be a reviewer's name.", fix="Give your own name.")
    return name
