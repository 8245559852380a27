"""What a finished run and an attack on its trial left in the run's folder."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from superalign.contracts.attacks import Attacks
from superalign.contracts.errors import RunError
from superalign.contracts.records import Record
from superalign.contracts.summary import Summary

SUMMARY_FILE, ATTACKS_FILE = "summary.json", "attacks.json"

Saved = TypeVar("Saved", bound=Record)


def saved_summary(folder: Path) -> Summary | None:
    """What a complete run found; None where there is none. RunError when the file can't be read."""
    return _saved(Summary, folder / SUMMARY_FILE, "summary", f"superalign run {folder}")


def saved_attacks(folder: Path) -> Attacks | None:
    """What an attack on the run's trial found, likewise."""
    return _saved(Attacks, folder / ATTACKS_FILE, "record of the attack", f"superalign trial attack {folder}")


def _saved(kind: type[Saved], path: Path, name: str, again: str) -> Saved | None:
    if not path.is_file():
        return None
    try:
        return kind.model_validate_json(path.read_bytes())
    except ValidationError:
        raise RunError(
            f"The {name} is damaged, or was written by another version.",
            where=str(path),
            fix=f"Make it again from the run's steps: {again}",
        ) from None
