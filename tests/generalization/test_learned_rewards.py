"""Answers of steps have the worth they are said to have, and rewards learn from nothing but comparisons of them."""

from __future__ import annotations

import random

import numpy as np
import pytest

from superalign.contracts.errors import PlanError
from superalign.contracts.registry import tasks
from superalign.generalization.learned_rewards import POOLS, Prompts, compared, prompts_of
from superalign.runs.studies import OveroptimizationPlan

PLAN = OveroptimizationPlan(prompts=5, candidates=7, steps=3, seeds=2)


@pytest.mark.parametrize("task", ["table-chain", "proof"])
def test_the_gold_reward_is_the_share_of_steps_that_are_right(task: str) -> None:
    follows = {
        line: bearing > 0
        for question in tasks.make(task).load()[0]
        for line, bearing in zip(question.evidence, tasks.make(task).bearing(question), strict=True)
    }
    for learn, optimize in prompts_of(PLAN.model_copy(update={"task": task}), 0):
        assert len(learn.steps) == POOLS and optimize.candidates.shape == (5, 7, 3)
        assert all(0.3 < own.gold.mean() < 0.7 for own in (learn, optimize))
        for (prompt, candidate), lines in optimize.lines("outcome").items():
            assert len(set(lines)) == 3
            right = np.mean([follows[line] for line in lines])
            assert optimize.gold[prompt, candidate] == pytest.approx(right)


def test_no_step_is_met_in_two_seeds_or_in_learning_and_optimizing() -> None:
    seen = [{line for own in prompts.steps for line, _ in own} for both in prompts_of(PLAN, 0) for prompts in both]
    assert len(set.union(*seen)) == sum(map(len, seen)) == PLAN.seeds * (POOLS + PLAN.prompts) * 16


def test_comparisons_are_told_wrong_as_often_as_is_said_and_more_begin_with_fewer() -> None:
    worth = np.random.default_rng(0).random((20, 9))
    pairs = compared(worth, 2000, 0.2, random.Random(0))
    assert pairs[:50] == compared(worth, 50, 0.2, random.Random(0))
    assert all(better[0] == worse[0] and better != worse for better, worse in pairs)
    assert np.mean([worth[better] < worth[worse] for better, worse in pairs]) == pytest.approx(0.2, abs=0.03)


def test_equals_are_never_compared() -> None:
    worth = np.tile([0.0, 0.0, 1.0], (4, 1))
    assert all({better[1], worse[1]} & {2} for better, worse in compared(worth, 100, 0.3, random.Random(1)))


def test_a_candidate_is_worth_the_mean_of_its_steps_where_these_are_compared() -> None:
    steps = [[(f"{prompt}{i}", i % 2 == 0) for i in range(4)] for prompt in "ab"]
    prompts = Prompts(steps, np.array([[[0, 1], [2, 3]], [[0, 2], [1, 3]]]))
    assert list(prompts.lines("process").values())[:2] == [("a0",), ("a1",)]
    assert prompts.lines("outcome")[1, 0] == ("b0", "b2")
    rewards = np.arange(8.0)
    assert prompts.valued(rewards, "process").tolist() == [[0.5, 2.5], [5.0, 6.0]]
    assert prompts.valued(np.arange(4.0), "outcome").tolist() == [[0.0, 1.0], [2.0, 3.0]]
    assert prompts.gold.tolist() == [[0.5, 0.5], [1.0, 0.0]]


@pytest.mark.parametrize("changed", [{"task": "cities"}, {"prompts": 10_000}])
def test_a_task_without_enough_steps_is_refused(changed: dict[str, object]) -> None:
    with pytest.raises(PlanError, match="are asked for"):
        prompts_of(PLAN.model_copy(update=changed), 0)
