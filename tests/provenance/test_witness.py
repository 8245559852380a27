"""Heads are signed as the formats say, and no witness signs two histories of one ledger."""

from __future__ import annotations

import base64
import shutil
import stat
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from superalign.contracts.errors import InputError, LedgerError
from superalign.provenance.heads import LOG, WITNESS, Head, PrivateKey, PublicKey, check_head, head_of
from superalign.provenance.ledger import Ledger
from superalign.provenance.witness import Refusal, request, witness


@pytest.fixture
def path(tmp_path: Path) -> Path:
    grow(tmp_path / "run/ledger.db", 5)
    return tmp_path / "run/ledger.db"


@pytest.fixture
def owner(tmp_path: Path) -> PrivateKey:
    return PrivateKey.create(tmp_path / "owner.key", "example.org/owner", LOG)


@pytest.fixture
def watcher(tmp_path: Path) -> PrivateKey:
    return PrivateKey.create(tmp_path / "witness.key", "example.org/witness", WITNESS)


def grow(path: Path, entries: int, says: str = "") -> None:
    path.parent.mkdir(exist_ok=True)
    with Ledger(path) as ledger:
        for number in range(entries):
            ledger.append("step", {"number": number, "says": says})


def asked(path: Path, key: PrivateKey, since: int = 0) -> str:
    head, leaves = head_of(path)
    return request(head.signed(key), leaves, since)


def forked(path: Path, entries: int, says: str) -> Path:
    """The same ledger, key and all, that goes on otherwise."""
    other = path.parent.with_name(f"fork-{says}")
    shutil.copytree(path.parent, other)
    grow(other / path.name, entries, says)
    return other / path.name


def test_a_note_is_what_the_formats_say(path: Path, owner: PrivateKey, watcher: PrivateKey) -> None:
    note = str(head_of(path)[0].signed(owner).signed(watcher, now=1_700_000_000))
    text, _, signatures = note.partition("\n\n")
    origin, size, root = text.split("\n")
    assert origin.startswith("superalign/ledger/") and size == "5" and len(base64.b64decode(root)) == 32
    by_owner, by_witness = (line.split(" ") for line in signatures.splitlines())
    assert by_owner[:2] == ["\u2014", "example.org/owner"]
    raw = base64.b64decode(by_owner[2])
    public: Ed25519PublicKey = owner.public.key
    public.verify(raw[4:], f"{text}\n".encode())
    assert raw[:4] == owner.public.id and len(raw) == 4 + 64
    raw = base64.b64decode(by_witness[2])
    assert int.from_bytes(raw[4:12], "big") == 1_700_000_000 and len(raw) == 4 + 8 + 64
    watcher.public.key.verify(raw[12:], f"cosignature/v1\ntime 1700000000\n{text}\n".encode())
    assert Head.read(note).is_signed_by(owner.public) and Head.read(note).is_signed_by(watcher.public)


def test_keys_go_through_text_and_stay_private(tmp_path: Path, owner: PrivateKey) -> None:
    file = tmp_path / "owner.key"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    again = PrivateKey.read(file)
    assert str(PublicKey.read(str(again.public))) == str(owner.public)
    assert again.key.private_bytes_raw() == owner.key.private_bytes_raw()
    assert base64.b64encode(owner.key.private_bytes_raw()).decode()[:20] not in repr(owner) + str(owner.public)
    with pytest.raises(InputError, match="file already"):
        PrivateKey.create(file, "other", LOG)
    with pytest.raises(InputError, match="misspelt"):
        PublicKey.read(str(owner.public).replace("owner", "other"))
    for text in ("", "a+b", "a+00000000+AAAA", str(owner.public)):
        file.write_text(text)
        with pytest.raises(InputError, match="private key"):
            PrivateKey.read(file)


def test_a_witness_follows_a_ledger_that_grows(path: Path, owner: PrivateKey, watcher: PrivateKey) -> None:
    state = path.with_name("seen.db")
    known = 0
    for size in (5, 6, 9, 16):
        grow(path, size - len(head_of(path)[1]))
        head = witness(state, watcher, asked(path, owner, known), owner.public)
        assert head.size == size and head.is_signed_by(watcher.public) and head.is_signed_by(owner.public)
        check_head(path, head)
        known = size
    assert witness(state, watcher, asked(path, owner)).size == 16  # the same head again


