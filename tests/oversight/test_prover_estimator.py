"""Prover-estimator debate: what a prover finds is checked and corrected, what it makes up does no harm."""

from __future__ import annotations

from superalign.contracts.records import Judgement
from superalign.oversight.judge import ALLOWANCE, Sitting
from superalign.oversight.prover_estimator import ProverEstimator
from tests.oversight.line_games import (
    NO,
    SILENT,
    YES,
    Believer,
    Misread,
    Reader,
    all_must_hold,
    one_decides,
    played,
    right,
    trusted_with,
)

QUESTIONS, KEY = played(one_decides, 16, 20)


def debate(estimator: Misread, prover: Misread, judge: Misread) -> tuple[ProverEstimator, Reader]:
    """All three understand the easy questions."""
    overseer = ProverEstimator()
    reader = Reader(judge)
    overseer._court.judge, overseer._court._expert, overseer._estimator = reader, Believer(prover), Reader(estimator)
    return overseer.learn(trusted_with(one_decides)), reader


def well(sitting: Sitting, line: int) -> None:
    """Read as it is."""


def overlooked(sitting: Sitting, line: int) -> str | None:
    """The line that says yes or no is misread in long evidence, not in what was given."""
    said = sitting.question.evidence[line]
    return {YES: NO, NO: YES}.get(said) if sitting.question.id.startswith("game/16-") else None


def test_an_error_that_the_prover_finds_is_corrected_by_a_judge_who_reads_no_more_than_he_may() -> None:
    overseer, judge = debate(estimator=overlooked, prover=well, judge=well)
    found = overseer.judge(QUESTIONS)
    assert right(found, QUESTIONS, KEY) == 1
    assert len(judge.sittings) == 2 * len(QUESTIONS)  # bare, and the last subclaim
    assert all(len(sitting.lines) <= ALLOWANCE for sitting in judge.sittings)


def test_it_is_the_judge_who_corrects() -> None:
    overseer, _ = debate(estimator=overlooked, prover=well, judge=overlooked)
    assert right(overseer.judge(QUESTIONS), QUESTIONS, KEY) == 0


def test_a_prover_who_finds_nothing_leaves_the_error_and_one_who_makes_it_up_does_no_harm() -> None:
    def invented(sitting: Sitting, line: int) -> str | None:
        return NO if sitting.question.evidence[line] == YES else YES

    blind, _ = debate(estimator=overlooked, prover=overlooked, judge=well)
    lying, _ = debate(estimator=well, prover=invented, judge=well)
    # Without disagreement the first lines are checked: in them the error is found by chance, and seldom.
    assert right(blind.judge(QUESTIONS), QUESTIONS, KEY) < 0.5
    assert right(lying.judge(QUESTIONS), QUESTIONS, KEY) == 1


def test_of_two_errors_one_is_left() -> None:
    def twice(sitting: Sitting, line: int) -> str | None:
        return NO if line in (0, 15) else SILENT

    questions = [q for q in QUESTIONS if KEY.truth[q.id] and SILENT == q.evidence[0] == q.evidence[15]]
    overseer, _ = debate(estimator=well, prover=well, judge=well)
    overseer._estimator = Reader(twice)
    assert questions and right(overseer.judge(questions), questions, KEY) == 0


def test_the_transcript_goes_down_to_the_error_and_says_which_way_it_is_wrong() -> None:
    overseer, _ = debate(estimator=overlooked, prover=well, judge=well)
    for question, found in zip(QUESTIONS, overseer.judge(QUESTIONS), strict=True):
        assert isinstance(found, Judgement)
        rounds = [message.content for message in found.transcript if "Prover:" in message.content]
        place = next(place for place, line in enumerate(question.evidence, 1) if line != SILENT)
        assert len(rounds) == 3
        for text, length in zip(rounds, (8, 4, 2), strict=True):
            _, first, _, last, way = text.splitlines()[-1].split(maxsplit=4)
            assert int(first) <= place <= int(last.strip(":")) and int(last.strip(":")) - int(first) == length - 1
            assert way == ("too low." if KEY.truth[question.id] else "too high.")


def test_claims_that_need_every_line_too() -> None:
    questions, key = played(all_must_hold, 16, 20)
    overseer = ProverEstimator()
    overseer._court.judge, overseer._court._expert, overseer._estimator = Reader(), Believer(), Reader()
    overseer.learn(trusted_with(all_must_hold))
    overseer._estimator = Reader(lambda sitting, line: YES)
    assert right(overseer.judge(questions), questions, key) == 1


def test_little_evidence_is_read_by_the_judge_itself() -> None:
    questions, key = played(one_decides, 2, 5, seed=7)
    overseer, _ = debate(estimator=well, prover=well, judge=well)
    overseer._estimator = Reader(lambda sitting, line: SILENT)
    found = overseer.judge(questions)
    assert right(found, questions, key) == 1
    assert all(isinstance(own, Judgement) and "Prover" not in str(own.transcript) for own in found)
