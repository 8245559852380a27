"""Is this the symbol of that element? Facts that everybody can check.

A symbol mostly begins as its element's English name does, so that letters alone tell much of the truth here: a probe
that is trained on these questions may read the letters.
"""

from __future__ import annotations

import csv
from functools import cache
from importlib.resources import files
from typing import NamedTuple

from superalign.contracts.protocols import AnswerKey
from superalign.contracts.records import Question
from superalign.contracts.registry import tasks
from superalign.tasks.pairs import paired_questions

LEVEL_STARTS = (1, 21, 57)  # atomic numbers at which the next level begins: ever rarer elements


class Element(NamedTuple):
    number: int
    symbol: str
    name: str


@cache
def elements() -> tuple[Element, ...]:
    """All that have a name (IUPAC), by atomic number."""
    with (files("superalign.tasks") / "data/elements.csv").open(encoding="utf-8") as file:
        return tuple(Element(int(row["number"]), row["symbol"], row["name"]) for row in csv.DictReader(file))


@tasks.register("elements")
class Elements:
    """Is SYMBOL the symbol of the element NAME? Two questions per element, one true; group is the element.

    The false symbols are a permutation of the true ones within a level.
    """

    name = "elements"
    level_names = tuple(
        f"atomic number {start} to {stop - 1}"
        for start, stop in zip(LEVEL_STARTS, (*LEVEL_STARTS[1:], 119), strict=True)
    )

    def load(self, limit: int | None = None, seed: int = 0) -> tuple[list[Question], AnswerKey]:
        """Questions on `limit` elements (all if None), as many from each level, in an order drawn by `seed`."""
        levels: list[list[Element]] = [[] for _ in LEVEL_STARTS]
        for element in elements():
            levels[level_of(element)].append(element)
        return paired_questions(levels, lambda element: element.symbol, question, limit, seed)


def level_of(element: Element) -> int:
    return sum(element.number >= start for start in LEVEL_STARTS) - 1


def question(element: Element, symbol: str) -> Question:
    """The question whether `symbol` is that of `element`; its id does not tell."""
    return Question(
        id=f"elements/{element.name}/{symbol}",
        prompt=f"Is {symbol} the symbol of the element {element.name}?",
        level=level_of(element),
        group=element.name,
    )
