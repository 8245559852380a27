"""Over-optimization of what a policy writes: best of n of a pool, and what is made of policies on their way."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from superalign.contracts.errors import PlanError
from superalign.generalization import written_texts
from superalign.generalization.overoptimization import Candidates
from superalign.generalization.written_policy import best_of_pool, best_without_replacement, trained
from superalign.generalization.written_texts import (
    Look,
    Optimized,
    check,
    divided,
    fitted_reward,
    grouped,
    judged,
    told,
)
from superalign.runs.studies import WrittenPolicyPlan

PLAN = WrittenPolicyPlan(learn_prompts=4, train_prompts=2, test_prompts=4, comparisons=200, noise=0.2, members=3)
RIGHT = "Paris, Lyon, Marseille, Toulouse"


def candidates(proxy: np.ndarray, gold: np.ndarray) -> Candidates:
    return Candidates(proxy, gold, [str(row) for row in range(len(proxy))])


@given(st.lists(st.integers(0, 3), min_size=2, max_size=6), st.integers(1, 6))
def test_best_of_n_is_that_of_all_ways_to_draw_n_of_the_pool(proxy: list[int], draws: int) -> None:
    draws = min(draws, len(proxy))
    found = best_without_replacement(candidates(np.array([proxy], float), np.zeros((1, len(proxy)))), draws)
    expected, ways = np.zeros(len(proxy)), list(combinations(range(len(proxy)), draws))
    for chosen in ways:
        best = [i for i in chosen if proxy[i] == max(proxy[j] for j in chosen)]
        expected[best] += 1 / len(best) / len(ways)
    assert found[0] == pytest.approx(expected)


def test_a_proxy_that_is_wrong_at_its_top_loses_what_it_gained() -> None:
    """Gold rises with the proxy and falls at its highest: the peak lies before the furthest."""
    rng = np.random.default_rng(0)
    proxy = rng.normal(size=(40, 64))
    gold = np.where(proxy > 1.5, -1.0, 0.3 * proxy) + 0.05 * rng.normal(size=proxy.shape)
    found = best_of_pool(candidates(proxy, gold))
    assert [point.strength for point in found.points] == [1, 2, 4, 8, 16, 32, 64]
    distances = [point.distance for point in found.points]
    assert distances[0] == 0 and distances[-1] == pytest.approx(np.sqrt(np.log(64) - 63 / 64))
    assert found.lost.low > 0 and 1 < found.best.value < 64
    assert found.falling.low > 0 and isinstance(found.peak, float)
    assert best_of_pool(candidates(proxy, proxy)).lost.value == 0


def look(steps: int, text: str, proxy: float, moved: float) -> Look:
    return Look(steps=steps, texts=((text,) * 2,) * 4, proxy=(proxy,) * 4, divergence=(moved,) * 4)


def test_a_policy_is_measured_by_its_texts_from_the_first_policy_on() -> None:
    asked = [["France"] * 4] * 2
    looks = (look(4, RIGHT, 2.0, 1.0), look(8, "Paris, Paris", 3.0, 4.0))
    first = Candidates(np.zeros((8, 3)), np.full((8, 3), 0.5), [str(i % 4) for i in range(8)], [0] * 4 + [1] * 4)
    found = trained(0.1, [Optimized(looks=looks)] * 2, first, asked, [(("Paris, Lyon, Nice",) * 3,) * 4] * 2)
    assert [(p.strength, p.distance, p.proxy, p.gold.value) for p in found.curve.points] == [
        (0, 0, 0, 0.5),
        (4, 1, 2, 1.0),
        (8, 2, 3, 0.25),
    ]
    assert found.curve.optimizer == "reinforcement" and found.curve.best.value == 4
    assert found.curve.lost.value == pytest.approx(0.75) and found.curve.gained.value == pytest.approx(-0.25)
    assert [own.value for own in found.divergence] == [0, 1, 4] and found.names == (3, 4, 2)
    assert found.example == "Paris, Paris"


def test_comparisons_are_told_the_wrong_way_round_as_often_as_asked_for() -> None:
    worths = [[0.0, 1.0, 0.5], [0.0, 1.0], [1.0, 1.0, 1.0]]
    pairs = told(worths, PLAN.model_copy(update={"comparisons": 2000}), "a draw")
    gaps = [worths[prompt][one] - worths[same][other] for (prompt, one), (same, other) in pairs]
    assert 0 not in gaps and {prompt for (prompt, _), _ in pairs} == {0, 1}
    assert np.mean(np.array(gaps) < 0) == pytest.approx(0.2, abs=0.04)


def test_a_reward_learns_what_tells_better_from_worse() -> None:
    rng = np.random.default_rng(1)
    states = rng.normal(size=(200, 2, 16))
    states[:, 0, 3] += 2
    one = fitted_reward(states, PLAN, "outcome", "alone", 5, seed=0)
    assert np.argmax(np.abs(one.directions[0])) == 3 and one.directions[0][3] > 0 and one.pieces is None
    values = states.reshape(400, 16) @ np.array(one.directions[0])
    assert (values.mean(), values.std()) == pytest.approx((one.centre[0], one.spread[0]))
    several = fitted_reward(states, PLAN, "process", "worst", 5, seed=0)
    assert len(set(several.directions)) == 3 and several.members == "worst" and several.pieces


def test_processes_are_judged_by_names_and_outcomes_by_texts() -> None:
    texts = ((RIGHT, "Berlin, Paris"),)
    assert judged(["France"], texts, "outcome") == (texts, [[1.0, 0.25]])
    [names], [worths] = judged(["France"], texts, "process")
    assert dict(zip(names, worths, strict=True)) == {"Berlin": 0} | dict.fromkeys(RIGHT.split(", "), 1)


def test_prompts_to_learn_train_and_measure_on_share_nothing() -> None:
    parts = divided(PLAN, 0, 1)
    assert list(map(len, parts)) == [4, 2, 4] and len(set().union(*parts)) == 10
    assert grouped("abcdef", 2) == (("a", "b", "c"), ("d", "e", "f"))


def test_what_cannot_be_done_is_said_before_anything_is_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(PlanError, match="are asked for"):
        check(PLAN.model_copy(update={"test_prompts": 500}), 0)
    monkeypatch.setattr(written_texts, "find_spec", lambda name: None)
    with pytest.raises(PlanError, match="TRL"):
        check(PLAN, 0)
    with pytest.raises(ValueError, match="no multiple of 8"):
        WrittenPolicyPlan.model_validate({"training": {"backend": "trl", "batch": 20}})
    with pytest.raises(ValueError, match="back end `trl`"):
        WrittenPolicyPlan.model_validate({"training": {"backend": "fast"}})
