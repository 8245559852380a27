"""Games between players of known strength."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from superalign.contracts.errors import InputError
from superalign.contracts.oversight_measures import Scaling
from superalign.contracts.protocols import Trusted
from superalign.contracts.records import Unscored
from superalign.oversight import grades
from superalign.oversight.grades import Grade, check_gradable, graded, lessons_with
from superalign.oversight.judge import ScriptedJudge
from superalign.oversight.scaling import lines_read, scaling
from superalign.testing.tiny import tiny_subject
from tests.oversight.docketed import GROUPS, Says, game, settled

PERFECT = Grade(*[ScriptedJudge(error_rate=0)] * 3)
BLIND = Grade(*[Says(lambda _: 0.5)] * 3)


def test_who_knows_everything_wins_against_anybody_and_who_knows_nothing_guesses() -> None:
    found = scaling(game(), {"perfect": PERFECT, "blind": BLIND})
    assert isinstance(found, Scaling)
    success = {(own.guard, own.adversary): own.success.value for own in found.pairings}
    assert success["perfect", "perfect"] == success["perfect", "blind"] == 1
    assert success["blind", "perfect"] == success["blind", "blind"] == 0.5
    most = 400 * np.log10((2 * GROUPS + 0.5) / 0.5)
    assert [(own.accuracy, own.elo) for own in found.guards] == [(1, pytest.approx(most)), (0.5, pytest.approx(0))]
    gaps = {(own.guard, own.adversary): own.gap for own in found.pairings}
    assert gaps["blind", "perfect"] == pytest.approx(most) == -gaps["perfect", "blind"] == found.nested_gap


def test_a_debater_is_for_the_truth_and_an_adversary_against_it() -> None:
    docket = game()
    seen: list[bool] = []
    watching = Says(lambda sitting: seen.append(settled(sitting.question, sitting.lines)) or 0.5)
    exact = ScriptedJudge(error_rate=0)
    scaling(docket, {"watched": Grade(watching, exact, exact)})
    ruled = seen[-len(docket.questions) :]  # after the lines one by one
    assert all(ruled)
    scaling(docket, {"watched": Grade(watching, Says(lambda _: 0.5), exact)})
    by_luck = [own for own, q in zip(seen[-len(docket.questions) :], docket.questions, strict=True) if q.level == 3]
    assert sum(by_luck) < len(by_luck) / 4  # an adversary never shows it


def test_success_falls_with_the_gap_and_all_of_it_is_told() -> None:
    docket = game(groups=160)
    found = scaling(docket, graded("scripted", docket.given))
    assert isinstance(found, Scaling)
    assert [own.elo for own in found.guards] == sorted(own.elo for own in found.guards)
    assert found.slope.low > 0 and found.curve[0].success.low > found.curve[-1].success.high
    assert found.nested[0].success == found.curve[-1].success  # one step over the widest gap
    assert found.best_steps == max(found.nested, key=lambda own: own.success.value).steps
    assert Scaling.model_validate_json(found.model_dump_json()) == found


def test_players_of_a_grade_err_apart() -> None:
    docket = game(groups=160)
    judge, debater, _ = graded("scripted", docket.given)["errs 45%"]
    one, other = (np.concatenate(lines_read(own, docket.questions)) for own in (judge, debater))
    assert 0.3 < np.mean(one != other) < 0.6


def test_who_can_not_read_makes_it_unscored() -> None:
    silent = Says(lambda _: Unscored(reason="silence"))
    assert scaling(game(groups=8), {"silent": PERFECT._replace(judge=silent)}) == Unscored(reason="silence")


def test_a_share_of_the_labels_is_turned_round() -> None:
    docket = game(groups=40)
    given = replace(docket.given, questions=docket.questions, key=docket.key)
    honest, worse = (lessons_with(given, share, seed=0) for share in (0.0, 0.3))
    assert len(honest) == len(worse)
    per_question = len(honest) // len(docket.questions)
    told = [own.answer == "Yes" for own in worse[::per_question]]
    turned = [answer != truth for answer, truth in zip(told, docket.key.of(docket.questions), strict=True)]
    assert sum(turned) == 24


def test_models_of_all_grades_are_taught_together(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []

    def taught(subject, lessons, recipe, seeds):  # type: ignore[no-untyped-def]
        sizes.extend(map(len, lessons))
        assert len(set(seeds)) == len(seeds)
        return [subject] * len(seeds)

    monkeypatch.setattr(grades, "fine_tuned", taught)
    docket = game(groups=8)
    found = graded("embedded", Trusted(tiny_subject(), docket.questions, docket.key, docket.given.specification))
    assert len(sizes) == 3 * len(found) and len(set(sizes)) == 1


def test_nobody_else_has_grades() -> None:
    with pytest.raises(InputError, match="no grades"):
        check_gradable("openai/gpt")
    with pytest.raises(InputError, match="open weights"):
        graded("embedded", game(groups=8).given)
