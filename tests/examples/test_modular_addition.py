"""Grokking: sums that were held out are solved by waves, and random answers by none."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest

Example = Callable[[str], ModuleType]


@pytest.fixture(scope="module")
def addition(example: Example) -> ModuleType:
    return example("modular_addition")


@pytest.fixture(scope="module")
def short(addition: ModuleType) -> Any:
    return addition.Setup(prime=31, width=32, hidden=96, share=0.7, steps=600, every=200)


def test_a_few_frequencies_carry_what_was_learnt(addition: ModuleType, short: Any) -> None:
    _, _, found = addition.study(short)
    assert found.held_out_accuracy > 0.9 and found.share > 0.75
    assert found.restricted < found.loss + 0.05
    assert found.excluded > np.log(31) > 1.0 > found.excluded_others


def test_learnt_by_heart_there_are_none(addition: ModuleType, short: Any) -> None:
    checks, task, found = addition.study(short, sums=False)
    assert task.accuracy(checks[-1].logits, learnt=True) > 0.9 and found.held_out_accuracy < 0.2
    assert found.share < 0.7 and found.excluded < 1.0 < found.restricted


def test_waves_of_the_sum_are_found_and_no_others(addition: ModuleType) -> None:
    a, b = np.meshgrid(np.arange(31), np.arange(31), indexing="ij")
    angle = 2 * np.pi / 31
    of_the_sum, of_the_difference = np.cos(3 * angle * (a + b)), np.cos(3 * angle * (a - b))
    logits = np.stack([of_the_sum, of_the_difference, of_the_sum + 2.0], -1)
    found = addition.waves_of_the_sum(logits, np.array([3]))
    expected = np.stack([of_the_sum, 0 * of_the_sum, of_the_sum], -1)
    assert np.allclose(found, expected) and np.allclose(addition.waves_of_the_sum(logits, np.array([4])), 0)
