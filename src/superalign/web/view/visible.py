"""Text that others wrote, so that a reader sees all of it and it can't pass for something else."""

from __future__ import annotations

import unicodedata

_UNSEEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
# Letters and marks that are drawn as nothing, or as a space.
_BLANK = {0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0}
MARKS = 3  # on one letter; more of them would cover the lines around it
_SELECTORS = (range(0x180B, 0x1810), range(0xFE00, 0xFE10), range(0xE0100, 0xE01F0))


def visible(text: str) -> str:
    """`text` with a visible sign in place of every character that shows nothing or turns its neighbours around.

    Control characters get their pictures (Unicode's U+2400 block), all others their code: bidirectional controls,
    zero-width characters, tags, variation selectors, blank letters, unpaired surrogates. Line breaks and tabs stay.
    """
    if text.isascii() and text.isprintable():
        return text
    shown, marks = [], 0
    for character in text.replace("\r\n", "\n"):
        marks = marks + 1 if unicodedata.combining(character) else 0
        shown.append(f"⟨U+{ord(character):04X}⟩" if marks > MARKS else _shown(character))
    return "".join(shown)


def _shown(character: str) -> str:
    code = ord(character)
    if character in "\n\t":
        return character
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "\N{SYMBOL FOR DELETE}"
    if unicodedata.category(character) in _UNSEEN or code in _BLANK or any(code in each for each in _SELECTORS):
        return f"⟨U+{code:04X}⟩"
    return character


def one_line(text: str) -> str:
    """The same for a title: its line breaks show as signs too."""
    return visible(text).replace("\n", "␊").replace("\t", "␉")
