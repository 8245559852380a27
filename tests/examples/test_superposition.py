"""Superposition comes with sparsity and a ReLU, and not without either."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import numpy as np
import pytest

Example = Callable[[str], ModuleType]


@pytest.fixture(scope="module")
def toy(example: Example) -> ModuleType:
    return example("superposition")


def test_two_features_share_a_dimension_only_when_they_are_sparse(toy: ModuleType) -> None:
    first, second = toy.phase_diagram(
        np.array([1.0, 0.03]), np.array([3.0, 0.3]), toy.Training(steps=400, batch=128, restarts=5)
    )
    kept = np.stack([first, second], -1) > toy.KEPT
    assert kept[:, 0].tolist() == [[False, True], [True, False]]  # dense: the more important one only
    assert kept[:, 1].all()


def test_a_dimension_holds_more_features_only_with_sparsity_and_a_relu(toy: ModuleType) -> None:
    training = toy.Training(steps=400, batch=128, restarts=1)
    densities = np.array([1.0, 0.05])
    dense, sparse = toy.features_per_dimension(densities, 12, 3, training)
    assert dense < 1.2 and sparse > 2.0
    assert (toy.features_per_dimension(densities, 12, 3, training, relu=False) < 1.1).all()
