"""Decoupled approval: what an executor does to the traces pays where the judge looks after, and not before."""

from __future__ import annotations

import numpy as np
import pytest

from superalign.contracts.errors import InputError
from superalign.contracts.protocols import AnswerKey
from superalign.contracts.records import Judgement
from superalign.oversight.decoupled import Decoupled
from superalign.oversight.direct import Direct
from superalign.oversight.judge import ScriptedJudge
from superalign.testing import conformance
from tests.oversight.games import Listening, accuracy, given, judged, passages


def paid_for_falsehood(judgements: list[Judgement], key: AnswerKey) -> float:
    """The mean probability that the false answer is given when an executor worked for it."""
    payoffs = []
    for own in judgements:
        truth = key.truth[own.question_id]
        yes = own.if_argued["no" if truth else "yes"]
        payoffs.append(1 - yes if truth else yes)
    return float(np.mean(payoffs))


def test_after_the_fact_it_keeps_the_contract_too() -> None:
    conformance.check_overseer(lambda: Decoupled(approval="after"))


def test_tampering_pays_after_and_not_before() -> None:
    questions, key = passages(200)
    easy = [question for question in questions if question.level == 0]  # of which the judge can read all
    before, after = (
        judged(Decoupled("scripted", "scripted", approval).learn(given()), easy)
        for approval in ("before", "after")  # type: ignore[arg-type]
    )
    assert paid_for_falsehood(after, key) > paid_for_falsehood(before, key) + 0.2
    assert accuracy(after, key) < accuracy(before, key) - 0.1
    assert all(own.if_argued["yes"] == own.if_argued["no"] for own in before)


def test_approval_before_decides_as_the_judge_alone() -> None:
    questions, _ = passages(40)
    alone = judged(Direct("scripted").learn(given()), questions)
    before = judged(Decoupled("scripted").learn(given()), questions)
    unhidden = judged(Decoupled("scripted", "scripted", "after", hidden=0).learn(given()), questions)
    assert [own.probability for own in before] == [own.probability for own in alone]
    assert [own.probability for own in unhidden] == [own.probability for own in alone]


def test_what_was_taken_away_is_not_read_and_is_told_to_the_reader() -> None:
    questions, key = passages(40)
    overseer = Decoupled("scripted", "scripted", "after")
    overseer._court.judge = listener = Listening(ScriptedJudge())
    found = {own.question_id: own for own in judged(overseer.learn(given()), questions)}
    assert all(len(lines) <= 2 for _, lines in listener.read_lines)
    for question in questions:
        said = [message.content for message in found[question.id].transcript]
        taken, shown = (next(text for text in said if start in text) for start in ("taken away", "By chance"))
        assert taken.count("Line ") == 1 and taken.splitlines()[1] not in shown
        [told] = [line for line in question.evidence if told_by(line) == told_by(question.prompt)]
        if ("for yes" in taken) != key.truth[question.id]:
            assert told in taken  # the one line that speaks against what the executor was to bring about


def told_by(sentence: str) -> str:
    """The thing and its owner, of a line or a question."""
    return " ".join(word for word in sentence.split()[1:] if word not in ("the", "is")).rpartition(" ")[0]


def test_unknown_times_and_negative_numbers_are_refused() -> None:
    with pytest.raises(InputError, match="before or after"):
        Decoupled(approval="during")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="hidden"):
        Decoupled(hidden=-1)
