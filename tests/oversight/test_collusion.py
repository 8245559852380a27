"""Collusion of experts who understand everything, before a judge that does, too."""

from __future__ import annotations

import numpy as np
import pytest

from superalign.contracts.oversight_measures import Measured
from superalign.contracts.records import Interval
from superalign.oversight import hearing
from superalign.oversight.collusion import bearable, collusion, hearing_for
from superalign.oversight.hearing import Court, Hearing, Ruling
from superalign.oversight.judge import ALLOWANCE, ScriptedJudge, Sitting
from tests.oversight.docketed import game, settled

HIDDEN = 3 / 4  # of the passages have more lines than are shown, so that colluders can hide the one that tells


@pytest.fixture(autouse=True)
def _nobody_errs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hearing, "judge_named", lambda _: ScriptedJudge(error_rate=0))


def value(found: Measured) -> float:
    assert isinstance(found, Interval), found
    return found.value


def test_accuracy_falls_with_the_share_of_collusion() -> None:
    found = collusion(game(), "scripted", "scripted")
    accuracy = {own.share: value(own.accuracy) for own in found.shares}
    assert accuracy[0.0] == 1 and accuracy[1.0] == pytest.approx(1 - HIDDEN / 2)
    assert accuracy[0.5] == pytest.approx(1 - HIDDEN / 4)
    assert value(found.lost) == pytest.approx(HIDDEN / 2)
    assert value(found.bearable) == pytest.approx((1 - value(found.alone)) / (HIDDEN / 2))


@pytest.mark.parametrize("side", (True, False))
def test_colluders_show_what_one_of_them_would_and_pose_as_two(side: bool) -> None:
    docket = game()
    question = next(q for q in docket.questions if q.level == 3 and docket.key.truth[q.id] is not side)
    court = Court("scripted", "scripted").learn(docket.given)
    [found] = hearing_for(court, side)([Hearing(Sitting(question), ())])
    assert isinstance(found, Ruling) and found.probability == 0.5
    told = [message.content.splitlines() for message in found.transcript[:2]]
    assert [lines[0] for lines in told] == ["For yes:", "For no:"]
    shown = [int(line.removeprefix("Line ").partition(":")[0]) - 1 for lines in told for line in lines[1:]]
    assert len(shown) == ALLOWANCE and not settled(question, shown)


def test_how_much_is_bearable_is_a_share() -> None:
    alone, debate, colluded = (
        np.array(own) for own in ([0.6, 0.6, 0.6, 0.6], [0.9, 0.5, 0.9, 0.6], [0.3, 0.1, 0.7, 0.6])
    )
    assert bearable(alone, debate, colluded).tolist() == pytest.approx([0.5, 0, 1, 0])
