"""Recursive reward modelling: helpers learn from shorter evidence than they help with, and from the judge alone."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from superalign.contracts.errors import InputError
from superalign.contracts.protocols import Subject, Taught
from superalign.contracts.records import Judgement, Question, Unscored
from superalign.oversight import recursive_reward_modelling
from superalign.oversight.judge import ALLOWANCE
from superalign.oversight.recursive_reward_modelling import RecursiveRewardModelling, stages
from tests.oversight.line_games import Reader, one_decides, played, right, trusted_with, understanding
from tests.scripted import ScriptedSubject, text_of

LENGTHS = (4, 8, 16)
ASKED = {length: played(one_decides, length, 10) for length in LENGTHS}
QUESTIONS = [question for length in reversed(LENGTHS) for question in ASKED[length][0]]


class School:
    """Stands in for training: remembers the lessons of each generation, and hands out helpers in turn."""

    def __init__(self, helpers: Sequence[Subject]) -> None:
        self.helpers, self.lessons = iter(helpers), list[list[Taught]]()

    def __call__(self, model: Subject, lessons: Sequence[Sequence[Taught]], seed: int) -> list[Subject]:
        self.lessons.append([lesson for own in lessons for lesson in own])
        return [next(self.helpers)]


def helped(
    first: ScriptedSubject, school: School, monkeypatch: pytest.MonkeyPatch, judge: Reader | None = None
) -> RecursiveRewardModelling:
    monkeypatch.setattr(recursive_reward_modelling, "taught_further", school)
    overseer = RecursiveRewardModelling()
    overseer._court.judge = judge or Reader()
    return overseer.learn(trusted_with(one_decides, first))


def blind() -> ScriptedSubject:
    return ScriptedSubject(lambda conversation: 0.0)


def share_right(found: Sequence[Judgement | Unscored], length: int) -> float:
    own = {question.id for question in ASKED[length][0]}
    kept = [(q, judged) for q, judged in zip(QUESTIONS, found, strict=True) if q.id in own]
    return right([judged for _, judged in kept], [q for q, _ in kept], ASKED[length][1])


def test_a_helper_who_understands_is_all_that_a_weak_judge_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    judge = Reader()
    overseer = helped(understanding(), School([understanding()] * 2), monkeypatch, judge)
    found = overseer.judge(QUESTIONS)
    assert [share_right(found, length) for length in LENGTHS] == [1, 1, 1]
    assert max(len(sitting.lines) for sitting in judge.sittings) == ALLOWANCE


def test_each_generation_helps_with_the_next_larger_questions(monkeypatch: pytest.MonkeyPatch) -> None:
    found = helped(understanding(), School([blind(), understanding()]), monkeypatch).judge(QUESTIONS)
    assert share_right(found, 4) == share_right(found, 16) == 1
    assert share_right(found, 8) < 0.8


def test_helpers_are_taught_what_the_judge_said_of_shorter_questions(monkeypatch: pytest.MonkeyPatch) -> None:
    school = School([understanding()] * 2)
    helped(understanding(), school, monkeypatch).judge(QUESTIONS)
    for length, lessons in zip(LENGTHS, school.lessons, strict=False):
        questions, key = ASKED[length]
        assert {lesson.group for lesson in lessons} == {question.group for question in questions}
        assert len(lessons) == length * len(questions)
        said = [key.truth[question.id] for question in questions for _ in question.evidence]
        assert [lesson.answer == "Yes" for lesson in lessons] == said
        assert all(text_of(lesson.conversation).count("\n") == 1 for lesson in lessons)
    assert len(school.lessons) == len(LENGTHS) - 1


def test_judgements_come_in_the_order_of_the_questions(monkeypatch: pytest.MonkeyPatch) -> None:
    found = helped(understanding(), School([understanding()] * 2), monkeypatch).judge(QUESTIONS)
    assert [own.question_id for own in found if isinstance(own, Judgement)] == [q.id for q in QUESTIONS]


def question(group: str, length: int) -> Question:
    return Question(id=f"game/{group}/{length}", prompt="Is it so?", level=0, group=group, evidence=("x",) * length)


def test_stages_keep_groups_together_and_lengths_apart() -> None:
    questions = [question("a", 2), question("b", 8), question("c", 4), question("a", 8), question("d", 16)]
    assert stages(questions, 3) == [[2], [0, 1, 3], [4]]
    assert stages(questions, 2) == [[0, 1, 2, 3], [4]]
    assert stages(questions, 1) == [[0, 1, 2, 3, 4]]
    assert stages(questions, 9) == stages(questions, 3)


def test_there_is_at_least_one_helper() -> None:
    with pytest.raises(InputError, match="1 or more"):
        RecursiveRewardModelling(generations=0)
