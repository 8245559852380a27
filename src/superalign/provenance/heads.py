"""Signed heads of a ledger, and the signatures of witnesses under them, as the field's transparency logs write them.

A head is a checkpoint in a signed note (C2SP tlog-checkpoint, signed-note): the log's name, how many entries it has,
their root, and signature lines by named keys. A witness adds a cosignature/v1 (C2SP tlog-cosignature), which tells when
it saw the head. Keys are Ed25519, written as these formats write them.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import time
from dataclasses import dataclass, replace
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from superalign.contracts.errors import InputError, LedgerError
from superalign.provenance import ledger, merkle
from superalign.provenance.digest import canonical_json

LOG, WITNESS = 1, 4  # the formats' numbers for an Ed25519 signature of a note, and for a timestamped cosignature
ORIGIN = "superalign/ledger/"  # how the name of a ledger opens; its public key in hex follows
PRIVATE = "PRIVATE+KEY+"


@dataclass(frozen=True)
class PublicKey:
    """A key by its name, and what it signs: heads of its own log, or heads that it witnessed."""

    name: str
    kind: int
    key: Ed25519PublicKey

    @property
    def id(self) -> bytes:
        """Four bytes that tell keys of one name apart."""
        return _key_id(self.name, self.kind, self.key)

    def __str__(self) -> str:
        body = base64.b64encode(bytes([self.kind]) + self.key.public_bytes_raw()).decode()
        return f"{self.name}+{self.id.hex()}+{body}"

    @classmethod
    def read(cls, text: str) -> PublicKey:
        """InputError when `text` is no such key."""
        name, kind, raw = _parsed_key(text, "public")
        found = cls(name, kind, Ed25519PublicKey.from_public_bytes(raw))
        if str(found) != text.strip():
            raise InputError("The public key is misspelt: its parts do not fit each other.", where=text.strip()[:80])
        return found


@dataclass(frozen=True)
class PrivateKey:
    """The key that signs. It is shown nowhere but in its own file."""

    name: str
    kind: int
    key: Ed25519PrivateKey

    @property
    def public(self) -> PublicKey:
        return PublicKey(self.name, self.kind, self.key.public_key())

    @classmethod
    def create(cls, path: Path, name: str, kind: int) -> PrivateKey:
        """A fresh key in a new file that its owner alone may read. InputError for a file that is there, or a name that
        the format does not allow.
        """
        if not name or any(character.isspace() or character == "+" for character in name):
            raise InputError("A key's name has no spaces and no plus.", where=name, fix="Such as example.org/alice.")
        found = cls(name, kind, Ed25519PrivateKey.generate())
        body = base64.b64encode(bytes([kind]) + found.key.private_bytes_raw()).decode()
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            raise InputError("There is a file already.", where=str(path), fix="Name a new one.") from None
        except OSError as error:
            raise InputError(f"No key can be written here: {error.strerror}.", where=str(path)) from None
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(f"{PRIVATE}{name}+{found.public.id.hex()}+{body}\n")
        return found

    @classmethod
    def read(cls, path: Path) -> PrivateKey:
        """InputError when there is no such key in the file."""
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            raise InputError(
                "There is no key here.", where=str(path), fix="Make one: superalign ledger keygen FILE --name NAME."
            ) from None
        if not text.startswith(PRIVATE):
            raise InputError("This is no private key.", where=str(path), fix="Give the file that keygen wrote.")
        name, kind, raw = _parsed_key(text.removeprefix(PRIVATE), "private", where=str(path))
        return cls(name, kind, Ed25519PrivateKey.from_private_bytes(raw))


@dataclass(frozen=True)
class Head:
    """How far the log named `origin` has come. `signatures` are the note's lines: a name, then key id and signature."""

    origin: str
    size: int
    root: bytes
    signatures: tuple[tuple[str, bytes], ...] = ()

    @property
    def text(self) -> str:
        """What is signed."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"

    def __str__(self) -> str:
        lines = [f"\u2014 {name} {base64.b64encode(signature).decode()}\n" for name, signature in self.signatures]
        return self.text + "\n" + "".join(lines)

    @classmethod
    def read(cls, note: str) -> Head:
        """InputError when `note` is no signed checkpoint."""
        try:
            text, _, rest = note.partition("\n\n")
            origin, size, root = text.split("\n")
            lines = [line.removeprefix("\u2014 ").rsplit(" ", 1) for line in rest.splitlines()]
            signatures = tuple((name, base64.b64decode(signature, validate=True)) for name, signature in lines)
            found = cls(origin, int(size), base64.b64decode(root, validate=True), signatures)
        except (ValueError, binascii.Error):
            found = None
        if found is None or str(found) != note or len(found.root) != 32 or found.size < 0:
            raise InputError("This is no signed head.", fix="Give what `superalign ledger sign` or a witness wrote.")
        return found

    def signed(self, key: PrivateKey, now: int | None = None) -> Head:
        """The same with a signature by `key`; a witness's tells the time, in seconds since 1970."""
        if key.kind == LOG:
            signature = key.key.sign(self.text.encode())
        else:
            now = int(time.time()) if now is None else now
            signature = now.to_bytes(8, "big") + key.key.sign(_cosigned(now, self.text))
        others = tuple(line for line in self.signatures if line[1][:4] != key.public.id)
        return replace(self, signatures=(*others, (key.name, key.public.id + signature)))

    def is_signed_by(self, key: PublicKey) -> bool:
        """Whether one of the signatures is that of `key`."""
        return any(
            name == key.name and signature[:4] == key.id and self._holds(key, signature[4:])
            for name, signature in self.signatures
        )

    def _holds(self, key: PublicKey, signature: bytes) -> bool:
        message = self.text.encode()
        if key.kind == WITNESS:
            message, signature = _cosigned(int.from_bytes(signature[:8], "big"), self.text), signature[8:]
        try:
            key.key.verify(signature, message)
        except InvalidSignature:
            return False
        return True


