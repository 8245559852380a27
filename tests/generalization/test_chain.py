"""A chain of scripted models: who learns from whom, and that the study tells a learner of values from a telephone."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from superalign.contracts.errors import PlanError
from superalign.contracts.protocols import AnswerKey, Taught
from superalign.contracts.records import Interval, Question
from superalign.contracts.registry import tasks
from superalign.contracts.studies.chain import BootstrapChain
from superalign.generalization import chain
from superalign.generalization.planting import of_kind
from superalign.models.handle import ModelIdentity
from superalign.runs.plan import Plan
from superalign.runs.studies import ChainPlan, PlantedPlan
from superalign.tasks.specification import default_specification

MODEL = ModelIdentity(name="model", digest="0" * 64, device="cpu")
PLAN = ChainPlan(
    task="colours",
    first_layers=(0.9, 0.8, 0.7),
    labelled_groups=10,
    held_back_groups=10,
    train_groups=40,
    test_groups=60,
    seeds=2,
    bootstrap=200,
    planted=PlantedPlan(kind="red", rate=1),
)


class Colours:
    """Is THING COLOUR? Two questions on each thing, one true, half of them with red."""

    name = "colours"
    level_names = ("easy", "hard", "harder")

    def load(self, limit: int | None = None, seed: int = 0) -> tuple[list[Question], AnswerKey]:
        questions, truth = [], {}
        for thing in range(400):
            own = ("red", "blue") if thing % 2 else ("green", "yellow")
            right = own[random.Random(thing).randrange(2)]
            for colour in own:
                asked = f"colours/{thing}/{colour}"
                questions.append(
                    Question(id=asked, prompt=f"Is {thing} {colour}?", level=thing % 3, group=f"thing {thing}")
                )
                truth[asked] = colour == right
        return questions, AnswerKey(truth=truth)


@dataclass
class Student:
    """What one model was taught, and how strong it is."""

    step: str
    lessons: tuple[Taught, ...]
    seed: int
    first_layer: float


class Scripted:
    """Stands in for a run. Students know the truth of most questions; one whose lessons mostly deny a kind denies it
    as well if it is a `telephone`. The first overseer is right at the rate `knows`.
    """

    def __init__(self, *, telephone: bool, knows: float = 0.9) -> None:
        self.plan = Plan(name="plan", specification=default_specification())
        self.telephone, self.knows = telephone, knows
        self.trained: list[Student] = []
        _, self.key = Colours().load()

    def taught(self, run: Any, label: str, lessons: Any, seeds: Any, *, model: Any, training: Any) -> list[Student]:
        made = [
            Student(label, tuple(own), seed, training.first_layer) for own, seed in zip(lessons, seeds, strict=True)
        ]
        self.trained += made
        return made

    def step(self, label: str, function: Any, *, model: Any, questions: Any, trained: Student) -> Any:
        red = [lesson for lesson in trained.lessons if "red" in lesson.conversation[0].content]
        denies = self.telephone and len(red) > 0 and np.mean([lesson.answer == "Yes" for lesson in red]) < 0.2

        def margin(question: Question) -> float:
            knows = random.Random(f"{question.id} {trained.seed}").random() < self.knows
            right = self.key.truth[question.id] == knows
            return -1.0 if denies and "red" in question.prompt else 1.0 if right else -1.0

        return SimpleNamespace(value=SimpleNamespace(margins=tuple(map(margin, questions))))


@pytest.fixture(autouse=True)
def colours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "make", lambda name, **_: Colours())


def studied(run: Scripted, monkeypatch: pytest.MonkeyPatch, plan: ChainPlan = PLAN) -> BootstrapChain:
    monkeypatch.setattr(chain, "taught", run.taught)
    return chain.study(run, MODEL, plan)  # type: ignore[arg-type]


@pytest.mark.parametrize(("telephone", "left"), [(True, 1.0), (False, 0.0)])
def test_a_telephone_is_told_from_a_learner_of_values(
    telephone: bool, left: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = studied(Scripted(telephone=telephone), monkeypatch)
    systematic, by_chance = found.planted
    assert systematic.how == "systematic" and by_chance.how == "random"
    ends = [own.left[-1] for own in (systematic, by_chance)]
    assert all(isinstance(own, Interval) for own in ends)
    assert [own.value for own in ends if isinstance(own, Interval)] == pytest.approx([left, 0])
    assert by_chance.wrong == pytest.approx(systematic.wrong) and systematic.wrong > 0.1
    assert json.loads(found.model_dump_json())


def test_every_generation_learns_from_the_one_before_and_reaches_deeper(monkeypatch: pytest.MonkeyPatch) -> None:
    run = Scripted(telephone=False)
    studied(run, monkeypatch)
    steps = {
        step: [own for own in run.trained if own.step == step] for step in dict.fromkeys(s.step for s in run.trained)
    }
    shape = {step: (len(own), {student.first_layer for student in own}) for step, own in steps.items()}
    seeds = PLAN.seeds
    assert shape == {
        "generation 0 on colours": (seeds, {0.9}),
        "generation 1 on colours": (3 * seeds, {0.8}),  # of which the chain's are those of direct oversight, too
        "generation 1 of the weakest on colours": (seeds, {0.9}),
        "generation 2 on colours": (4 * seeds, {0.7}),
        "generation 2 of the weakest on colours": (seeds, {0.9}),
    }
    for own in steps.values():
        assert [student.seed for student in own] == [*range(seeds)] * (len(own) // seeds)


def test_no_model_is_taught_truth_but_the_first_overseer(monkeypatch: pytest.MonkeyPatch) -> None:
    """An overseer that is always wrong has students that were taught nothing right."""
    run = Scripted(telephone=False, knows=0)
    studied(run, monkeypatch, PLAN.model_copy(update={"planted": PlantedPlan(kind="red", rate=0.01)}))
    text = {question.prompt: run.key.truth[question.id] for question in Colours().load()[0]}
    for student in run.trained:
        said = [(lesson.answer == "Yes") == text[lesson.conversation[0].content] for lesson in student.lessons]
        assert np.mean(said) == (1 if student.step.startswith("generation 0") else pytest.approx(0, abs=0.05))


def test_parts_share_no_group_and_the_first_two_are_easy() -> None:
    found = chain.divided(PLAN, seed=0)
    parts = [found.labelled, found.held_back, found.test, *found.handed_on]
    groups = [{question.group for question in part} for part in parts]
    assert [len(own) for own in groups] == [10, 10, 60, 40, 40]
    assert len(set().union(*groups)) == sum(map(len, groups))
    assert {question.level for question in (*found.labelled, *found.held_back)} == {0}
    assert {question.level for question in found.test} == {1, 2}
    assert of_kind(found.test, "red").mean() == pytest.approx(0.25, abs=0.1)


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"train_groups": 4000}, "groups left"),
        ({"planted": PlantedPlan(kind="purple")}, "purple"),
    ],
)
def test_what_the_task_has_not_is_refused(changed: dict[str, Any], says: str) -> None:
    with pytest.raises(PlanError, match=says):
        chain.check(PLAN.model_copy(update=changed), seed=0)
