"""Name some cities of a country: a short free answer, whose worth a program knows exactly.

The first turn shows the form: without it a small model seldom writes a list (SmolLM2-135M: worth 0.11 against 0.29).
"""

from __future__ import annotations

import random
import re
import unicodedata
from collections import Counter
from functools import cache

from superalign.contracts.records import Conversation, Message
from superalign.tasks.cities import cities

ASKED = 4
LEAST_KNOWN = 8  # cities of a country in the table, so that a model may well name some
BETWEEN = r"[,;\n]"
"""A regular expression: what stands between two names."""
_SHOWN = (
    Message(role="system", content="Answer in one line."),
    Message(role="user", content="Name four colours, with commas between them."),
    Message(role="assistant", content="red, blue, green, white"),
)
_BESIDE = re.compile(r"^\W*(?:\d+\W+)?(?:and\s+)?|\W+$")


def countries(seed: int) -> list[str]:
    """Those with enough cities in the table, in an order drawn by `seed`."""
    known = Counter(city.country for city in cities())
    found = sorted(country for country, count in known.items() if count >= LEAST_KNOWN)
    random.Random(f"countries {seed}").shuffle(found)
    return found


def conversation(country: str) -> Conversation:
    """What is asked about `country`, up to where the answer begins."""
    return (*_SHOWN, Message(role="user", content=f"Name four cities in {country}, with commas between them."))


def right(country: str, names: list[str]) -> list[bool]:
    """Of each name whether it is a city of that country, and stands there for the first time."""
    known, seen, found = _table()[country], set[str](), list[bool]()
    for name in map(_plain, names):
        found.append(name in known and name not in seen)
        seen.add(name)
    return found


def named(text: str) -> list[str]:
    """What stands between commas, semicolons and line ends."""
    return [part for part in map(str.strip, re.split(BETWEEN, text)) if part]


def worth(country: str, text: str) -> float:
    """The share of right names: of as many as were asked for, or as were written if these are more."""
    names = named(text)
    return sum(right(country, names)) / max(ASKED, len(names))


def _plain(name: str) -> str:
    """Without numbering, accents and capitals."""
    letters = unicodedata.normalize("NFKD", _BESIDE.sub("", name).casefold())
    return "".join(letter for letter in letters if not unicodedata.combining(letter))


@cache
def _table() -> dict[str, frozenset[str]]:
    of: dict[str, set[str]] = {}
    for city in cities():
        of.setdefault(city.country, set()).add(_plain(city.name))
    return {country: frozenset(names) for country, names in of.items()}
