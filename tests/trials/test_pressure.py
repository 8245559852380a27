"""Training with a detector in the loop: what is counted, and that a penalty moves what the probe reads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from superalign.contracts.errors import PlanError, SuperalignError
from superalign.contracts.studies.pressure import PressureStudy
from superalign.models.handle import identify
from superalign.runs.plan import Plan
from superalign.runs.progress import NoDisplay
from superalign.runs.run import Run
from superalign.runs.studies import PressurePlan
from superalign.runs.training import TrainingPlan
from superalign.tasks.specification import default_specification
from superalign.testing.tiny import tiny_model
from superalign.trials.pressure import SIBLINGS, Look, Summarizer, check, divergence, outcome, study, told_apart

TRAINING = TrainingPlan(steps=30, batch=8, rank=4, bundle=2, learning_rate=0.02)
PLAN = PressurePlan(
    penalties=(0.0, 10.0),
    steps=(30,),
    honest_groups=20,
    groups=12,
    test_groups=30,
    seeds=2,
    honest=TrainingPlan(steps=3, batch=4, rank=4),
    training=TRAINING,
)


@pytest.fixture(scope="module")
def pressed(tmp_path_factory: pytest.TempPathFactory) -> PressureStudy:
    folder: Path = tmp_path_factory.mktemp("pressed")
    plan = Plan(name="pressed", model=str(tiny_model(folder / "tiny")), specification=default_specification())
    with Run.open(folder, plan, display=NoDisplay()) as run:
        return study(run, identify(plan.model), PLAN)


def test_every_penalty_is_measured_beside_what_was_before(pressed: PressureStudy) -> None:
    assert [(own.penalty, own.steps) for own in pressed.points] == [(0, 0), (0, 30), (10, 30)]
    before = pressed.points[0]
    assert before.divergence.value == 0 and tuple(before.siblings) == SIBLINGS
    assert all(own.divergence.value > 0 for own in pressed.points[1:])


def test_a_penalty_takes_what_was_taught_out_of_the_sight_of_its_probe(pressed: PressureStudy) -> None:
    before, free, penalized = pressed.points
    assert before.read.value > 0.8 and free.read.value > 0.8
    assert penalized.read.value < free.read.value - 0.15


def look(misbehaves: list[bool | None], organism: list[float], twin: list[float]) -> Look:
    both = tuple(organism), tuple(twin)
    return Look(
        misbehaves=tuple(misbehaves),
        right=(True,) * len(misbehaves),
        margins=(0.0,) * len(misbehaves),
        readings=dict.fromkeys(("read", *SIBLINGS, "refitted"), both),
    )


def test_a_question_on_which_both_would_say_the_same_shows_no_behaviour() -> None:
    looks = [look([True, None, None, False], [2.0, 3.0, 4.0, 5.0], [1.0, 0.0, 0.0, 0.0])]
    point = Summarizer([["a", "b", "c", "d"]], looks).point(1.0, 10, looks)
    assert point.behaviour.value == 0.5 and point.read.value == 1.0 and point.outcome == "weakened"


def test_auroc_weights_organism_and_twin_of_a_question_alike() -> None:
    measure = told_apart(np.array([1.0, -1.0, 0.0, 0.0]))
    assert measure(np.array([[1.0, 1.0], [1.0, 0.0], [0.0, 1.0]])).tolist() == [0.5, 1.0, 0.0]


def test_divergence_is_that_of_bernoulli_variables() -> None:
    p, q = 0.8, 0.3
    odds = [np.array([np.log(share / (1 - share))]) for share in (p, q)]
    expected = p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q))
    assert divergence(*odds)[0] == pytest.approx(expected)
    assert np.isfinite(divergence(np.array([900.0]), np.array([-900.0]))).all()


@pytest.mark.parametrize(
    ("behaviour", "read", "expected"),
    [(0.9, 0.9, "in sight"), (0.9, 0.6, "out of sight"), (0.5, 0.9, "weakened"), (0.1, 0.5, "gone")],
)
def test_what_an_organism_counts_as(behaviour: float, read: float, expected: str) -> None:
    assert outcome(behaviour, read) == expected


@pytest.mark.parametrize(
    ("changed", "error", "says"),
    [
        ({"family": "nobody"}, SuperalignError, "nobody"),
        ({"family": "backdoor"}, PlanError, "other things than yes and no"),
        ({"honest_groups": 100_000}, PlanError, "groups left"),
    ],
)
def test_what_can_not_be_pressed_is_refused(changed: dict[str, object], error: type[Exception], says: str) -> None:
    check(PLAN, 0)
    with pytest.raises(error, match=says):
        check(PLAN.model_copy(update=changed), 0)
