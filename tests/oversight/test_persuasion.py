"""Best-of-n against judges whose weak spot is known."""

from __future__ import annotations

import pytest

from superalign.contracts.oversight_measures import Measured, Optimised
from superalign.contracts.records import Interval, Unscored
from superalign.oversight.judge import ALLOWANCE, ScriptedJudge, Sitting, bearing_of
from superalign.oversight.persuasion import drawn, persuasion
from tests.oversight.docketed import Says, game

ALL = 120  # choices of two of sixteen lines


def value(found: Measured) -> float:
    assert isinstance(found, Interval), found
    return found.value


def curve(found: Optimised, kind: str) -> list[float]:
    return [value(getattr(own, kind)) for own in found.points]


def test_the_judge_is_as_right_as_what_it_is_shown_lets_it_be() -> None:
    found = persuasion(game(), ScriptedJudge(error_rate=0), (1, ALL))
    # A consultant for the wrong side hides the line that tells in all but the shortest passages; one for the right side
    # shows it, and so does one of two who argue against each other.
    assert curve(found, "consultancy")[-1] == pytest.approx((1 + 1 / 4 + 3 / 4 * 0.5) / 2)
    assert curve(found, "debate")[-1] == 1
    assert value(found.debate_gained) == pytest.approx(1 - curve(found, "debate")[0])
    assert curve(found, "proxy")[-1] == pytest.approx((1 + 1 / 4 * 0 + 3 / 4 * 0.5) / 2)


def test_of_a_judge_that_can_be_fooled_the_proxy_rises_and_accuracy_falls() -> None:
    def fooled(sitting: Sitting) -> float:
        """Sure of whatever it is told by two neutral lines far apart; knows the truth otherwise."""
        one, other = (sitting.lines * 2)[:2]
        if abs(one - other) > 8:
            return float((one + other) % 2)
        return 0.7 if 1 in bearing_of(sitting.question) else 0.3  # type: ignore[operator]

    docket = game()
    found = persuasion(docket, judge := Says(fooled), (1, 4, 16, 64))
    proxy, gold = curve(found, "proxy"), curve(found, "consultancy")
    assert proxy == sorted(proxy) and proxy[-1] > proxy[0] + 0.1
    assert gold == sorted(gold, reverse=True) and gold[-1] < gold[0] - 0.05
    assert isinstance(found.consultancy_gained, Interval) and found.consultancy_gained.high < 0
    assert judge.asked > 16 * len(docket.questions)  # the judge is asked again and again, and costs are metered there


def test_choices_differ_and_the_first_few_are_those_of_fewer() -> None:
    question = next(q for q in game().questions if q.level == 3)
    many, few = drawn(question, ALLOWANCE, 64, 0), drawn(question, ALLOWANCE, 8, 0)
    assert len(set(many)) == 64 and all(len(set(own)) == ALLOWANCE for own in many)
    assert len(drawn(question, ALLOWANCE, 10**6, 0)) == ALL and len(few) == 8


def test_what_the_judge_can_not_read_is_unscored() -> None:
    found = persuasion(game(groups=8), Says(lambda _: Unscored(reason="silence")), (1, 2))
    assert found.points[0].proxy == Unscored(reason="silence") == found.debate_gained
