"""Amplification: every line is read by somebody at full depth, nobody reads more than he may, and two unlike kinds of
claim are combined in one way.
"""

from __future__ import annotations

import random
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from superalign.contracts.errors import InputError
from superalign.contracts.records import Judgement, Unscored
from superalign.contracts.registry import tasks
from superalign.oversight.amplification import Amplification, pieces
from superalign.oversight.combination import Combination
from superalign.oversight.judge import ALLOWANCE, ScriptedJudge, Sitting
from tests.oversight.line_games import YES, Game, Reader, all_must_hold, one_decides, played, right, trusted_with

GAMES = pytest.mark.parametrize("game", [one_decides, all_must_hold])


def amplified(game: Game, depth: int, reader: Reader | None = None) -> Amplification:
    overseer = Amplification(depth=depth)
    overseer._court.judge = reader or Reader()
    return overseer.learn(trusted_with(game))


@GAMES
def test_at_full_depth_it_is_right_about_any_length_and_at_depth_1_it_is_not(game: Game) -> None:
    questions, key = played(game, 16, 40)
    assert right(amplified(game, depth=8).judge(questions), questions, key) == 1
    assert right(amplified(game, depth=1).judge(questions), questions, key) < 0.8


def test_passages_too() -> None:
    asked, key = tasks.make("passage").load(limit=160)
    known = [question for question in asked if question.level == 0]
    hard = [question for question in asked if question.level == 3]
    overseer = Amplification()
    overseer._court.judge = ScriptedJudge(error_rate=0)
    material = trusted_with(one_decides)
    overseer.learn(type(material)(material.subject, tuple(known), key.only(known), material.specification))
    assert right(overseer.judge(hard), hard, key) == 1


@given(length=st.integers(0, 70), depth=st.integers(0, 8))
def test_pieces_share_no_line_and_at_full_depth_leave_none_out(length: int, depth: int) -> None:
    found = pieces(tuple(range(length)), depth, random.Random(0))
    read = [line for piece in found for line in piece]
    assert sorted(set(read)) == sorted(read)
    assert all(0 < len(piece) <= ALLOWANCE for piece in found)
    assert len(found) <= 2**depth
    if length <= ALLOWANCE * 2**depth:
        assert read == list(range(length))


def test_nobody_reads_more_than_he_may_and_at_depth_0_one_reads() -> None:
    questions, _ = played(one_decides, 16, 3)
    for depth, readings in ((0, 1), (2, 4), (8, 8)):
        reader = Reader()
        overseer = amplified(one_decides, depth, reader)
        reader.sittings.clear()
        overseer.judge(questions)
        assert len(reader.sittings) == len(questions) * (1 + readings)
        assert max(len(sitting.lines) for sitting in reader.sittings) == ALLOWANCE


def test_a_piece_that_can_not_be_judged_leaves_no_judgement() -> None:
    class Silent(Reader):
        def read(self, sittings: object) -> list[float | Unscored]:
            found = super().read(sittings)  # type: ignore[arg-type]
            return [*found[:-1], Unscored(reason="it fell asleep")]

    questions, _ = played(one_decides, 8, 1)
    overseer = amplified(one_decides, 8)
    overseer._court.judge = Silent()
    first, last = overseer.judge(questions)
    assert isinstance(first, Judgement)
    assert last == Unscored(reason="it fell asleep")


def test_the_transcript_has_every_piece_with_its_answer() -> None:
    questions, _ = played(one_decides, 4, 1)
    found = amplified(one_decides, 8).judge(questions)[0]
    assert isinstance(found, Judgement)
    cast, question, *middle, answer = [message.content for message in found.transcript]
    assert cast.startswith("Judge: ")
    assert question == questions[0].prompt
    assert sum("Line" in text for text in middle) == 2
    assert sum("for yes" in text for text in middle) == 2
    assert f"{found.probability:.2f} for yes" in answer


def test_evidence_can_not_be_halved_less_than_not_at_all() -> None:
    with pytest.raises(InputError, match="0 or more"):
        Amplification(depth=-1)


@GAMES
def test_answers_to_parts_are_combined_alike_in_any_order(game: Game) -> None:
    combination = Combination().learn(Reader().read, trusted_with(game))
    orders = {combination.combined(0.5, shifts) for shifts in permutations([-0.45, 0.0, 0.45])}
    assert len(orders) == 1


def test_which_answer_counts_is_learnt_from_what_was_given() -> None:
    deciding, holding = (
        Combination().learn(Reader().read, trusted_with(game)) for game in (one_decides, all_must_hold)
    )
    for combination, shifts, low, high in (
        (deciding, [0.0, 0.45, 0.0], 0.85, 1.0),
        (deciding, [0.0, -0.45, 0.0], 0.0, 0.15),
        (holding, [0.45, 0.45, 0.45], 0.85, 1.0),
        (holding, [0.45, -0.45, 0.45], 0.0, 0.15),
    ):
        found = combination.combined(0.5, shifts)
        assert isinstance(found, float) and low < found < high


def test_without_parts_the_bare_answer_stands_and_without_truth_none() -> None:
    material = trusted_with(one_decides)
    only_true = tuple(q for q in material.questions if material.key.truth[q.id])
    taught = type(material)(material.subject, only_true, material.key.only(only_true), material.specification)
    combination = Combination().learn(Reader().read, taught)
    assert combination.combined(0.3, []) == 0.3
    assert isinstance(combination.combined(0.3, [0.1]), Unscored)


def test_a_reader_is_asked_about_the_lines_alone() -> None:
    reader = Reader()
    Combination().learn(reader.read, trusted_with(lambda length, truth, rng: [YES] * length))
    assert {sitting.lines for sitting in reader.sittings} == {(), (0,), (1,)}
    assert all(isinstance(sitting, Sitting) for sitting in reader.sittings)
