"""Accuracy by level, of overseers that find what is not spread far."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import pytest

from superalign.contracts.oversight_measures import Measured
from superalign.contracts.protocols import Trusted
from superalign.contracts.records import Interval, Judgement, Question, Unscored
from superalign.contracts.registry import overseers
from superalign.oversight import hearing
from superalign.oversight.judge import ScriptedJudge
from superalign.oversight.obfuscation import obfuscation
from tests.oversight.docketed import game


class FindsUpTo:
    """Says no to a flaw of at most this level, and yes to all else."""

    name = "finds"

    def __init__(self, level: int) -> None:
        self._level, self._docket = level, game()

    def learn(self, given: Trusted) -> Self:
        return self

    def judge(self, questions: Sequence[Question]) -> list[Judgement | Unscored]:
        key = self._docket.key.truth
        return [
            Judgement(question_id=own.id, probability=1 - 0.9 * (not key[own.id] and own.level <= self._level))
            for own in questions
        ]


def value(found: Measured) -> float:
    assert isinstance(found, Interval), found
    return found.value


def test_accuracy_falls_where_the_flaw_is_spread_too_far() -> None:
    found = obfuscation(game(), {"finds": FindsUpTo(1), "all": FindsUpTo(3)})
    assert [value(own.accuracy["finds"]) for own in found.levels] == [1, 1, 0.5, 0.5]
    assert [value(own.found["finds"]) for own in found.levels] == [1, 1, 0, 0]
    assert [value(own.found["all"]) for own in found.levels] == [1, 1, 1, 1]
    assert (value(found.lost["finds"]), value(found.lost["all"])) == (pytest.approx(0.5), 0)
    assert found.levels[0].level == "2 lines"


def test_a_flaw_that_takes_more_lines_than_a_judge_reads_is_not_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hearing, "judge_named", lambda _: ScriptedJudge(error_rate=0))
    docket = game("ordering", groups=50)
    consultancy = overseers.make("critique", judge="scripted", expert="scripted")
    found = obfuscation(docket, {"critique": consultancy})
    assert [value(own.found["critique"]) for own in found.levels][2:] == [0, 0, 0]  # a cycle of 3, 4 and 8
    assert value(found.levels[0].found["critique"]) == 1
