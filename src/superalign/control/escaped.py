"""Text of unknown origin, made safe to show: whatever can't be seen, or turns the order of what can, is spelled out."""

from __future__ import annotations

import unicodedata

# Printable by Unicode's classes, and yet blank: fillers of Hangul, an empty pattern of Braille.
_BLANK = frozenset("\u115f\u1160\u3164\uffa0\u2800\u17b4\u17b5")
# Selectors of variants change nothing that is seen, and there are enough of them to hide a message.
_SELECTORS = (range(0x180B, 0x1810), range(0xFE00, 0xFE10), range(0xE0100, 0xE01F0))


def is_hidden(character: str) -> bool:
    """Whether a reader would not see this character; line breaks, tabs and spaces are seen."""
    if character in "\n\t ":
        return False
    if character in _BLANK or any(ord(character) in selectors for selectors in _SELECTORS):
        return True
    return not character.isprintable()


def escaped(text: str) -> str:
    """The text with hidden characters as `\\x1b`, `\\u202e` and so on; of marks on one letter, two stay."""
    shown: list[str] = []
    marks = 0
    for character in text:
        marks = marks + 1 if unicodedata.combining(character) else 0
        shown.append(_spelled(character) if is_hidden(character) or marks > 2 else character)
    return "".join(shown)


def _spelled(character: str) -> str:
    return character.encode("unicode_escape").decode() if ord(character) > 0x7E or ord(character) < 0x20 else "\\x7f"
