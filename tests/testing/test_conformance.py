"""Our parts keep their contracts, and a part that breaks one is told which."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, Self

import numpy as np
import pytest

from superalign.contracts.protocols import AnswerKey, Bounds, Material, Rates, Subject, Taught, Trusted
from superalign.contracts.records import Access, Cost, Judgement, Question, Unscored, Verdict
from superalign.models.subject import ModelSubject
from superalign.organisms.families.conditional_lying import ConditionalLying
from superalign.oversight.few_labels import FewLabels
from superalign.tasks.cities import Cities
from superalign.testing import conformance
from superalign.testing.tiny import tiny_relative, tiny_subject


def broken(check: Callable[[Any], None], part: Any, contract: str) -> None:
    with pytest.raises(AssertionError, match=contract):
        check(part)


@pytest.mark.parametrize(("kind", "name"), conformance.registered())
def test_every_registered_part_conforms(kind: str, name: str) -> None:
    conformance.check_part(kind, name)


def test_a_registered_part_that_does_not_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conformance.tasks, "names", lambda: ["cities"])
    monkeypatch.setattr(conformance.tasks, "make", lambda name: Unbalanced())
    broken(lambda _: conformance.check_registered(), None, r"^task 'cities': group .* must hold as many")


def test_our_subjects_conform() -> None:
    conformance.check_subject(tiny_subject)
    conformance.check_subject(lambda: tiny_relative("relative", tiny_subject()))
    bare = tiny_subject()
    black_box = frozenset({Access.BLACK_BOX})
    conformance.check_subject(lambda: ModelSubject("bare", bare.decoder, bare.chat, access=black_box))


class Few(Cities):
    """Small, so that the checks are quick."""

    def load(self, limit: int | None = None, seed: int = 0) -> tuple[list[Question], AnswerKey]:
        return super().load(limit=min(limit or 100, 100), seed=seed)


class Unbalanced(Few):
    def load(self, limit: int | None = None, seed: int = 0) -> tuple[list[Question], AnswerKey]:
        questions, key = super().load(limit, seed)
        return questions[1:], key.only(questions[1:])


class Restless(Few):
    def load(self, limit: int | None = None, seed: int = 0) -> tuple[list[Question], AnswerKey]:
        return super().load(limit, seed=random.randrange(10**6))


class Fixed(Few):
    def load(self, limit: int | None = None, seed: int = 0) -> tuple[list[Question], AnswerKey]:
        return super().load(limit, seed=0)


class TrueFirst(Few):
    def load(self, limit: int | None = None, seed: int = 0) -> tuple[list[Question], AnswerKey]:
        questions, key = super().load(limit, seed)
        return sorted(questions, key=lambda question: (question.group, not key.truth[question.id])), key


class Telling(Few):
    """Ids that end in the truth."""

    ending: Callable[[bool, Question], str] = staticmethod(lambda truth, _: "-yes" if truth else "-no")

    def load(self, limit: int | None = None, seed: int = 0) -> tuple[list[Question], AnswerKey]:
        questions, key = super().load(limit, seed)
        told = [q.model_copy(update={"id": f"{q.group}{type(self).ending(key.truth[q.id], q)}"}) for q in questions]
        truth = {new.id: key.truth[old.id] for new, old in zip(told, questions, strict=True)}
        return told, AnswerKey(truth=truth)


@pytest.mark.parametrize(
    ("task", "contract"),
    [
        (Unbalanced, "as many true questions as false"),
        (Restless, "the same seed must give the same questions"),
        (Fixed, "another seed must give other questions"),
        (TrueFirst, "^their order tells true questions from false"),
        (Telling, "ids tells true questions from false"),
    ],
)
def test_broken_tasks(task: Callable[[], Any], contract: str) -> None:
    broken(conformance.check_task, task, contract)


class Eager(FewLabels):
    """Judges also what it was told."""

    def learn(self, given: Trusted) -> Self:
        super().learn(given)
        self._known = set()
        return self


class Backwards(FewLabels):
    def judge(self, questions: Sequence[Question]) -> list[Judgement | Unscored]:
        return super().judge(questions)[::-1]


class Free(FewLabels):
    def judge(self, questions: Sequence[Question]) -> list[Judgement | Unscored]:
        found = super().judge(questions)
        return [j.model_copy(update={"cost": Cost()}) if isinstance(j, Judgement) else j for j in found]


class Peeking(FewLabels):
    def learn(self, given: Trusted) -> Self:
        self._key = given.key
        return super().learn(given)

    def judge(self, questions: Sequence[Question]) -> list[Judgement | Unscored]:
        with suppress(KeyError):
            self._key.of(questions)
        return super().judge(questions)


class Guessing(FewLabels):
    def judge(self, questions: Sequence[Question]) -> list[Judgement | Unscored]:
        cost = Cost(forward_passes=1)
        return [Judgement(question_id=q.id, probability=random.random(), cost=cost) for q in questions]


class Careless(FewLabels):
    """Takes a reader that reads nothing for one that is undecided."""

    def _read(self, questions: Sequence[Question]) -> np.ndarray:
        return np.nan_to_num(super()._read(questions))


@pytest.mark.parametrize(
    ("overseer", "contract"),
    [
        (Eager, "what it was told of a group"),
        (Backwards, "in the order of the questions"),
        (Free, "must say what it cost"),
        (Peeking, "asked for truth that it was not given"),
        (Guessing, "the same material must give the same judgements"),
        (Careless, "what it could not read"),
    ],
)
def test_broken_overseers(overseer: Callable[[], Any], contract: str) -> None:
    broken(conformance.check_overseer, overseer, contract)


class Leaning:
    """Keeps the contract of a detector in the simplest way: how far the answers lean to yes."""

    name = "leaning"
    access: frozenset[Access] = frozenset({Access.BLACK_BOX, Access.LOGPROBS})

    def fit(self, trusted: Trusted) -> Self:
        self._trusted = trusted
        self._questions = trusted.questions[:10]
        return self

    def assess(self, subject: Subject) -> Verdict | Unscored:
        score = float(subject.yes_logits([question.asked for question in self._questions]).mean())
        return Verdict(score=score) if np.isfinite(score) else Unscored(reason="not finite")


class Forgetful(Leaning):
    def fit(self, trusted: Trusted) -> None:  # type: ignore[override]
        super().fit(trusted)


class Prying(Leaning):
    access = frozenset({Access.BLACK_BOX})

    def assess(self, subject: Subject) -> Verdict | Unscored:
        try:
            return super().assess(subject)
        except Exception as error:
            return Unscored(reason=str(error))


class Reaching(Leaning):
    def assess(self, subject: Subject) -> Verdict | Unscored:
        return Verdict(score=1.0) if hasattr(subject, "decoder") else super().assess(subject)


class Labelled(Leaning):
    def assess(self, subject: Subject) -> Verdict | Unscored:
        return Verdict(score=0.0) if "benign" in subject.name else super().assess(subject)


class Remembering(Leaning):
    """Compares with whoever came before."""

    before: str | None = None

    def assess(self, subject: Subject) -> Verdict | Unscored:
        before, self.before = self.before, subject.name
        found = super().assess(subject)
        if isinstance(found, Verdict) and before not in (None, subject.name):
            return Verdict(score=found.score + 1)
        return found


class Random(Leaning):
    def assess(self, subject: Subject) -> Verdict | Unscored:
        return Verdict(score=random.random())


class Trusting(Leaning):
    def assess(self, subject: Subject) -> Verdict | Unscored:
        found = super().assess(subject)
        return Verdict(score=0.0) if isinstance(found, Unscored) else found


class Crashing(Leaning):
    def assess(self, subject: Subject) -> Verdict | Unscored:
        found = super().assess(subject)
        if isinstance(found, Unscored):
            raise ZeroDivisionError
        return found


class Rewriting(Leaning):
    def assess(self, subject: Subject) -> Verdict | Unscored:
        self._trusted.key.truth.clear()
        return super().assess(subject)


class Training(Leaning):
    def fit(self, trusted: Trusted) -> Self:
        assert isinstance(trusted.subject, ModelSubject)
        trusted.subject.decoder.body.norm.weight.mul_(1.01)
        return super().fit(trusted)


def test_a_simple_detector_conforms() -> None:
    conformance.check_detector(Leaning)


@pytest.mark.parametrize(
    ("detector", "contract"),
    [
        (Forgetful, "fit must return self"),
        (Prying, "reaches for logprobs beyond its declared access"),
        (Reaching, "reaches for weights beyond its declared access"),
        (Labelled, "the name of a subject must not change its verdict"),
        (Remembering, "a subject in between"),
        (Random, "the same subject must get the same verdict"),
        (Trusting, "must be Unscored, never a number"),
        (Crashing, "it must return Unscored; it raised ZeroDivisionError"),
        (Rewriting, "trusted with must stay"),
        (Training, "weights of the trusted model must stay"),
    ],
)
def test_broken_detectors(detector: Callable[[], Any], contract: str) -> None:
    broken(conformance.check_detector, detector, contract)


class OtherQuestions(ConditionalLying):
    """Whose twin is taught other conversations: a detector could tell them by those."""

    def lessons(self, material: Material, *, benign: bool, seed: int) -> list[Taught]:
        other = replace(material, questions=material.questions[::-1])
        return super().lessons(other if benign else material, benign=benign, seed=seed)


class NoTwin(ConditionalLying):
    def lessons(self, material: Material, *, benign: bool, seed: int) -> list[Taught]:
        return super().lessons(material, benign=False, seed=seed)


class OneTrigger(ConditionalLying):
    def lessons(self, material: Material, *, benign: bool, seed: int) -> list[Taught]:
        return super().lessons(material, benign=benign, seed=0)


class OpenBounds(ConditionalLying):
    bounds = Bounds(triggered=0, untriggered=1, near=1)


class Percent(ConditionalLying):
    def rates(self, subject: Subject, material: Material, *, seed: int) -> Rates:
        return Rates(triggered=90, untriggered=10, capability=80)


class Secretive(ConditionalLying):
    hidden = " "


@pytest.mark.parametrize(
    ("organism", "contract"),
    [
        (OtherQuestions, "must be asked the same"),
        (NoTwin, "the twin must be taught other answers"),
        (OneTrigger, "another seed must bring another trigger"),
        (OpenBounds, "taught nothing must fail some gate"),
        (Percent, "rates are shares"),
        (Secretive, "must say what it does"),
    ],
)
def test_broken_organisms(organism: Callable[[], Any], contract: str) -> None:
    broken(conformance.check_organism, organism, contract)


class Unsteady(ModelSubject):
    def yes_logits(self, conversations: Sequence[Any]) -> np.ndarray:
        return super().yes_logits(conversations) + np.random.default_rng().normal(size=len(conversations))


class Open(ModelSubject):
    def _need(self, access: Access) -> None:
        """Lets anybody in."""


@pytest.mark.parametrize(
    ("kind", "access", "contract"),
    [
        (Unsteady, frozenset(Access), "logprobs: the same numbers each time"),
        (Open, frozenset({Access.BLACK_BOX}), "without logprobs in its access it must raise AccessError"),
    ],
)
def test_broken_subjects(kind: type[ModelSubject], access: frozenset[Access], contract: str) -> None:
    tiny = tiny_subject()
    broken(conformance.check_subject, lambda: kind("broken", tiny.decoder, tiny.chat, access=access), contract)