def head_of(path: Path) -> tuple[Head, list[bytes]]:
    """The head of the ledger at `path` as it stands, unsigned, and the hashes of its entries. LedgerError when it does
    not verify.
    """
    report = ledger.verify(path)
    leaves = [merkle.leaf_hash(canonical_json(entry)) for entry in ledger.read(path)[: report.entries]]
    root = merkle.tree_root(leaves)
    if root.hex() != report.root:
        raise LedgerError("The ledger changed while it was read.", where=str(path), fix="Try again.")
    return Head(ORIGIN + report.public_key, len(leaves), root), leaves


def check_head(path: Path, head: Head) -> None:
    """LedgerError unless the ledger at `path` is the one that `head` is of, and has only grown since."""
    now, leaves = head_of(path)
    if head.origin != now.origin:
        raise LedgerError("The signed head is of another ledger.", where=str(path), fix="Give this ledger's own.")
    if head.size > now.size:
        raise LedgerError(
            f"The signed head counts {head.size} entries, and the ledger has {now.size}: it was rolled back.",
            where=str(path),
            fix="Restore the ledger from a copy.",
        )
    if merkle.tree_root(leaves[: head.size]) != head.root:
        raise LedgerError(
            f"The first {head.size} entries are not those of the signed head: the ledger was written anew.",
            where=str(path),
            fix="Restore the ledger from a copy.",
        )


def _cosigned(now: int, text: str) -> bytes:
    return f"cosignature/v1\ntime {now}\n{text}".encode()


def _key_id(name: str, kind: int, key: Ed25519PublicKey) -> bytes:
    return hashlib.sha256(name.encode() + b"\n" + bytes([kind]) + key.public_bytes_raw()).digest()[:4]


def _parsed_key(text: str, which: str, where: str | None = None) -> tuple[str, int, bytes]:
    """Name, kind and raw bytes of a key as it is written."""
    parts = text.strip().split("+", 2)
    try:
        raw = base64.b64decode(parts[2], validate=True)
    except (IndexError, binascii.Error):
        raw = b""
    if len(raw) != 33 or raw[0] not in (LOG, WITNESS):
        raise InputError(
            f"This is no {which} key.", where=where, fix="It is written NAME+ID+BASE64, as keygen prints it."
        )
    return parts[0], raw[0], raw[1:]
