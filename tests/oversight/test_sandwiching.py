"""Sandwiching of players whose accuracies are known."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from superalign.contracts.errors import InputError, UnknownName
from superalign.contracts.oversight_measures import Measured, Sandwich
from superalign.contracts.records import Interval, Question, Unscored
from superalign.oversight import hearing
from superalign.oversight.expert import ScriptedExpert
from superalign.oversight.judge import ScriptedJudge
from superalign.oversight.sandwiching import Parties, parties, sandwich
from tests.oversight.docketed import game


class Shy(ScriptedExpert):
    """Argues as well as anybody, and takes itself to know nothing of every other question."""

    def believe(self, questions: Sequence[Question]) -> list[float | Unscored]:
        known = super().believe(questions)
        return [own if place % 2 else 0.5 for place, own in enumerate(known)]


@pytest.fixture(autouse=True)
def _nobody_errs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hearing, "judge_named", lambda _: ScriptedJudge(error_rate=0))


def value(found: Measured) -> float:
    assert isinstance(found, Interval), found
    return found.value


def between(found: Sandwich) -> tuple[float, ...]:
    return tuple(map(value, (found.alone, found.model, found.together, found.expert)))


def test_a_good_adviser_makes_up_for_what_the_non_expert_does_not_read() -> None:
    alone, model, together, expert = between(found := sandwich(game(), parties("scripted", "scripted")))
    assert 0.5 < alone < 0.8 and (model, together, expert) == (1, 1, 1)
    assert value(found.together_less_alone) == pytest.approx(1 - alone)
    assert not found.sandwiched  # the model alone is as good


def test_together_beat_both_where_neither_knows_enough() -> None:
    made = parties("scripted", "scripted", "debate")
    found = sandwich(game(), Parties(made.alone, Shy(), made.together, made.expert))
    assert value(found.model) == 0.75 and value(found.together) == 1
    assert found.sandwiched and value(found.expert_less_together) == 0


def test_a_model_that_is_useless_is_not_sandwiched() -> None:
    made = parties("scripted", "scripted")
    found = sandwich(game(), Parties(made.alone, made.model, made.alone, made.expert))
    assert value(found.together_less_alone) == 0 and not found.sandwiched


def test_who_and_how_must_exist() -> None:
    with pytest.raises(UnknownName):
        parties("scripted", "scripted", "debates")
    with pytest.raises(InputError):
        parties("scripted", "nobody")
    with pytest.raises(InputError):
        parties("scripted", "scripted", "direct")


def test_a_simulated_person_is_helped_and_its_minutes_are_counted() -> None:
    docket = game()
    found = sandwich(docket, parties("human", "scripted"))
    assert value(found.together) == pytest.approx(0.9, abs=0.08) and value(found.together_less_alone) > 0.1
    asked = len(docket.questions)  # once alone; twice with a consultant, who argues for either side
    assert found.asked.cost.human_seconds == 60 * 3 * asked
