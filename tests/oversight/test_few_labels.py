"""The few-labels overseer: learns what its layer shows, judges out of sample, and says what it can't read."""

from __future__ import annotations

import numpy as np
import pytest

from superalign.contracts.protocols import AnswerKey, Trusted
from superalign.contracts.records import Access, Judgement, Question, Unscored
from superalign.models.subject import ModelSubject
from superalign.oversight.few_labels import FewLabels
from superalign.tasks.specification import default_specification
from superalign.testing.conformance import Watched
from superalign.testing.tiny import tiny_subject

CITIES = ("apple", "bridge")


@pytest.fixture(scope="module")
def tiny() -> ModelSubject:
    return tiny_subject()


def asked(groups: range) -> tuple[list[Question], AnswerKey]:
    """Truth is in the wording, where even a shallow layer of an untrained model has it."""
    questions = [
        Question(id=f"{group}/{word}", prompt=f"Number {group}: {word}", level=0, group=str(group))
        for group in groups
        for word in CITIES
    ]
    return questions, AnswerKey(truth={question.id: question.id.endswith("apple") for question in questions})


def given(reader: ModelSubject | Watched, groups: range) -> Trusted:
    questions, key = asked(groups)
    return Trusted(reader, tuple(questions), key, default_specification())


def test_it_learns_and_judges_others(tiny: ModelSubject) -> None:
    overseer = FewLabels().learn(given(tiny, range(20)))
    questions, key = asked(range(20, 60))
    judged = overseer.judge(questions)
    assert all(isinstance(judgement, Judgement) for judgement in judged)
    right = [
        (j.probability > 0.5) == t for j, t in zip(judged, key.of(questions), strict=True) if isinstance(j, Judgement)
    ]
    assert np.mean(right) > 0.95


def test_groups_it_was_given_labels_on_are_not_judged(tiny: ModelSubject) -> None:
    questions, _ = asked(range(15, 25))
    judged = FewLabels().learn(given(tiny, range(20))).judge(questions)
    for question, judgement in zip(questions, judged, strict=True):
        assert isinstance(judgement, Unscored) == (int(question.group) < 20)
    assert "out of sample" in next(judgement.reason for judgement in judged if isinstance(judgement, Unscored))


def test_what_can_not_be_read_is_unscored_and_the_rest_judged(tiny: ModelSubject) -> None:
    class PartlyBroken(Watched):
        def activations(self, *arguments: object) -> np.ndarray:
            found = super().activations(*arguments)  # type: ignore[arg-type]
            found[0] = np.nan
            return found

    reader = PartlyBroken(tiny, frozenset(Access))
    overseer = FewLabels().learn(given(tiny, range(20)))
    overseer._reader = reader
    questions, _ = asked(range(20, 30))
    judged = overseer.judge(questions)
    assert isinstance(judged[0], Unscored) and "not finite" in judged[0].reason
    assert all(isinstance(judgement, Judgement) for judgement in judged[1:])


def test_depth_says_which_layer_is_read(tiny: ModelSubject) -> None:
    questions, _ = asked(range(20, 22))
    shallow, deep = (FewLabels(depth=depth).learn(given(tiny, range(20))).judge(questions) for depth in (0.2, 1.0))
    assert shallow != deep