def test_a_split_view_is_not_signed(path: Path, owner: PrivateKey, watcher: PrivateKey) -> None:
    """The owner shows one history to a witness, and another one, signed as well, to it or to others."""
    state = path.with_name("seen.db")
    one, other = forked(path, 3, "one"), forked(path, 3, "other")
    witness(state, watcher, asked(path, owner), owner.public)
    seen = witness(state, watcher, asked(one, owner, 5))
    with pytest.raises(Refusal, match="fork"):
        witness(state, watcher, asked(other, owner, 5))
    grow(other, 4)
    for since in (5, 8):
        with pytest.raises(Refusal):
            witness(state, watcher, asked(other, owner, since))
    with pytest.raises(LedgerError, match="written anew"):
        check_head(other, seen)
    check_head(one, seen)


def test_a_rollback_is_not_signed_and_shows(path: Path, owner: PrivateKey, watcher: PrivateKey) -> None:
    state, later = path.with_name("seen.db"), forked(path, 2, "later")
    head = witness(state, watcher, asked(later, owner), owner.public)
    with pytest.raises(Refusal, match="rollback") as refusal:
        witness(state, watcher, asked(path, owner))
    assert refusal.value.known == 7 and refusal.value.exit_code == 3
    with pytest.raises(LedgerError, match="rolled back"):
        check_head(path, head)


def test_a_witness_asks_for_the_proof_from_where_it_is(path: Path, owner: PrivateKey, watcher: PrivateKey) -> None:
    state = path.with_name("seen.db")
    witness(state, watcher, asked(path, owner), owner.public)
    grow(path, 4)
    with pytest.raises(Refusal, match="5 entries, not 3") as refusal:
        witness(state, watcher, asked(path, owner, 3))
    assert "--since 5" in str(refusal.value)
    with pytest.raises(Refusal, match="not proved"):
        witness(state, watcher, asked(path, owner, 0).replace("old 0", "old 5"))
    assert witness(state, watcher, asked(path, owner, 5)).size == 9


def test_only_the_logs_own_key_is_followed(path: Path, tmp_path: Path, owner: PrivateKey, watcher: PrivateKey) -> None:
    state = tmp_path / "seen.db"
    stranger = PrivateKey.create(tmp_path / "stranger.key", "example.org/owner", LOG)
    with pytest.raises(InputError, match="--log-key"):
        witness(state, watcher, asked(path, owner))
    with pytest.raises(Refusal, match="not signed by"):
        witness(state, watcher, asked(path, stranger), owner.public)
    witness(state, watcher, asked(path, owner), owner.public)
    with pytest.raises(Refusal, match="another key"):
        witness(state, watcher, asked(path, stranger), stranger.public)
    with pytest.raises(InputError, match="keygen --witness"):
        witness(state, owner, asked(path, owner))


def test_what_was_refused_is_forgotten(path: Path, owner: PrivateKey, watcher: PrivateKey) -> None:
    """A refusal must not move the witness: else two of them walk it onto the fork."""
    state, other = path.with_name("seen.db"), forked(path, 1, "other")
    grow(path, 1)
    witness(state, watcher, asked(path, owner), owner.public)
    for _ in range(2):
        with pytest.raises(Refusal):
            witness(state, watcher, asked(other, owner))
    assert witness(state, watcher, asked(path, owner)).size == 6


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, 400), byte=st.integers(1, 255))
def test_no_changed_note_passes_for_a_signed_one(path: Path, owner: PrivateKey, place: int, byte: int) -> None:
    note = bytearray(str(replace(head_of(path)[0], size=5).signed(owner)).encode())
    note[place % len(note)] ^= byte
    try:
        found = Head.read(note.decode())
    except (InputError, UnicodeDecodeError):
        return
    assert not found.is_signed_by(owner.public)
