"""A model folder's signature in the format of OpenSSF Model Signing, so that `model_signing verify key` takes it too.

`model.sig` is a Sigstore bundle: a DSSE envelope with an in-toto statement, whose predicate names every file with its
sha256; signed with an ECDSA key (P-256, P-384 or P-521). The specification: model-signing v1.0, in-toto Statement v1,
DSSE v1, Sigstore bundle v0.3.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import os
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from superalign.contracts.errors import InputError, ModelError
from superalign.provenance.digest import canonical_json, file_digest

SIGNATURE = "model.sig"
SIGNERS = "SUPERALIGN_SIGNERS"  # the folder of the public keys that are trusted
PAYLOAD = "application/vnd.in-toto+json"
STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://model_signing/signature/v1.0"
BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
IGNORED = (SIGNATURE, ".git", ".gitattributes", ".github", ".gitignore")
_HASHES = {256: hashes.SHA256(), 384: hashes.SHA384(), 521: hashes.SHA512()}
_AGAIN = "Get the model again from whoever signed it; do not open this one."


def sign(folder: Path, key: Path) -> Path:
    """Sign all files of `folder` with the private key in the PEM file `key`, and leave `model.sig` among them.

    InputError for a key of another kind or with a password, ModelError for a folder without files or with links.
    """
    try:
        private = load_pem_private_key(key.read_bytes(), None)
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm):
        private = None
    if not isinstance(private, ec.EllipticCurvePrivateKey) or private.curve.key_size not in _HASHES:
        raise InputError(
            "There is no elliptic curve key here that can be used.",
            where=str(key),
            fix="Make one: openssl ecparam -name prime256v1 -genkey -noout -out FILE.",
        )
    found = digests(folder)
    if not found:
        raise ModelError("There is nothing to sign here.", where=str(folder), fix="Give the folder of a model.")
    payload = canonical_json(statement(folder.resolve().name, found))
    signature = private.sign(_encoded(payload), ec.ECDSA(_HASHES[private.curve.key_size]))
    bundle = {
        "mediaType": BUNDLE,
        "verificationMaterial": {"publicKey": {"hint": fingerprint(private.public_key())}, "tlogEntries": []},
        "dsseEnvelope": {
            "payload": base64.b64encode(payload).decode(),
            "payloadType": PAYLOAD,
            "signatures": [{"sig": base64.b64encode(signature).decode(), "keyid": ""}],
        },
    }
    path = folder / SIGNATURE
    path.write_bytes(canonical_json(bundle))
    return path


def check_if_signed(folder: Path) -> None:
    """ModelError when `folder` holds a signature that is not by one of the signers trusted here, or is of other files.
    A folder without a signature is let pass: who must have one checks with `verify`.
    """
    if (folder / SIGNATURE).exists():
        verify(folder, signers())


def signers() -> list[Path]:
    """The public keys that are trusted: the .pem files in the folder that SUPERALIGN_SIGNERS names, by default
    ~/.config/superalign/signers.
    """
    return sorted(signers_folder().glob("*.pem"))


def signers_folder() -> Path:
    return Path(os.environ.get(SIGNERS) or Path.home() / ".config/superalign/signers")


def verify(folder: Path, keys: list[Path]) -> str:
    """Check the signature in `folder` with whichever of the public keys it names; returns that key's fingerprint.

    ModelError when there is none, when none of the keys made it, or when a file was changed, added or taken away.
    InputError for a key that can't be read.
    """
    path = folder / SIGNATURE
    hint, payload, signature = _read(path)
    known = {fingerprint(key): key for key in map(_public_key, keys)}
    if hint not in known:
        raise ModelError(
            f"The model is signed with a key that is not trusted here, fingerprint {hint[:16]}.",
            where=str(path),
            fix=f"If you trust it, put its public key as a .pem file into {signers_folder()}.",
        )
    try:
        known[hint].verify(signature, _encoded(payload), ec.ECDSA(_HASHES[known[hint].curve.key_size]))
    except InvalidSignature:
        raise ModelError("The model's signature is wrong.", where=str(path), fix=_AGAIN) from None
    signed, here = _signed_files(payload, path), digests(folder)
    for name in sorted(signed.keys() | here.keys()):
        if signed.get(name) != here.get(name):
            what = "was not signed" if name not in signed else "is missing" if name not in here else "was changed"
            raise ModelError(f"The model is not the one that was signed: {name} {what}.", where=str(folder), fix=_AGAIN)
    return hint


def digests(folder: Path) -> dict[str, str]:
    """sha256 of every file that a signature covers, by its relative name. ModelError for a link."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if name.split("/")[0] in IGNORED:
            continue
        if path.is_symlink():
            raise ModelError("A link can't be signed.", where=str(path), fix="Put the file itself there.")
        if path.is_file():
            found[name] = file_digest(path)
    return found


