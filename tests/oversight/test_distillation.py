"""Distillation: pupils learn amplified answers from all of the evidence, and answer for groups they were not taught."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from superalign.contracts.protocols import Subject, Taught
from superalign.contracts.records import Conversation, Judgement, Unscored
from superalign.oversight import distillation
from superalign.oversight.distillation import Distillation
from tests.oversight.line_games import Reader, all_must_hold, played, right, trusted_with, understanding
from tests.scripted import ScriptedSubject, text_of

QUESTIONS, KEY = played(all_must_hold, 16, 10)


class School:
    """Stands in for training: remembers the lessons, and hands out the pupils that it was given."""

    def __init__(self, pupils: Sequence[Subject]) -> None:
        self.pupils, self.lessons = pupils, [list[Taught]()]

    def __call__(self, model: Subject, lessons: Sequence[Sequence[Taught]], seed: int) -> list[Subject]:
        self.lessons = [list(own) for own in lessons]
        return list(self.pupils)


def distilled(school: School, monkeypatch: pytest.MonkeyPatch) -> Distillation:
    monkeypatch.setattr(distillation, "taught_further", school)
    overseer = Distillation()
    overseer._court.judge = Reader()
    return overseer.learn(trusted_with(all_must_hold))


def test_pupils_learn_amplified_answers_with_all_of_the_evidence(monkeypatch: pytest.MonkeyPatch) -> None:
    school = School([understanding(), understanding()])
    found = distilled(school, monkeypatch).judge(QUESTIONS)
    assert right(found, QUESTIONS, KEY) == 1
    first, second = school.lessons
    assert len(first) == len(second) == len(QUESTIONS) / 2
    answers = {"\n".join([*q.evidence, q.prompt]): "Yes" if KEY.truth[q.id] else "No" for q in QUESTIONS}
    assert all(answers[text_of(lesson.conversation)] == lesson.answer for lesson in first + second)


def test_nobody_answers_for_a_group_that_he_was_taught(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = [[], []]

    def remembering(place: int) -> ScriptedSubject:
        def says(conversation: Conversation) -> float:
            asked[place].append(text_of(conversation))
            return 1.0

        return ScriptedSubject(says)

    school = School([remembering(0), remembering(1)])
    distilled(school, monkeypatch).judge(QUESTIONS)
    for lessons, own in zip(school.lessons, asked, strict=True):
        taught = {lesson.group for lesson in lessons}
        assert own and taught.isdisjoint({q.group for q in QUESTIONS if "\n".join([*q.evidence, q.prompt]) in own})


def test_each_half_has_as_much_of_each_length(monkeypatch: pytest.MonkeyPatch) -> None:
    school = School([understanding(), understanding()])
    mixed = [question for length in (4, 8, 16) for question in played(all_must_hold, length, 4)[0]]
    distilled(school, monkeypatch).judge(mixed)
    lengths = [sorted(len(text_of(lesson.conversation).split("\n")) for lesson in own) for own in school.lessons]
    assert lengths[0] == lengths[1]


def test_what_is_asked_alone_can_not_be_distilled(monkeypatch: pytest.MonkeyPatch) -> None:
    overseer = distilled(School([]), monkeypatch)
    assert all(isinstance(own, Unscored) and "nothing to learn" in own.reason for own in overseer.judge(QUESTIONS[:2]))


def test_the_cost_counts_amplification_too(monkeypatch: pytest.MonkeyPatch) -> None:
    counting = understanding()

    class Counting(Reader):
        def read(self, sittings: Sequence[object]) -> list[float | Unscored]:
            counting.yes_logits([sitting.asked for sitting in sittings])  # type: ignore[attr-defined]
            return super().read(sittings)  # type: ignore[arg-type]

    overseer = distilled(School([counting, counting]), monkeypatch)
    overseer._court.judge = Counting()
    found = overseer.judge(QUESTIONS)
    assert all(isinstance(own, Judgement) and own.cost.forward_passes == 8 + 1 + 1 for own in found)
