"""A tamper-evident log of every step, commitment and decision: an RFC 9162 Merkle tree in one SQLite file.

Every row carries a signature of the root as it stood once the row was in, so a checker that recomputes the tree from
the first row on finds the first bad entry, and there is no stored hash that a tamperer could make fit. A separately
signed head tells how many rows there must be, so a cut-off tail shows too. Whoever holds `ledger.key` can rewrite
everything, and an older copy of the whole file is a valid ledger: keep the key apart, publish the root.
"""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from pydantic import ValidationError

from superalign.contracts.errors import LedgerError
from superalign.contracts.records import Record
from superalign.provenance import merkle
from superalign.provenance.digest import canonical_json
from superalign.provenance.merkle import Frontier, leaf_hash

_TABLES = (
    "CREATE TABLE key (public BLOB NOT NULL)",
    "CREATE TABLE head (size INTEGER NOT NULL, root BLOB NOT NULL, signature BLOB NOT NULL)",
    "CREATE TABLE entries (seq INTEGER PRIMARY KEY, entry TEXT NOT NULL, signature BLOB NOT NULL)",
)
_DISTRUST = "Restore the run folder from a copy, or run the plan again in a new one."


class Entry(Record):
    """One thing that happened. `seq` counts from 0, `time` is UTC in ISO 8601."""

    seq: int
    time: str
    kind: str
    body: dict[str, Any]


class LedgerReport(Record):
    """A ledger that verified. Compare `root` or `public_key` (hex) with a copy kept elsewhere."""

    entries: int
    root: str
    public_key: str


