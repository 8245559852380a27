"""No group crosses a split, whatever is asked for; and nobody gets truth that is not theirs."""

from __future__ import annotations

from collections import Counter
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from superalign.contracts.errors import PlanError
from superalign.runs.plan import TaskPlan
from superalign.tasks.cities import LEVEL_STARTS, Cities
from superalign.tasks.splits import HARD_LEVEL, Splits, divide

PARTS = ("overseer", "train", "test", "auditor")


def groups(splits: Splits, part: str) -> set[str]:
    return {question.group for question in getattr(splits, part)}


@settings(max_examples=15, deadline=None)
@given(
    sizes=st.tuples(st.integers(4, 100), *[st.integers(8, 300)] * 3),
    seed=st.integers(0, 1000),
)
def test_disjoint_by_group_and_of_the_sizes_asked_for(sizes: tuple[int, int, int, int], seed: int) -> None:
    plan = TaskPlan(**{f"{part}_groups": size for part, size in zip(PARTS, sizes, strict=True)})
    splits = divide(Cities(), plan, seed)
    for one, other in combinations(PARTS, 2):
        assert not groups(splits, one) & groups(splits, other)
    for part, size in zip(PARTS, sizes, strict=True):
        asked = getattr(splits, part)
        assert len(groups(splits, part)) == size and len(asked) == 2 * size
        assert splits.key.of(asked).sum() == size
        levels = Counter(question.level for question in asked)
        if part == "overseer":
            assert set(levels) == {0}
        else:
            assert max(levels.values()) - min(levels.get(level, 0) for level in range(5)) <= 2
    everything = {question.id for part in PARTS for question in getattr(splits, part)}
    assert set(splits.key.truth) == everything
    assert {question.level for question in splits.hard} <= set(range(HARD_LEVEL, 5))
    assert {question.id for question in splits.hard} <= {question.id for question in splits.test}


def test_the_same_for_the_same_seed_only() -> None:
    assert divide(Cities(), TaskPlan(), 1) == divide(Cities(), TaskPlan(), 1)
    assert groups(divide(Cities(), TaskPlan(), 1), "test") != groups(divide(Cities(), TaskPlan(), 2), "test")


@pytest.mark.parametrize(
    ("part", "groups"), [("overseer", LEVEL_STARTS[1] + 1), ("train", 5 * LEVEL_STARTS[1] + 5), ("test", 9000)]
)
def test_more_than_there_is(part: str, groups: int) -> None:
    plan = TaskPlan(**{f"{part}_groups": groups})
    with pytest.raises(PlanError, match=r"only \d+ groups left at level 0.*Ask for fewer"):
        divide(Cities(), plan, 0)
