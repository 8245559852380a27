"""Are two cities in the same country? Facts that a judge does not know, and two lines that decide together.

Table: that of the task `cities`, but for its largest cities.
"""

from __future__ import annotations

import random
import re
from collections import defaultdict
from functools import cache

from superalign.contracts.protocols import AnswerKey
from superalign.contracts.records import Question
from superalign.contracts.registry import tasks
from superalign.tasks.cities import City, cities
from superalign.tasks.versions import LENGTHS, Version, versioned_questions

FROM_LEVEL = 3  # of `cities`: ranks from 1,501
FEWEST = 5  # such cities of a country that is asked about
LINE = re.compile(r"The city of (.+) is in (.+)\.")
ASKED = re.compile(r"Are the city of (.+) and the city of (.+) in the same country\?")


@tasks.register("same-country")
class SameCountry:
    """Are the city of A and the city of B in the same country? Evidence: which country cities are in. Level by its
    length.

    Countries are drawn alike, so that a city that is asked about says nothing by itself. Beyond the shortest evidence,
    that of both versions is the same.
    """

    name = "same-country"
    level_names = tuple(f"{length} lines" for length in LENGTHS)

    def load(self, limit: int | None = None, seed: int = 0) -> tuple[list[Question], AnswerKey]:
        """Questions on `limit` triples of cities (all if None), as many from each level, in an order drawn by
        `seed`.
        """
        return versioned_questions(self.name, either, self.level_names, limit, seed)

    def bearing(self, question: Question) -> tuple[int, ...]:
        """The lines on both cities speak for yes if they name the same country, for no if not; no other says
        anything, nor one of them without the other.
        """
        asked = ASKED.fullmatch(question.prompt)
        said = [LINE.fullmatch(line) for line in question.evidence]
        places = {match[1]: match[2] for match in said if match and asked and match[1] in asked.groups()}
        spoken = 0 if len(places) < 2 else 1 if len(set(places.values())) == 1 else -1
        return tuple(spoken if match and match[1] in places else 0 for match in said)


@cache
def pool() -> tuple[City, ...]:
    """The cities that are drawn from."""
    return tuple(city for city in cities() if city.level >= FROM_LEVEL)


@cache
def by_country() -> dict[str, list[City]]:
    """Those that are asked about."""
    found = defaultdict(list)
    for city in pool():
        found[city.country].append(city)
    return {country: own for country, own in found.items() if len(own) >= FEWEST}


def either(level: int, rng: random.Random) -> tuple[Version, Version]:
    """Of a city and one of the same country, and of that city and one of another."""
    known = by_country()
    here, there = rng.sample(sorted(known), 2)
    city, same = rng.sample(known[here], 2)
    other = rng.choice(known[there])
    length = LENGTHS[level]
    order = rng.sample(range(length), length)
    more = [own for own in rng.sample(pool(), length) if own not in (city, same, other)]

    def version(second: City) -> Version:
        told = [city, second] if length == 2 else [city, same, other, *more][:length]
        return Version(prompt(city, second), tuple(line(told[place]) for place in order))

    return version(same), version(other)


def prompt(city: City, second: City) -> str:
    return f"Are the city of {city.name} and the city of {second.name} in the same country?"


def line(city: City) -> str:
    return f"The city of {city.name} is in {city.country}."
