"""No overseer comes by the truth: who reaches for it is caught, and neither ids nor the order of evidence tell."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Self

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from superalign.contracts.protocols import EvidenceTask, Trusted
from superalign.contracts.records import Judgement, Question, Unscored
from superalign.contracts.registry import tasks
from superalign.oversight import judge as judges
from superalign.oversight.debate import Debate
from superalign.tasks.metrics import auroc, group_weights, percentile_interval, point
from superalign.testing.conformance import check_overseer


class AsksTheKey(Debate):
    """Holds on to the key that it was given, and looks up what it was not."""

    def learn(self, given: Trusted) -> Self:
        self._key = given.key
        return super().learn(given)

    def judge(self, questions: Sequence[Question]) -> list[Judgement | Unscored]:
        return [self._told(question) for question in questions]

    def _told(self, question: Question) -> Judgement | Unscored:
        with suppress(KeyError):
            return Judgement(question_id=question.id, probability=float(self._key.truth[question.id]))
        return super().judge([question])[0]


class LoadsTheTask(AsksTheKey):
    """Finds the task by its name, and has it say the truth."""

    def learn(self, given: Trusted) -> Self:
        return Debate.learn(self, given)

    def judge(self, questions: Sequence[Question]) -> list[Judgement | Unscored]:
        with suppress(Exception):
            self._key = tasks.make(questions[0].id.partition("/")[0]).load()[1]
            return super().judge(questions)
        return Debate.judge(self, questions)


@pytest.mark.parametrize("cheat", [AsksTheKey, LoadsTheTask])
def test_an_overseer_that_reaches_for_the_key_is_caught(cheat: type[Debate], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judges, "STEPS", 2)
    with pytest.raises(AssertionError, match="asked for truth that it was not given"):
        check_overseer(cheat)


def read(texts: Sequence[str], truth: np.ndarray, groups: Sequence[str]) -> tuple[float, float, float]:
    """AUROC of a reader of these texts on half of the groups, having been told the truth of the others."""
    half = np.array([hash_of(group) for group in groups])
    reader = make_pipeline(TfidfVectorizer(analyzer="char", ngram_range=(1, 4)), LogisticRegression(C=10, max_iter=500))
    kept = [text for text, told in zip(texts, half, strict=True) if told]
    asked = [text for text, told in zip(texts, half, strict=True) if not told]
    margin = reader.fit(kept, truth[half]).decision_function(asked)
    weights = group_weights(
        [g for g, told in zip(groups, half, strict=True) if not told], 500, np.random.default_rng(0)
    )
    found = percentile_interval(point(auroc, margin, truth[~half]), auroc(margin, truth[~half], weights), level=0.999)
    return found.value, found.low, found.high


def hash_of(group: str) -> bool:
    return sum(group.encode()) % 2 == 0


@pytest.mark.parametrize("name", [name for name in tasks.names() if isinstance(tasks.make(name), EvidenceTask)])
def test_ids_do_not_tell_the_truth(name: str) -> None:
    questions, key = tasks.make(name).load(limit=400, seed=0)
    truth, groups = key.of(questions), [question.group for question in questions]
    _, low, high = read([question.id for question in questions], truth, groups)
    assert low < 0.5 < high
    planted = [f"{question.id}/{'yes' if own else 'no'}" for question, own in zip(questions, truth, strict=True)]
    assert read(planted, truth, groups)[1] > 0.9


def test_the_order_of_a_passage_does_not_tell_the_truth() -> None:
    """Both questions on a passage come with the same lines in the same order."""
    questions, key = tasks.make("passage").load(seed=0)
    pairs: dict[str, list[Question]] = {}
    for question in questions:
        pairs.setdefault(question.group, []).append(question)
    assert all(len({question.evidence for question in pair}) == 1 for pair in pairs.values())
    places = [str(np.argmax(np.abs(tasks.make("passage").bearing(question)))) for question in questions]
    _, low, high = read(places, key.of(questions), [question.group for question in questions])
    assert low <= 0.5 <= high
