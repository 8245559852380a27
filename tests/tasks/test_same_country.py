"""Two cities in one country or in two, as the table has it; one line alone decides nothing."""

from __future__ import annotations

from collections import Counter

from superalign.tasks.cities import cities
from superalign.tasks.same_country import ASKED, FROM_LEVEL, SameCountry


def test_the_truth_is_the_table() -> None:
    table = {city.name: city for city in cities()}
    questions, key = SameCountry().load()
    for question in questions:
        found = ASKED.fullmatch(question.prompt)
        assert found
        one, other = (table[name] for name in found.groups())
        assert key.truth[question.id] == (one.country == other.country) and one != other
        assert min(one.level, other.level) >= FROM_LEVEL
        for line in question.evidence:
            name, _, country = line.removeprefix("The city of ").removesuffix(".").partition(" is in ")
            assert table[name].country == country
        assert len(set(question.evidence)) == len(question.evidence)


def test_both_lines_decide_and_neither_alone() -> None:
    task = SameCountry()
    for question in task.load(limit=100)[0]:
        bearing = task.bearing(question)
        assert Counter(map(abs, bearing)) == {1: 2} | ({0: len(bearing) - 2} if len(bearing) > 2 else {})
        for line in question.evidence:
            assert task.bearing(question.model_copy(update={"evidence": (line,)})) == (0,)
