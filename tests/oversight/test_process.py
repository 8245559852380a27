"""Process supervision: every step in a sitting of its own, a dial down to the bare result, one refusal enough."""

from __future__ import annotations

from functools import partial
from itertools import pairwise

import pytest
from hypothesis import given as drawn_by
from hypothesis import strategies as st

from superalign.contracts.errors import InputError
from superalign.contracts.records import Unscored
from superalign.oversight.direct import Direct
from superalign.oversight.judge import ScriptedJudge
from superalign.oversight.process import Process, none_refutes
from tests.oversight.games import Listening, accuracy, given, judged, passages

probability = st.floats(0, 1)


def test_every_step_approved_beats_a_judge_who_reads_a_few() -> None:
    questions, key = passages(240)
    far = [question for question in questions if question.level >= 2]
    every, few, none = (
        judged(overseer.learn(given()), far)
        for overseer in (Process("scripted"), Direct("scripted"), Process("scripted", approved=0.0))
    )
    assert accuracy(every, key) > accuracy(few, key) + 0.1
    assert accuracy(none, key) == 0.5  # the bare question says nothing


def test_the_dial_adds_steps_and_takes_none_away() -> None:
    questions, _ = passages(40)
    asked = next(question for question in questions if question.level == 2)
    read = []
    for approved in (0.0, 0.25, 0.5, 1.0):
        overseer = Process("scripted", approved)
        overseer._court.judge = listener = Listening(ScriptedJudge())
        judged(overseer.learn(given()), [asked])
        assert all(len(lines) <= 1 for _, lines in listener.read_lines)
        read.append({line for _, lines in listener.read_lines for line in lines})
        assert len(listener.read_lines) == 1 + len(read[-1])  # and the bare question
    assert [len(own) for own in read] == [0, 2, 4, 8]
    assert all(fewer <= more for fewer, more in pairwise(read))


def test_a_step_that_fails_leaves_the_question_unscored_and_others_judged() -> None:
    questions, _ = passages(40)
    overseer = Process("scripted")
    overseer._court.judge = Listening(ScriptedJudge(), refuses=5)
    found = overseer.learn(given()).judge(questions)
    assert [isinstance(own, Unscored) for own in found] == [len(q.evidence) > 5 for q in questions]


def test_the_transcript_shows_each_step_with_its_approval() -> None:
    questions, _ = passages(8)
    [found] = judged(Process("scripted").learn(given()), questions[:1])
    said = [message.content for message in found.transcript]
    assert questions[0].prompt in said
    for line in questions[0].evidence:
        place = next(i for i, text in enumerate(said) if line in text)
        assert found.transcript[place + 1].role == "assistant"


@pytest.mark.parametrize("approved", [-0.1, 1.1])
def test_a_share_is_from_0_to_1(approved: float) -> None:
    with pytest.raises(InputError, match="share"):
        Process("scripted", approved)


@drawn_by(probability, probability)
def test_no_step_gives_the_bare_question_and_one_step_its_own(bare: float, step: float) -> None:
    assert none_refutes(bare, []) == pytest.approx(bare)
    assert none_refutes(bare, [step]) == pytest.approx(step)


@drawn_by(probability, st.lists(probability, max_size=6))
def test_neither_order_nor_silent_steps_change_what_they_give(bare: float, read: list[float]) -> None:
    found = none_refutes(bare, read)
    assert 0 <= found <= 1
    assert none_refutes(bare, read[::-1]) == pytest.approx(found)
    assert none_refutes(bare, [*read, bare]) == pytest.approx(found)


@drawn_by(st.lists(st.floats(0.5, 1), min_size=1, max_size=30))
def test_one_refusal_outweighs_any_number_of_approvals(approvals: list[float]) -> None:
    assert none_refutes(0.5, [*approvals, 0.1]) <= 0.2
    assert none_refutes(0.5, approvals) >= 0.5


def test_a_judge_who_is_certain_can_be_combined() -> None:
    combined = partial(none_refutes, 1.0)
    assert (combined([1.0, 1.0]), combined([1.0, 0.0]), none_refutes(0.0, [0.0, 1.0])) == (1.0, 0.0, 1.0)
