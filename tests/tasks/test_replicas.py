"""Seeds of a task share nothing; their intervals cover what they are meant to."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from superalign.contracts.errors import PlanError
from superalign.contracts.protocols import AnswerKey, Task
from superalign.contracts.records import Interval, Question, Unscored
from superalign.tasks.passage import PassageTask
from superalign.tasks.replicas import SeedBootstrap, replicas

EFFECT = 0.1


def test_no_group_is_shared_and_labels_are_of_the_easiest_level() -> None:
    found = replicas(PassageTask(), labelled=10, trained=5, tested=6, seeds=3, seed=0)
    parts = [{q.group for q in part} for own in found for part in (own.overseer, own.train, own.test)]
    assert all(not one & other for one, other in combinations([*parts, {q.group for q in found[0].auditor}], 2))
    for own in found:
        assert {q.level for q in own.overseer} == {0} and len(own.overseer) == 20
        assert [sum(q.level == level for q in own.test) for level in (0, 1, 2, 3)] == [0, 12, 12, 12]
        assert [sum(q.level == level for q in own.train) for level in (0, 1, 2, 3)] == [0, 10, 10, 10]
        assert set(own.key.truth) == {q.id for q in (*own.overseer, *own.train, *own.test, *own.auditor)}
    assert found == replicas(PassageTask(), labelled=10, trained=5, tested=6, seeds=3, seed=0)
    assert found[0].test != replicas(PassageTask(), labelled=10, tested=6, seeds=3, seed=1)[0].test


class Flat:
    """Questions of one level."""

    name = "flat"
    level_names = ("only",)

    def load(self, limit: int | None = None, seed: int = 0) -> tuple[list[Question], AnswerKey]:
        asked = [Question(id=f"flat/{i}", prompt=str(i), level=0, group=str(i // 2)) for i in range(40)]
        return asked, AnswerKey(truth={question.id: i % 2 == 0 for i, question in enumerate(asked)})


@pytest.mark.parametrize(
    ("task", "labelled", "tested", "said"),
    [
        (PassageTask(), 150, 4, "groups left at level 0, and 150 are asked for"),
        (PassageTask(), 4, 150, "groups left at level 1"),
        (PassageTask(), 4, 200, "is left to measure what its wording gives away"),
        (Flat(), 4, 4, "one level only"),
    ],
)
def test_what_a_task_can_not_give_is_a_plan_error(task: Task, labelled: int, tested: int, said: str) -> None:
    seeds = 2 if tested == 200 else 3
    with pytest.raises(PlanError, match=said) as caught:
        replicas(task, labelled=labelled, tested=tested, seeds=seeds, seed=0, where="compare")
    assert "compare" in str(caught.value) and caught.value.fix


@pytest.mark.parametrize("between_seeds", [0.0, 0.04])
def test_the_interval_of_a_paired_difference_covers(between_seeds: float) -> None:
    """Two judges whose accuracy differs by EFFECT on average, by more or less in each seed; groups differ, too."""
    rng, covered, repeats, groups = np.random.default_rng(0), 0, 200, 60
    names = [[str(place // 2) for place in range(2 * groups)]] * 3
    for repeat in range(repeats):
        differences = []
        for gain in EFFECT + between_seeds * rng.standard_normal(3):
            ease = 0.4 * (rng.random((groups, 1)) - 0.5)
            one, other = (rng.random((groups, 2)) < 0.6 + more + ease for more in (0, gain))
            differences.append((other.astype(float) - one).ravel())
        found = SeedBootstrap(names, resamples=200, seed=repeat).mean(differences)
        assert isinstance(found, Interval)
        covered += found.low <= EFFECT <= found.high
    assert covered / repeats >= 0.93


def test_what_is_not_a_number_does_not_count() -> None:
    bootstrap = SeedBootstrap([["a", "b"], ["c", "d"]], resamples=100)
    found = bootstrap.mean([np.array([1.0, np.nan]), np.array([0.0, 0.0])])
    assert isinstance(found, Interval) and found.value == 0.5
    one_seed = bootstrap.mean([np.array([1.0, 1.0]), np.array([np.nan, np.nan])])
    assert isinstance(one_seed, Interval) and (one_seed.value, one_seed.low, one_seed.high) == (1, 1, 1)
    assert isinstance(bootstrap.mean([np.full(2, np.nan)] * 2), Unscored)
