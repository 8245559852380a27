"""Commitments: publish a hash now, show later what was meant, without being able to change one's mind."""

from __future__ import annotations

import hashlib
import json
import secrets
from typing import Any

from superalign.contracts.errors import SealError
from superalign.contracts.records import Record
from superalign.provenance.digest import canonical_json

SALT_BYTES = 32


class Opening(Record):
    """A commitment with what opens it. Publish `commitment`; keep `salt` and `value` secret until the unsealing."""

    commitment: str
    salt: str
    value: Any

    def verify(self) -> None:
        """SealError when salt and value are not what was committed."""
        verify_opening(self.commitment, self.salt, self.value)


def commit(value: Any) -> Opening:
    """Commit to a record or JSON value: sha256(salt || canonical JSON) with 32 random bytes of salt, all in hex."""
    salt = secrets.token_bytes(SALT_BYTES)
    plain = canonical_json(value)
    return Opening(commitment=_commitment(salt, plain), salt=salt.hex(), value=json.loads(plain))


def verify_opening(commitment: str, salt: str, value: Any) -> None:
    """SealError unless `commitment` was made from exactly this salt and value."""
    try:
        salt_bytes = bytes.fromhex(salt)
    except ValueError:
        salt_bytes = b""
    # A salt of another length could move bytes between salt and value and open to something else.
    if len(salt_bytes) != SALT_BYTES:
        raise SealError(f"The salt is not {SALT_BYTES} bytes in hex.", where=f"commitment {commitment}")
    if _commitment(salt_bytes, canonical_json(value)) != commitment:
        raise SealError(
            "What was opened is not what was committed.",
            where=f"commitment {commitment}",
            fix="Restore the sealed file from before it was changed; the trial's result can't be trusted without it.",
        )


def _commitment(salt: bytes, plain: bytes) -> str:
    return hashlib.sha256(salt + plain).hexdigest()
