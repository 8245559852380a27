"""Chains: every step is checked as it should be, and each begins where the last one ended, flawed or not."""

from __future__ import annotations

import random
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from superalign.contracts.records import Question
from superalign.tasks import sum_chain, table_chain
from superalign.tasks.sum_chain import SumChain
from superalign.tasks.table_chain import TableChain

seeds = st.integers(0, 2**32)
levels = st.integers(0, 3)


def asked(prompt: str, evidence: tuple[str, ...]) -> Question:
    return Question(id="chain/0/a", prompt=prompt, level=0, group="0", evidence=evidence)


@settings(max_examples=100, deadline=None)
@given(seed=seeds, level=levels)
def test_steps_link(seed: int, level: int) -> None:
    for version in table_chain.chain(level, random.Random(seed)):
        steps = [line.removesuffix(".").partition("goes from ")[2].split(" to ") for line in version.evidence]
        assert all(end == begin for (_, end), (begin, _) in pairwise(steps))
        assert len({word for step in steps for word in step}) == len(steps) + 1


@settings(max_examples=100, deadline=None)
@given(seed=seeds, level=levels)
def test_sums_link_and_stay_small(seed: int, level: int) -> None:
    for version in sum_chain.chain(level, random.Random(seed)):
        sums = [line.split() for line in version.evidence]
        assert all(one[4] == other[0] for one, other in pairwise(sums))
        assert all(0 <= int(number) <= 9 for one in sums for number in one[::2])


@given(a=st.integers(0, 99), b=st.integers(0, 99), c=st.integers(0, 99), minus=st.booleans())
def test_a_sum_is_right_if_it_is(a: int, b: int, c: int, minus: bool) -> None:
    line = f"{a} {'-' if minus else '+'} {b} = {c}"
    assert SumChain().bearing(asked(sum_chain.PROMPT, (line,))) == ((1,) if c == (a - b if minus else a + b) else (-1,))


def test_what_is_no_step_speaks_against_it() -> None:
    said = ("", "8 + 7 = 15 = 15", "The table leads from boat to green.", "Yes.")
    assert TableChain().bearing(asked(table_chain.PROMPT, said)) == (-1,) * 4
    assert SumChain().bearing(asked(sum_chain.PROMPT, said)) == (-1,) * 4


def test_a_step_follows_the_table_that_it_names() -> None:
    lines = [("boat", "green", "green"), ("boat", "green", "red"), ("boat", "boat", "green")]
    evidence = tuple(table_chain.line(begin, end, table) for begin, end, table in lines)
    other_row = "The table leads from cup to green. The step goes from boat to green."
    assert TableChain().bearing(asked(table_chain.PROMPT, (*evidence, other_row))) == (1, -1, -1, -1)
