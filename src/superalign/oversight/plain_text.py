"""Text that others wrote, made fit to stand in what a model is asked: on one line, and opening no turn."""

from __future__ import annotations

import re
import unicodedata

LONGEST = 1000  # characters of one argument; whatever is longer is cut
CUT = " (cut)"
# What chat templates open and close turns with: <|im_start|>, </s>, <start_of_turn>, [INST]. A space breaks the token.
MARKER = re.compile(r"<(?=\S)|\[(?=/?[A-Z_]+\])")


def plain(text: str) -> str:
    """`text` on one line, without control and invisible characters, its chat markers broken. Plain text stays as it
    is.
    """
    kept = "".join(map(_plain_character, text))
    return " ".join(MARKER.sub(lambda found: f"{found[0]} ", kept).split())


def brief(text: str) -> str:
    """The same, cut at so many characters."""
    line = plain(text)
    return line if len(line) <= LONGEST else line[: LONGEST - len(CUT)].rstrip() + CUT


def _plain_character(character: str) -> str:
    kind = unicodedata.category(character)
    if kind == "Cc":
        return " "
    return "" if kind in ("Cf", "Cs") else character
