"""A contradiction takes all lines of its cycle: with any one less, what is left can be true."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from graphlib import CycleError, TopologicalSorter

from hypothesis import given, settings
from hypothesis import strategies as st

from superalign.contracts.records import Question
from superalign.tasks.ordering import LINE, PROMPT, SIZES, Ordering, line, statements


def can_be_true(lines: Sequence[str]) -> bool:
    """Whether people can be put in an order that all lines agree with."""
    older: dict[str, set[str]] = {}
    for text in lines:
        found = LINE.fullmatch(text)
        assert found
        older.setdefault(found[2], set()).add(found[1])
    try:
        TopologicalSorter(older).prepare()
    except CycleError:
        return False
    return True


def asked(evidence: Sequence[str]) -> Question:
    return Question(id="ordering/0-0/a", prompt=PROMPT, level=0, group="0-0", evidence=tuple(evidence))


@settings(max_examples=200, deadline=None)
@given(level=st.integers(0, len(SIZES) - 1), seed=st.integers(0, 2**32))
def test_the_contradiction_is_as_long_as_it_should_be(level: int, seed: int) -> None:
    yes, no = statements(level, random.Random(seed))
    assert len(yes.evidence) == len(no.evidence) == SIZES[level].lines
    assert can_be_true(yes.evidence) and not can_be_true(no.evidence)
    bearing = Ordering().bearing(asked(no.evidence))
    flaw = [place for place, own in enumerate(bearing) if own == -1]
    assert len(flaw) == SIZES[level].cycle
    for spared in flaw:
        assert can_be_true([text for place, text in enumerate(no.evidence) if place != spared])


@settings(max_examples=200)
@given(
    pairs=st.lists(
        st.tuples(st.sampled_from("ABCDE"), st.sampled_from("ABCDE")).filter(lambda pair: pair[0] != pair[1]),
        min_size=1,
        max_size=9,
    )
)
def test_lines_speak_against_it_where_they_contradict_each_other(pairs: list[tuple[str, str]]) -> None:
    lines = [line(*pair) for pair in pairs]
    bearing = Ordering().bearing(asked(lines))
    assert (-1 in bearing) != can_be_true(lines)
    assert can_be_true([text for text, own in zip(lines, bearing, strict=True) if own == 1])


def test_counting_does_not_tell() -> None:
    """In a long question everybody is as often the older one, and the younger one, in both versions."""
    groups: dict[str, list[Question]] = defaultdict(list)
    for question in Ordering().load(limit=200)[0]:
        groups[question.group].append(question)
    for one, other in groups.values():
        assert one.prompt == other.prompt
        changed = [pair for pair in zip(one.evidence, other.evidence, strict=True) if pair[0] != pair[1]]
        assert len(changed) == (2 if one.level else 1)
        for place in (0, -1):
            sides = [Counter(text.removesuffix(".").split()[place] for text in own.evidence) for own in (one, other)]
            assert not one.level or sides[0] == sides[1]
        assert not one.level or len({*one.evidence}) == len({*other.evidence}) == len(one.evidence)


def test_a_part_of_a_cycle_says_nothing_against_it() -> None:
    task = Ordering()
    for question in task.load(limit=50)[0]:
        for text in question.evidence:
            assert task.bearing(question.model_copy(update={"evidence": (text,)})) == (1,)
