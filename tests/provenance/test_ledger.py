"""The ledger survives a SIGKILL, proves what it holds, and shows every way of tampering with it."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from superalign.contracts.errors import LedgerError
from superalign.provenance import ledger as ledger_module
from superalign.provenance import merkle
from superalign.provenance.digest import canonical_json
from superalign.provenance.ledger import Ledger, verify

ENTRIES = 9


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "ledger.db"
    with Ledger(path) as ledger:
        for number in range(ENTRIES):
            assert ledger.append("step", {"number": number, "label": "é"}) == number
    return path


def sql(path: Path, *statements: str) -> None:
    database = sqlite3.connect(path)
    with database:
        for statement in statements:
            database.execute(statement)
    database.close()


def test_entries_come_back_in_order_and_verify(path: Path) -> None:
    report = verify(path)
    with Ledger(path) as ledger:
        assert [entry.body["number"] for entry in ledger.entries()] == list(range(ENTRIES))
        assert ledger.entries("decision") == []
        assert ledger.append("decision", {"verdict": "pause"}) == ENTRIES == len(ledger) - 1
        assert [entry.seq for entry in ledger.entries("decision")] == [ENTRIES]
    assert report.entries == ENTRIES
    assert verify(path).entries == ENTRIES + 1


def test_an_empty_ledger_verifies(tmp_path: Path) -> None:
    Ledger(tmp_path / "ledger.db").close()
    assert verify(tmp_path / "ledger.db").entries == 0


def test_a_refused_entry_leaves_the_ledger_as_it_was(path: Path) -> None:
    with Ledger(path) as ledger:
        with pytest.raises(ValueError, match="JSON"):
            ledger.append("step", {"loss": float("nan")})
        assert ledger.append("step", {}) == ENTRIES
    assert verify(path).entries == ENTRIES + 1


def test_two_writers_take_turns(path: Path) -> None:
    with Ledger(path) as one, Ledger(path) as two:
        for ledger in (one, two, two, one):
            ledger.append("step", {})
    assert verify(path).entries == ENTRIES + 4


def test_proofs_hold_for_what_is_in_the_file(path: Path) -> None:
    with Ledger(path) as ledger:
        root, early = ledger.root(), merkle.tree_root(ledger._leaves()[:5])
        entry = canonical_json(ledger.entries()[3])
        assert merkle.verify_inclusion(merkle.leaf_hash(entry), 3, ENTRIES, ledger.inclusion_proof(3), root)
        assert merkle.verify_consistency(5, ENTRIES, early, root, ledger.consistency_proof(5, ENTRIES))
        with pytest.raises(ValueError, match="9 entries"):
            ledger.consistency_proof(5, ENTRIES + 1)
    assert verify(path).root == root.hex()


def test_the_key_is_private(path: Path) -> None:
    assert path.with_suffix(".key").stat().st_mode & 0o777 == 0o600


EDIT = "UPDATE entries SET entry = replace(entry, '\"number\":4', '\"number\":5') WHERE seq = 4"
DELETE = "DELETE FROM entries WHERE seq = 4"
SWAP = (
    "UPDATE entries SET seq = -1 WHERE seq = 4",
    "UPDATE entries SET seq = 4 WHERE seq = 6",
    "UPDATE entries SET seq = 6 WHERE seq = -1",
)
TAMPERS: dict[str, tuple[tuple[str, ...], int]] = {
    "edited body": ((EDIT,), 4),
    "edited number": (("UPDATE entries SET entry = replace(entry, '\"seq\":4', '\"seq\":5') WHERE seq = 4",), 4),
    "edited last": (("UPDATE entries SET entry = entry || ' ' WHERE seq = 8",), 8),
    "body of another type": (("UPDATE entries SET entry = x'ff00' WHERE seq = 4",), 4),
    "edited signature": (("UPDATE entries SET signature = x'00' WHERE seq = 4",), 4),
    "signature of another entry": (
        ("UPDATE entries SET signature = (SELECT signature FROM entries WHERE seq = 5) WHERE seq = 4",),
        4,
    ),
    "deleted": ((DELETE,), 4),
    "deleted first": (("DELETE FROM entries WHERE seq = 0",), 0),
    "deleted, numbers closed up": ((DELETE, "UPDATE entries SET seq = seq - 1 WHERE seq > 4"), 4),
    "reordered": (SWAP, 4),
    "truncated": (("DELETE FROM entries WHERE seq >= 6",), 6),
    "all deleted": (("DELETE FROM entries",), 0),
    "truncated, head set to the last entry left": (
        (
            "DELETE FROM entries WHERE seq >= 6",
            "UPDATE head SET size = 6, signature = (SELECT signature FROM entries WHERE seq = 5)",
        ),
        -1,
    ),
    "added at the end": (("INSERT INTO entries SELECT 9, entry, signature FROM entries WHERE seq = 8",), 9),
    "added at the start": (("INSERT INTO entries SELECT -1, entry, signature FROM entries WHERE seq = 8",), -1),
    "two edits": ((EDIT, "UPDATE entries SET entry = 'x' WHERE seq IN (2, 7)"), 2),
    "edited head size": (("UPDATE head SET size = 8",), -1),
    "edited head root": (("UPDATE head SET root = x'00'",), -1),
    "edited head signature": (("UPDATE head SET signature = x'00'",), -1),
    "head of no number": (("UPDATE head SET size = 'many'",), -1),
    "no head": (("DELETE FROM head",), -1),
    "two heads": (("INSERT INTO head SELECT * FROM head",), -1),
    "no public key": (("DELETE FROM key",), -1),
    "public key of no key": (("UPDATE key SET public = x'00'",), -1),
    "no table": (("DROP TABLE entries",), -1),
}


@pytest.mark.parametrize("tamper", TAMPERS)
def test_tampering_is_found_and_the_first_bad_entry_named(path: Path, tamper: str) -> None:
    statements, first_bad = TAMPERS[tamper]
    sql(path, *statements)
    with pytest.raises(LedgerError) as caught:
        verify(path)
    if tamper == "added at the start":
        assert "Entry -1" in caught.value.what
    elif first_bad >= 0:
        assert caught.value.entry == first_bad
        assert f"Entry {first_bad} " in caught.value.what
    else:
        assert caught.value.entry is None
        assert "Entry" not in caught.value.what
    assert str(path) in str(caught.value) and caught.value.fix


def test_whoever_rewrites_everything_with_another_key_is_found(path: Path) -> None:
    """A forger edits entry 4 and signs the whole ledger anew, key in the database included."""
    forger = path.parent / "forged.db"
    pinned = verify(path).public_key
    with Ledger(path) as ledger, Ledger(forger) as forged:
        for entry in ledger.entries():
            forged.append(entry.kind, {**entry.body, "number": 0})
    shutil.copy(forger, path)
    with pytest.raises(LedgerError, match="another key"):  # the key beside it tells
        verify(path)
    path.with_suffix(".key").unlink()
    with pytest.raises(LedgerError, match="another key"):  # the key noted elsewhere tells
        verify(path, pinned)


def test_signing_a_bad_row_with_another_key_does_not_help(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stranger = Ed25519PrivateKey.generate()
    monkeypatch.setattr(Ledger, "_private_key", lambda self: stranger)
    with Ledger(path) as ledger:
        ledger.append("step", {"forged": True})
    with pytest.raises(LedgerError) as caught:
        verify(path)
    assert caught.value.entry == ENTRIES


@pytest.mark.parametrize("tamper", ["truncated", "edited body", "edited head size", "added at the end"])
def test_nothing_is_added_to_a_tampered_ledger(path: Path, tamper: str) -> None:
    """Otherwise the next honest entry would sign the tamperer's version."""
    sql(path, *TAMPERS[tamper][0])
    with Ledger(path) as ledger, pytest.raises(LedgerError, match="ledger verify"):
        ledger.append("step", {})
    with pytest.raises(LedgerError):
        verify(path)


