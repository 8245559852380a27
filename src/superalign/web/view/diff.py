"""A unified diff, line by line and in parts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

LINES = 400  # of one part

Kind = Literal["added", "removed", "place", "file", "same"]


@dataclass(frozen=True)
class Line:
    """A line as it was given, and what its first characters make it."""

    kind: Kind
    text: str


@dataclass(frozen=True)
class Changes:
    """How many lines a diff adds and removes."""

    added: int
    removed: int


def lines(diff: str) -> list[Line]:
    """All lines; what follows a hunk's head is told apart by its first character alone, as `patch` does."""
    found, left_old, left_new = [], 0, 0
    for text in diff.removesuffix("\n").split("\n") if diff else ():
        if left_old > 0 or left_new > 0:
            kind: Kind = "added" if text.startswith("+") else "removed" if text.startswith("-") else "same"
            left_old -= kind != "added" and not text.startswith("\\")
            left_new -= kind != "removed" and not text.startswith("\\")
        elif text.startswith("@@"):
            kind, (left_old, left_new) = "place", _lengths(text)
        elif text.startswith(("--- ", "+++ ", "diff ", "index ")):
            kind = "file"
        else:
            kind = "added" if text.startswith("+") else "removed" if text.startswith("-") else "same"
        found.append(Line(kind, text))
    return found


def changes(found: list[Line]) -> Changes:
    return Changes(sum(line.kind == "added" for line in found), sum(line.kind == "removed" for line in found))


def _lengths(head: str) -> tuple[int, int]:
    """Lines of the old and of the new text in a hunk with this head; none where it can't be read."""
    sides = {part[0]: part[1:].partition(",") for part in head.split()[1:3] if part[:1] in ("-", "+")}
    lengths = [sides[sign][2] or "1" if sign in sides else "0" for sign in "-+"]
    old, new = (int(length) if length.isascii() and length.isdigit() and len(length) < 7 else 0 for length in lengths)
    return old, new
