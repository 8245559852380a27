"""A witness: it remembers the last head that it saw of each ledger, and signs only those that extend it.

Whoever owns a ledger and its key can show one history to some and another to others. A witness that others trust makes
that impossible, as long as it runs elsewhere: of two heads that do not extend each other it signs one at most.
"""

from __future__ import annotations

import base64
import binascii
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from superalign.contracts.errors import InputError, LedgerError
from superalign.provenance.heads import LOG, WITNESS, Head, PrivateKey, PublicKey
from superalign.provenance.merkle import consistency_proof, verify_consistency

_TABLE = "CREATE TABLE IF NOT EXISTS heads (origin TEXT PRIMARY KEY, log_key TEXT NOT NULL, note TEXT NOT NULL)"


class Refusal(LedgerError):
    """A head that no witness may sign. `known` is how many entries the last head had that it did sign."""

    exit_code = 3

    def __init__(self, what: str, *, known: int | None = None, fix: str | None = None) -> None:
        super().__init__(what, fix=fix)
        self.known = known


def request(head: Head, leaves: Sequence[bytes], since: int) -> str:
    """What a witness is asked with (C2SP tlog-witness, add-checkpoint): the size that it knows, the proof from there,
    and the signed head. InputError when the ledger never had that many entries more.
    """
    if not 0 <= since <= head.size:
        raise InputError(f"The ledger has {head.size} entries, not {since}.", fix="Give what the witness knows.")
    proof = consistency_proof(leaves, since) if 0 < since < head.size else []
    return "".join([f"old {since}\n", *(f"{base64.b64encode(part).decode()}\n" for part in proof), "\n", str(head)])


def parsed(text: str) -> tuple[int, list[bytes], Head]:
    """The parts of a request. InputError when it is none."""
    opening, _, note = text.partition("\n\n")
    try:
        old, *proof = opening.split("\n")
        if not old.startswith("old "):
            raise ValueError
        return int(old[4:]), [base64.b64decode(part, validate=True) for part in proof], Head.read(note)
    except (ValueError, binascii.Error):
        raise InputError("This is no request to a witness.", fix="Give what `superalign ledger sign` wrote.") from None


def witness(state: Path, key: PrivateKey, asked: str, log_key: PublicKey | None = None) -> Head:
    """Add a cosignature by `key` to the head that is `asked`, if it extends the last one in the file `state`.

    A ledger that was never seen needs its `log_key`, which is kept. Refusal of a head that is not signed by that key,
    that counts less than the last one, that differs from it at the same size, or that is not proved to extend it.
    """
    if key.kind != WITNESS:
        raise InputError("This key signs heads of a log of its own.", fix="Make one with keygen --witness.")
    old, proof, head = parsed(asked)
    try:
        with closing(sqlite3.connect(state, timeout=30, isolation_level=None)) as database:
            database.execute("PRAGMA synchronous = EXTRA")
            database.execute("BEGIN IMMEDIATE")  # one witness at a time: it must never sign from the same head twice
            database.execute(_TABLE)
            row = database.execute("SELECT log_key, note FROM heads WHERE origin = ?", (head.origin,)).fetchone()
            signer = _signer(row, log_key)
            if not head.is_signed_by(signer):
                raise Refusal("The head is not signed by the log's key.", fix="Sign it with the key it began with.")
            if row:
                _check_extends(Head.read(row[1]), head, old, proof)
            database.execute("INSERT OR REPLACE INTO heads VALUES (?, ?, ?)", (head.origin, str(signer), str(head)))
            database.execute("COMMIT")  # before anything is signed: who is killed here has signed too little
    except sqlite3.Error as error:
        raise InputError(f"The witness's memory can't be used: {error}.", where=str(state)) from None
    return head.signed(key)


def _signer(row: tuple[str, str] | None, log_key: PublicKey | None) -> PublicKey:
    if row is None and log_key is None:
        raise InputError("This ledger was never seen.", fix="Give its key, which you have from its owner: --log-key.")
    known = PublicKey.read(row[0]) if row else None
    signer = known or log_key
    assert signer is not None
    if known and log_key and str(known) != str(log_key):
        raise Refusal("The ledger was first seen with another key.", fix="Ask its owner why.")
    if signer.kind != LOG:
        raise InputError("This is a witness's key, not a log's.", fix="Give the key that the head is signed with.")
    return signer


def _check_extends(last: Head, head: Head, old: int, proof: Sequence[bytes]) -> None:
    if head.size < last.size:
        raise Refusal(f"The head counts {head.size} entries, after one of {last.size}: a rollback.", known=last.size)
    if head.size == last.size:
        if head.root != last.root:
            raise Refusal(f"There is another head of {head.size} entries: a fork, shown by two signed heads.")
        return
    if last.size == 0:
        return
    if old != last.size:
        fix = f"Ask again with the proof from there: superalign ledger sign --since {last.size}."
        raise Refusal(f"The last head that was seen counts {last.size} entries, not {old}.", known=last.size, fix=fix)
    if not verify_consistency(last.size, head.size, last.root, head.root, proof):
        raise Refusal(f"The head is not proved to extend that of {last.size} entries: a fork, or a wrong proof.")
