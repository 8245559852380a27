"""Is this city in that country? Truth is public, difficulty is fame, and no other part of the question tells the
answer.

Table: GeoNames (geonames.org, CC BY 4.0), the 5,000 largest cities with a name of their own; see
scripts/derive_cities.py.
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

# Population ranks at which the next difficulty level begins.
LEVEL_STARTS = (0, 300, 800, 1500, 3000)


class City(NamedTuple):
    id: str
    name: str
    country: str
    level: int


@cache
def cities() -> tuple[City, ...]:
    """The table, largest first."""
    with (files("superalign.tasks") / "data/cities.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return tuple(
        City(row["geonameid"], row["city"], row["country"], sum(rank >= start for start in LEVEL_STARTS) - 1)
        for rank, row in enumerate(rows)
    )


@tasks.register("cities")
class Cities:
    """Is the city of CITY in COUNTRY? Two questions per city, one true; level by population rank; group is the city.

    The false countries are a permutation of the true ones within a level, so that a country alone says nothing about
    the answer. "The city of" is there because it makes the model think of the city: a linear probe reads the truth at
    AUROC 0.90 with it and 0.83 without (layer 22 of SmolLM2-135M, 330 held-out cities).
    """

    name = "cities"
    level_names = tuple(
        f"rank {start + 1} to {stop}" for start, stop in zip(LEVEL_STARTS, (*LEVEL_STARTS[1:], 5000), strict=True)
    )

    def load(self, limit: int | None = None, seed: int = 0) -> tuple[list[Question], AnswerKey]:
        """Questions on `limit` cities (all if None), as many from each level, in an order drawn by `seed`."""
        levels = [[city for city in cities() if city.level == level] for level in range(len(LEVEL_STARTS))]
        return paired_questions(levels, lambda city: city.country, question, limit, seed)


def question(city: City, country: str) -> Question:
    """The question whether `city` is in `country`; its id does not tell."""
    return Question(
        id=f"cities/{city.id}/{country}",
        prompt=f"Is the city of {city.name} in {country}?",
        level=city.level,
        group=city.id,
    )
