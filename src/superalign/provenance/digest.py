"""One way to turn records, files and folders into bytes and sha256 digests."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from superalign.contracts.errors import InputError


def canonical_json(value: Any) -> bytes:
    """UTF-8 JSON with sorted keys and no spaces, so that equal values have equal bytes. Takes records too.

    ValueError for NaN or infinity, TypeError for anything that JSON can't hold, including keys that aren't strings.
    """
    plain = _plain(value)
    return json.dumps(plain, sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=False).encode()


def digest(value: Any) -> str:
    """sha256 of the canonical JSON, in hex."""
    return hashlib.sha256(canonical_json(value)).hexdigest()


def file_digest(path: Path) -> str:
    """sha256 of the file's bytes, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def file_digests(folder: Path) -> dict[str, str]:
    """sha256 of every file under `folder`, by its name relative to it with forward slashes."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): file_digest(path) for path in files}


def folder_digest(path: Path) -> str:
    """Digest of the names and contents of all files under `path`. InputError when it is not a folder."""
    if not path.is_dir():
        raise InputError("There is no such folder.", where=str(path), fix="Give the path of an existing folder.")
    return digest(file_digests(path))


def _plain(value: Any) -> Any:
    match value:
        case BaseModel():
            return value.model_dump(mode="json", by_alias=True)
        case Mapping():
            # json would silently turn the key 1 into "1", and two different values would share one digest.
            if not all(isinstance(key, str) for key in value):
                raise TypeError(f"Keys must be strings, not {list(value)!r}.")
            return {key: _plain(item) for key, item in value.items()}
        case list() | tuple():
            return [_plain(item) for item in value]
        case _:
            return value