def test_nothing_is_added_without_the_key(path: Path) -> None:
    path.with_suffix(".key").unlink()
    assert verify(path).entries == ENTRIES
    with Ledger(path) as ledger, pytest.raises(LedgerError, match="key is missing"):
        ledger.append("step", {})


@pytest.mark.parametrize("content", [b"", b"not a database, but long enough to look at" * 100, os.urandom(8192)])
def test_what_is_no_ledger_is_called_that(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "ledger.db"
    path.write_bytes(content)
    with pytest.raises(LedgerError, match="not a readable ledger"):
        verify(path)


def test_a_missing_ledger_is_an_error_and_is_not_made(tmp_path: Path) -> None:
    for path in (tmp_path / "ledger.db", tmp_path):
        with pytest.raises(LedgerError, match="no ledger"):
            verify(path)
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_page_is_an_error(path: Path) -> None:
    with Ledger(path) as ledger:
        for _ in range(60):
            ledger.append("step", {"padding": "x" * 500})
    content = bytearray(path.read_bytes())
    content[-12_000:-8_000] = os.urandom(4_000)
    path.write_bytes(content)
    with pytest.raises(LedgerError):
        verify(path)


def test_a_ledger_that_can_only_be_read_verifies(path: Path) -> None:
    path.chmod(0o400)
    assert verify(path).entries == ENTRIES


APPENDS_FOREVER = """
import sys
from pathlib import Path
from superalign.provenance.ledger import Ledger
ledger = Ledger(Path(sys.argv[1]))
while True:
    print(ledger.append("step", {"padding": "x" * 3000}), flush=True)
"""


@pytest.mark.parametrize("appends", [0, 1, 7, 20])
def test_killed_at_any_time_nothing_that_was_promised_is_lost(tmp_path: Path, appends: int) -> None:
    path = tmp_path / "ledger.db"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", APPENDS_FOREVER, str(path)]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    assert child.stdout
    promised = [child.stdout.readline() for _ in range(appends)]
    time.sleep(0.003 * appends)  # some way into the next append
    child.send_signal(signal.SIGKILL)
    promised += child.stdout.readlines()
    child.wait()
    kept = len([line for line in promised if line.endswith("\n")])
    with Ledger(path) as ledger:
        assert len(ledger) >= kept
        ledger.append("step", {})
    assert verify(path).entries >= kept + 1


def test_a_full_disk_is_an_os_error_and_harms_nothing(path: Path) -> None:
    with Ledger(path) as ledger:
        (pages,) = ledger._database.execute("PRAGMA page_count").fetchone()
        ledger._database.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(OSError, match="No space left"):
            for _ in range(50):
                ledger.append("step", {"padding": "x" * 2000})
        ledger._database.execute("PRAGMA max_page_count = 100000")
        ledger.append("step", {})
    verify(path)


def test_roles_keep_signatures_apart() -> None:
    frontier = merkle.Frontier()
    signed: Callable[..., bytes] = ledger_module._signed
    assert signed("entry", frontier) != signed("head", frontier)
