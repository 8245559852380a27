"""A truth direction transfers if kinds share it, not if each has its own, and never because it was chosen there."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from superalign.contracts.records import Question
from superalign.models.handle import open_alone

Example = Callable[[str], ModuleType]
LAYERS = (1, 2)


def kind(study: ModuleType, name: str, axis: int, seed: int) -> Any:
    """Truth along one axis of the second layer, and nothing in the first."""
    rng = np.random.default_rng(seed)
    truth = np.tile([True, False], 60)
    read = rng.normal(size=(120, 2, 8))
    read[:, 1, axis] += np.where(truth, 1.5, -1.5)
    questions = [Question(id=f"{name}/{i}", prompt=f"Is {i} so?", level=0, group=str(i // 2)) for i in range(120)]
    return study.Kind(name, questions, truth, [q.group for q in questions], read, rng.normal(size=120))


@pytest.mark.parametrize("shared", [True, False])
def test_what_is_shared_transfers_and_what_is_not_does_not(example: Example, shared: bool) -> None:
    study = example("truth_directions")
    first, second = kind(study, "first", 0, 1), kind(study, "second", 0 if shared else 5, 2)
    found = study.trained_on(first, [first, second], LAYERS)
    assert found.layer == 2 and found.auroc["first"].value > 0.9
    over = found.auroc["second"]
    assert over.low > 0.8 if shared else over.low < 0.5 < over.high or abs(over.value - 0.5) < 0.15


def test_shuffled_labels_read_nothing(example: Example) -> None:
    study = example("truth_directions")
    kinds = [kind(study, "first", 0, 1), kind(study, "second", 0, 2)]
    assert abs(study.trained_on(kinds[0], kinds, LAYERS).shuffled["first"] - 0.5) < 0.25


@pytest.mark.model
def test_the_embedded_model_holds_the_truth_about_cities(example: Example) -> None:
    study = example("truth_directions")
    subject, _ = open_alone("smollm2-135m")
    cities = study.Kind.of(subject, "cities", 60, (18, 24), 0)
    found = study.trained_on(cities, [cities], (18, 24))
    assert found.auroc["cities"].low > 0.6
    assert found.auroc["cities"].value > max(found.words["cities"], found.shuffled["cities"]) + 0.1