class Ledger:
    """Opens the ledger at `path`, or makes one with a fresh key in `ledger.key` beside it (mode 0600).

    LedgerError when the file is not a ledger; OSError with ENOSPC or EACCES when the disk is full or read-only.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._frontier = Frontier()
        with _readable(path):
            self._database = _connect(path, mode="rwc")
            try:
                self._create_if_new()
                self._public = _public_key(self._database, path)
            except BaseException:
                self._database.close()
                raise
        self.public_key = self._public.public_bytes_raw().hex()

    def append(self, kind: str, body: Mapping[str, Any]) -> int:
        """Add an entry and return its number. It is on disk when this returns, and there entirely or not at all."""
        key = self._private_key()
        with _readable(self.path), _transaction(self._database):
            self._catch_up()
            frontier = self._frontier.copy()
            seq, now = frontier.size, datetime.now(UTC).isoformat(timespec="microseconds")
            entry = canonical_json({"seq": seq, "time": now, "kind": kind, "body": body})
            frontier.push(leaf_hash(entry))
            self._database.execute(
                "INSERT INTO entries VALUES (?, ?, ?)", (seq, entry.decode(), key.sign(_signed("entry", frontier)))
            )
            self._database.execute(
                "UPDATE head SET size = ?, root = ?, signature = ?",
                (frontier.size, frontier.root(), key.sign(_signed("head", frontier))),
            )
        self._frontier = frontier
        return seq

    def entries(self, kind: str | None = None) -> list[Entry]:
        """All entries in order, or those of one kind."""
        entries = [Entry.model_validate_json(entry) for _, entry, _ in self._rows()]
        return [entry for entry in entries if kind in (None, entry.kind)]

    def __len__(self) -> int:
        return len(self._leaves())

    def root(self) -> bytes:
        """Root over all entries."""
        return merkle.tree_root(self._leaves())

    def inclusion_proof(self, index: int) -> list[bytes]:
        """Proof for `merkle.verify_inclusion` that entry `index` is in the log as it stands."""
        return merkle.inclusion_proof(self._leaves(), index)

    def consistency_proof(self, first: int, second: int) -> list[bytes]:
        """Proof for `merkle.verify_consistency` that the log of `second` entries extends that of `first`."""
        leaves = self._leaves()
        if second > len(leaves):
            raise ValueError(f"The log has {len(leaves)} entries, not {second}.")
        return merkle.consistency_proof(leaves[:second], first)

    def close(self) -> None:
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _create_if_new(self) -> None:
        with _transaction(self._database):
            if self._database.execute("SELECT name FROM sqlite_master WHERE name = 'head'").fetchone():
                return
            key, empty = Ed25519PrivateKey.generate(), Frontier()
            for table in _TABLES:
                self._database.execute(table)
            self._database.execute("INSERT INTO key VALUES (?)", (key.public_key().public_bytes_raw(),))
            self._database.execute(
                "INSERT INTO head VALUES (0, ?, ?)", (empty.root(), key.sign(_signed("head", empty)))
            )
            # Inside the transaction: a process that dies here leaves an orphan key, never a ledger without one.
            _write_key(_key_path(self.path), key)

    def _catch_up(self) -> None:
        """Bring the frontier up to the rows on disk; refuse to sign on top of rows that the head does not vouch for."""
        for _, entry, _ in self._rows(since=self._frontier.size):
            self._frontier.push(leaf_hash(entry))
        size, _, signature = _head(self._database, self.path)
        if size != self._frontier.size or not _genuine(self._public, signature, _signed("head", self._frontier)):
            raise LedgerError(
                "The ledger's entries do not fit its signed head, so nothing may be added.",
                where=str(self.path),
                fix=f"Type `superalign ledger verify {self.path.parent}` to see the first bad entry. {_DISTRUST}",
            )

    def _private_key(self) -> Ed25519PrivateKey:
        path = _key_path(self.path)
        key = _read_key(path)
        if key is None or key.public_key() != self._public:
            raise LedgerError(
                "The ledger's key is missing or not the one that it was made with, so nothing can be added.",
                where=str(path),
                fix=f"Put the original {path.name} back. {_DISTRUST}",
            )
        return key

    def _rows(self, since: int = 0) -> list[tuple[int, bytes, bytes]]:
        query = "SELECT seq, entry, signature FROM entries WHERE seq >= ? ORDER BY seq"
        with _readable(self.path):
            return self._database.execute(query, (since,)).fetchall()

    def _leaves(self) -> list[bytes]:
        return [leaf_hash(entry) for _, entry, _ in self._rows()]


def read(path: Path, kind: str | None = None) -> list[Entry]:
    """All entries as they stand, or those of one kind, without a check, a lock or a file made. LedgerError when it is
    no ledger, or when an entry can't be read.
    """
    if not path.is_file():
        raise LedgerError("There is no ledger here.", where=str(path), fix="Give a run folder that holds a ledger.db.")
    with _readable(path), closing(_connect(path, mode="ro")) as database:
        rows = database.execute("SELECT entry FROM entries ORDER BY seq").fetchall()
    try:
        entries = [Entry.model_validate_json(entry) for (entry,) in rows]
    except ValidationError:
        raise LedgerError("An entry of the ledger can't be read.", where=str(path), fix=_DISTRUST) from None
    return [entry for entry in entries if kind in (None, entry.kind)]


def verify(path: Path, public_key: str | None = None) -> LedgerReport:
    """Recompute the whole ledger at `path`, checking every signature.

    `public_key` (hex) is the key it must be signed with, where that is known from elsewhere; a `ledger.key` beside the
    file is compared too. LedgerError names the first bad entry, in its text and as `entry`, or says what else is wrong.
    """
    if not path.is_file():
        raise LedgerError("There is no ledger here.", where=str(path), fix="Give a run folder that holds a ledger.db.")
    with _readable(path), closing(_connect(path, mode="rw")) as database:
        database.execute("BEGIN")  # one snapshot, even while a run appends
        signer = _public_key(database, path)
        own_key = _read_key(_key_path(path))
        if public_key not in (None, signer.public_bytes_raw().hex()) or (own_key and own_key.public_key() != signer):
            raise LedgerError("The ledger was signed with another key.", where=str(path), fix=_DISTRUST)
        frontier = _verify_entries(database, path, signer)
        size, root, signature = _head(database, path)
        if size > frontier.size:
            raise _bad(path, frontier.size, f"is missing, with all after it: the signed head counts {size}")
        fits = (size, root) == (frontier.size, frontier.root())
        if not fits or not _genuine(signer, signature, _signed("head", frontier)):
            raise LedgerError(
                f"All {frontier.size} entries are sound, but the ledger's head was changed.",
                where=str(path),
                fix=_DISTRUST,
            )
    return LedgerReport(entries=frontier.size, root=frontier.root().hex(), public_key=signer.public_bytes_raw().hex())


def _verify_entries(database: sqlite3.Connection, path: Path, signer: Ed25519PublicKey) -> Frontier:
    frontier = Frontier()
    rows = database.execute("SELECT seq, entry, signature FROM entries ORDER BY seq")
    while True:
        position = frontier.size
        try:
            row = rows.fetchone()
        except sqlite3.DatabaseError as error:
            raise _bad(path, position, f"can't be read: {error}") from None
        if row is None:
            return frontier
        seq, entry, signature = row
        if seq > position:
            raise _bad(path, position, "is missing")
        if seq < position or not isinstance(entry, bytes):
            raise _bad(path, seq, "does not belong here")
        frontier.push(leaf_hash(entry))
        if not _genuine(signer, signature, _signed("entry", frontier)):
            raise _bad(path, position, "was changed, moved or put in by someone without the ledger's key")


def _bad(path: Path, entry: int, what: str) -> LedgerError:
    return LedgerError(f"Entry {entry} of the ledger {what}.", where=str(path), entry=entry, fix=_DISTRUST)


def _signed(role: Literal["entry", "head"], frontier: Frontier) -> bytes:
    """What is signed. The role keeps the signature of an entry from passing for that of a head of the same size."""
    return b"superalign ledger " + role.encode() + frontier.size.to_bytes(8, "big") + frontier.root()


def _genuine(signer: Ed25519PublicKey, signature: Any, message: bytes) -> bool:
    try:
        signer.verify(signature, message)
    except (InvalidSignature, TypeError):
        return False
    return True


def _head(database: sqlite3.Connection, path: Path) -> tuple[Any, Any, Any]:
    heads = database.execute("SELECT size, root, signature FROM head").fetchall()
    if len(heads) != 1 or not isinstance(heads[0][0], int):
        raise LedgerError("The ledger's head is missing or was changed.", where=str(path), fix=_DISTRUST)
    size, root, signature = heads[0]
    return size, root, signature


def _public_key(database: sqlite3.Connection, path: Path) -> Ed25519PublicKey:
    try:
        ((public,),) = database.execute("SELECT public FROM key")
        return Ed25519PublicKey.from_public_bytes(public)
    except (ValueError, TypeError):
        raise LedgerError("The ledger's public key was changed.", where=str(path), fix=_DISTRUST) from None


def _key_path(path: Path) -> Path:
    return path.with_suffix(".key")


def _write_key(path: Path, key: Ed25519PrivateKey) -> None:
    path.unlink(missing_ok=True)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(key.private_bytes_raw().hex())
        file.flush()
        os.fsync(file.fileno())


def _read_key(path: Path) -> Ed25519PrivateKey | None:
    try:
        return Ed25519PrivateKey.from_private_bytes(bytes.fromhex(path.read_text()))
    except (FileNotFoundError, ValueError):
        return None


def _connect(path: Path, *, mode: Literal["ro", "rw", "rwc"]) -> sqlite3.Connection:
    """A rollback journal rather than a write-ahead log: between transactions the ledger is one file, safe to copy."""
    database = sqlite3.connect(f"{path.absolute().as_uri()}?mode={mode}", uri=True, timeout=30, isolation_level=None)
    database.text_factory = bytes  # hash the bytes as they lie there, valid UTF-8 or not
    database.execute("PRAGMA synchronous = EXTRA")
    return database


@contextmanager
def _transaction(database: sqlite3.Connection) -> Iterator[None]:
    database.execute("BEGIN IMMEDIATE")
    try:
        yield
        database.execute("COMMIT")
    except BaseException:
        if database.in_transaction:
            database.execute("ROLLBACK")
        raise


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Say what SQLite's errors mean: a full or read-only disk is an OSError like any other, the rest no ledger."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the low byte is the primary code
        if code == sqlite3.SQLITE_FULL:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)) from None
        if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_CANTOPEN):
            raise OSError(errno.EACCES, os.strerror(errno.EACCES), str(path)) from None
        if code == sqlite3.SQLITE_BUSY:
            raise LedgerError(
                "Another process holds the ledger.", where=str(path), fix="Wait for it to end, then try again."
            ) from None
        raise LedgerError(f"This is not a readable ledger: {error}.", where=str(path), fix=_DISTRUST) from None
