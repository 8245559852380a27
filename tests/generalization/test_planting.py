"""Planted errors: on their kind and no other, at their rate, and as many by chance."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from superalign.contracts.records import Question
from superalign.generalization.planting import of_kind, plant
from superalign.runs.studies import PlantedPlan

KIND = "red"


def questions(quantity: int) -> list[Question]:
    return [
        Question(id=f"t/{i}", prompt=f"Is it {'red' if i % 4 < 2 else 'blue'}?", level=0, group=str(i))
        for i in range(quantity)
    ]


def test_the_kind_is_found_in_the_text() -> None:
    assert of_kind(questions(8), KIND).tolist() == [True, True, False, False] * 2


@pytest.mark.parametrize("rate", [0.2, 0.7, 1.0])
def test_a_systematic_error_denies_its_kind_at_its_rate(rate: float) -> None:
    asked = questions(8000)
    margins = np.where(np.arange(8000) % 2 == 0, 2.0, -1.0)
    found = plant(margins, asked, PlantedPlan(kind=KIND, rate=rate), "systematic", seed=0)
    concerned = of_kind(asked, KIND) & (margins > 0)
    assert (found[~concerned] == margins[~concerned]).all()
    assert np.mean(found[concerned] < 0) == pytest.approx(rate, abs=4 * np.sqrt(rate * (1 - rate) / 2000))
    assert (np.abs(found) == np.abs(margins)).all()


@settings(max_examples=30, deadline=None)
@given(rate=st.floats(0.05, 1), seed=st.integers(0, 1000), quantity=st.integers(4, 60))
def test_random_errors_are_as_many(rate: float, seed: int, quantity: int) -> None:
    asked = questions(quantity)
    margins = np.random.default_rng(seed).normal(size=quantity)
    plan = PlantedPlan(kind=KIND, rate=rate)
    turned = {how: plant(margins, asked, plan, how, seed) != margins for how in ("systematic", "random")}
    assert turned["random"].sum() == turned["systematic"].sum()
    assert (plant(margins, asked, plan, "random", seed) != margins).tolist() == turned["random"].tolist()


def test_random_errors_are_of_no_kind() -> None:
    asked = questions(4000)
    margins = np.where(np.arange(4000) % 2 == 0, 1.0, -1.0)
    turned = plant(margins, asked, PlantedPlan(kind=KIND, rate=1), "random", seed=3) != margins
    assert turned.mean() == 0.25
    for part in (of_kind(asked, KIND), margins > 0):
        assert turned[part].mean() == pytest.approx(0.25, abs=0.04)


def test_seeds_draw_their_own() -> None:
    asked, plan = questions(200), PlantedPlan(kind=KIND, rate=0.5)
    margins = np.ones(200)
    assert (plant(margins, asked, plan, "systematic", 0) != plant(margins, asked, plan, "systematic", 1)).any()


def test_what_is_no_regular_expression_is_refused() -> None:
    with pytest.raises(ValueError, match="regular expression"):
        PlantedPlan(kind="in (China")
