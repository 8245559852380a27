"""The weak model as an overseer: it learns what it is shown, and is a model of its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.special import expit

from superalign.contracts.errors import InputError, ModelError
from superalign.contracts.protocols import AnswerKey, Trusted
from superalign.contracts.records import Access, Judgement, Question, Unscored
from superalign.oversight.measure import weights
from superalign.oversight.weak_model import WeakModel
from superalign.tasks.specification import default_specification
from superalign.testing.tiny import tiny_model, tiny_subject

from ..scripted import ScriptedSubject

STRONG = tiny_subject()


def asked(groups: range) -> tuple[list[Question], AnswerKey]:
    """Truth is in the wording, so that even a tiny model learns it."""
    questions = [
        Question(id=f"{group}/{word}", prompt=f"Number {group}: {word}", level=0, group=str(group))
        for group in groups
        for word in ("apple", "bridge")
    ]
    return questions, AnswerKey(truth={question.id: question.id.endswith("apple") for question in questions})


def given(groups: range, subject: object = STRONG, *, right: bool = True) -> Trusted:
    questions, key = asked(groups)
    truth = {name: value == right for name, value in key.truth.items()}
    return Trusted(subject, tuple(questions), AnswerKey(truth=truth), default_specification())  # type: ignore[arg-type]


def accuracy(overseer: WeakModel) -> float:
    questions, key = asked(range(20, 50))
    judged = overseer.judge(questions)
    assert all(isinstance(own, Judgement) and 0 <= own.probability <= 1 for own in judged)
    said = np.array([own.probability > 0.5 for own in judged if isinstance(own, Judgement)])
    return float(np.mean(said == key.of(questions)))


def test_it_judges_others_as_its_labels_were_and_passes_their_error_on() -> None:
    assert accuracy(WeakModel().learn(given(range(20)))) > 0.9
    assert accuracy(WeakModel().learn(given(range(20), right=False))) < 0.1


def test_another_model_than_the_plans_is_taught_where_one_is_named(tmp_path: Path) -> None:
    tiny_model(tmp_path / "weak", layers=4)
    overseer = WeakModel(model=str(tmp_path / "weak")).learn(given(range(20)))
    assert overseer._judge.layers == 4 != STRONG.layers
    assert accuracy(overseer) > 0.9


def test_what_it_judged_is_not_reused_when_other_weights_lie_under_the_name(tmp_path: Path) -> None:
    named = {"model": str(tmp_path / "weak")}
    tiny_model(tmp_path / "weak", layers=2)
    first = weights("weak-model", named)
    assert first == weights("weak-model", named) and len(first) == 1
    tiny_model(tmp_path / "weak", layers=3)
    assert weights("weak-model", named) != first
    assert weights("weak-model", {}) == weights("few-labels", {}) == ()


def test_groups_with_labels_are_not_judged() -> None:
    questions, _ = asked(range(15, 25))
    for question, own in zip(questions, WeakModel(steps=2).learn(given(range(20))).judge(questions), strict=True):
        assert isinstance(own, Unscored) == (int(question.group) < 20)


def test_without_open_weights_it_judges_untaught() -> None:
    closed = ScriptedSubject(lambda conversation: 1.0, access=frozenset({Access.BLACK_BOX, Access.LOGPROBS}))
    judged = WeakModel().learn(given(range(20), closed)).judge(asked(range(20, 23))[0])
    assert {own.probability for own in judged if isinstance(own, Judgement)} == {float(expit(1.0))}


def test_a_model_that_there_is_not_is_told(tmp_path: Path) -> None:
    with pytest.raises((InputError, ModelError)):
        WeakModel(model=str(tmp_path / "nowhere")).learn(given(range(4)))
