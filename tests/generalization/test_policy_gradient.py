"""A policy that follows the gradient of a reward favours what it can read, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from superalign.generalization.overoptimization import Candidates, curve, divergence
from superalign.generalization.policy_gradient import UPDATES, course


def readable(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    states = np.random.default_rng(seed).normal(size=(20, 16, 8))
    return states, states[:, :, 0] + states[:, :, 1]


def test_it_starts_even_and_gets_more_reward_further_away_with_every_look() -> None:
    states, reward = readable()
    found = course(states, reward)
    assert len(found) == len(UPDATES) and found[0] == pytest.approx(1 / 16)
    worth = [float((policy * reward).sum(axis=1).mean()) for policy in found]
    far = [divergence(policy) for policy in found]
    assert worth == sorted(worth) and far == sorted(far) and worth[-1] > 0.8 * reward.max(axis=1).mean()


def test_a_reward_that_nothing_it_reads_tells_of_is_hardly_got() -> None:
    states, reward = readable()
    unread = np.random.default_rng(1).permutation(reward.ravel()).reshape(reward.shape)
    gained = [float((course(states, own)[6] * own).sum(axis=1).mean() - own.mean()) for own in (reward, unread)]
    assert gained[1] < 0.4 * gained[0]


def test_its_curve_is_fitted_by_the_law_of_reinforcement_learning() -> None:
    states, reward = readable()
    candidates = Candidates(reward, reward, [str(i) for i in range(20)])
    found = curve(candidates, "policy gradient", learnt=course(states, reward))
    assert [point.strength for point in found.points] == list(UPDATES) and found.unexplained < 0.1