def statement(name: str, found: dict[str, str]) -> dict[str, Any]:
    """The in-toto statement for files with these digests: the subject's is the digest of them all, in their order."""
    resources = [{"name": own, "algorithm": "sha256", "digest": digest} for own, digest in sorted(found.items())]
    return {
        "_type": STATEMENT,
        "subject": [{"name": name, "digest": {"sha256": _root(resources)}}],
        "predicateType": PREDICATE,
        "predicate": {
            "serialization": {
                "method": "files",
                "hash_type": "sha256",
                "allow_symlinks": False,
                "ignore_paths": list(IGNORED),
            },
            "resources": resources,
        },
    }


def fingerprint(key: ec.EllipticCurvePublicKey) -> str:
    """sha256 of the key in PEM, by which a signature names it."""
    return hashlib.sha256(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def _root(resources: list[dict[str, str]]) -> str:
    return hashlib.sha256(b"".join(bytes.fromhex(resource["digest"]) for resource in resources)).hexdigest()


def _encoded(payload: bytes) -> bytes:
    """DSSE's pre-authentication encoding."""
    return f"DSSEv1 {len(PAYLOAD)} {PAYLOAD} {len(payload)} ".encode() + payload


def _public_key(path: Path) -> ec.EllipticCurvePublicKey:
    try:
        key = load_pem_public_key(path.read_bytes())
    except (OSError, ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.key_size not in _HASHES:
        raise InputError(
            "There is no elliptic curve public key here.",
            where=str(path),
            fix="Take it out of the private one: openssl ec -in KEY -pubout -out FILE.",
        )
    return key


def _read(path: Path) -> tuple[str, bytes, bytes]:
    """The key's fingerprint, the payload and the signature in a bundle."""
    try:
        bundle = json.loads(path.read_bytes())
        envelope = bundle["dsseEnvelope"]
        [signature] = envelope["signatures"]
        if bundle["mediaType"] != BUNDLE or envelope["payloadType"] != PAYLOAD:
            raise ValueError
        hint = bundle["verificationMaterial"]["publicKey"]["hint"]
        decoded = [base64.b64decode(text, validate=True) for text in (envelope["payload"], signature["sig"])]
        return str(hint), decoded[0], decoded[1]
    except FileNotFoundError:
        raise ModelError(
            "The model is not signed.", where=str(path.parent), fix="Sign it: superalign models sign FOLDER --key KEY."
        ) from None
    except (ValueError, KeyError, TypeError, RecursionError, binascii.Error):
        raise ModelError("The model's signature can't be read.", where=str(path), fix=_AGAIN) from None


def _signed_files(payload: bytes, path: Path) -> dict[str, str]:
    """The files that a statement names, with their digests."""
    try:
        told = json.loads(payload)
        resources = told["predicate"]["resources"]
        found = {resource["name"]: resource["digest"] for resource in resources}
        sound = (
            (told["_type"], told["predicateType"]) == (STATEMENT, PREDICATE)
            and told["predicate"]["serialization"]["method"] == "files"
            and all(resource["algorithm"] == "sha256" for resource in resources)
            and len(found) == len(resources)
            and told["subject"][0]["digest"]["sha256"] == _root(resources)
        )
    except (ValueError, KeyError, TypeError, IndexError, RecursionError):
        sound = False
    if not sound:
        raise ModelError(
            "The signature is of a statement that is not known here.",
            where=str(path),
            fix="Have whole files signed with sha256, as `superalign models sign` does.",
        )
    return found
