"""Reward models: learnt from pairs within groups, judged against the median, the least step deciding."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from superalign.contracts.errors import InputError
from superalign.contracts.protocols import AnswerKey, Trusted
from superalign.contracts.records import Access, Conversation, Judgement, Question
from superalign.models.subject import ModelSubject
from superalign.oversight import bradley_terry
from superalign.oversight.bradley_terry import Backend, RewardJudge, compared
from superalign.oversight.judge import Sitting
from superalign.oversight.reward_model import ProcessRewardModel, RewardModel, one_by_one
from superalign.tasks.metrics import auroc, point
from superalign.tasks.specification import default_specification
from superalign.testing.conformance import Watched
from superalign.testing.tiny import tiny_subject
from tests.oversight.games import judged
from tests.scripted import text_of

BAD = "A candle burns"


def told(groups: range, lines: int = 2) -> tuple[list[Question], AnswerKey]:
    """A question is wrong if one of its lines is the bad one, whose place changes."""
    questions, truth = [], {}
    for group in groups:
        for right in (True, False):
            evidence = [f"An engine runs for {(group + line) % 10}" for line in range(lines)]
            if not right:
                evidence[group % lines] = f"{BAD} for {group % 10}"
            name = f"told/{group}/{right}"
            questions.append(
                Question(id=name, prompt=f"Number {group % 10}?", level=0, group=str(group), evidence=tuple(evidence))
            )
            truth[name] = right
    return questions, AnswerKey(truth=truth)


def taught(subject: ModelSubject | Watched, groups: range = range(60)) -> Trusted:
    questions, key = told(groups)
    return Trusted(subject, tuple(questions), key, default_specification())


def right(judgements: Sequence[Judgement], key: AnswerKey) -> float:
    return float(np.mean([(own.probability > 0.5) == key.truth[own.question_id] for own in judgements]))


@pytest.fixture(scope="module")
def tiny() -> ModelSubject:
    return tiny_subject()


def test_it_learns_which_question_is_better(tiny: ModelSubject) -> None:
    questions, key = told(range(100, 140))
    assert right(judged(RewardModel().learn(taught(tiny)), questions), key) > 0.85


def test_one_bad_step_among_many_counts(tiny: ModelSubject) -> None:
    """It learnt from questions of two lines, without being told which of them was bad."""
    questions, key = told(range(100, 140), lines=8)
    found = judged(ProcessRewardModel().learn(taught(tiny)), questions)
    reward = np.array([own.probability for own in found])
    assert point(auroc, reward, key.of(questions)) > 0.7


def test_the_least_step_decides_and_is_shown(tiny: ModelSubject, monkeypatch: pytest.MonkeyPatch) -> None:
    class Lengths:
        def rewards(self, conversations: Sequence[Conversation]) -> np.ndarray:
            return np.array([-3.0 if BAD in text_of(own) else 2.0 for own in conversations])

    monkeypatch.setattr(bradley_terry, "fit_linear", lambda *given: Lengths())
    questions, key = told(range(100, 104), lines=5)
    for own in judged(ProcessRewardModel().learn(taught(tiny)), questions):
        margin = 2.5 if key.truth[own.question_id] else -2.5  # half of the questions that it learnt from are good
        assert own.probability == pytest.approx(1 / (1 + np.exp(-margin)))
        assert sum(message.role == "assistant" for message in own.transcript) == 5 + 1


def test_a_line_that_says_nothing_lies_between_those_that_speak(tiny: ModelSubject) -> None:
    """Nobody told it which lines do. The speaking line of a right question is the good one here."""
    questions, key = [], {}
    for group in range(40):
        for right in (True, False):
            spoken = "An apple fell" if right else BAD
            evidence = tuple(f"{text} for {group % 10}" for text in (spoken, "An engine runs"))
            name = f"told/{group}/{right}"
            key[name] = right
            questions.append(Question(id=name, prompt="So?", level=0, group=str(group), evidence=evidence))
    judge = RewardJudge(lambda question, seed: one_by_one(question))
    judge.learn(Trusted(tiny, tuple(questions), AnswerKey(truth=key), default_specification()))
    good, silent, bad = judge.read([Sitting(questions[place], (line,)) for place, line in ((0, 0), (0, 1), (1, 0))])
    assert all(isinstance(read, float) for read in (good, silent, bad)) and good > silent > bad  # type: ignore[operator]


def test_a_pair_is_of_one_group_where_there_is_one() -> None:
    questions, key = told(range(6))
    alone = [question for question in questions if not (question.group == "5" and not key.truth[question.id])]
    pairs = compared(Trusted(tiny_subject(), tuple(alone), key.only(alone), default_specification()))
    assert len(pairs) == 6 and all(key.truth[one.id] and not key.truth[other.id] for one, other in pairs)
    assert [one.group == other.group for one, other in pairs] == [True] * 5 + [False]


def test_answers_of_one_kind_teach_nothing(tiny: ModelSubject) -> None:
    questions, _ = told(range(4))
    same = AnswerKey(truth={question.id: True for question in questions})
    with pytest.raises(InputError, match="no two questions"):
        RewardModel().learn(Trusted(tiny, tuple(questions), same, default_specification()))


def test_trl_trains_a_reward_that_judges_others(tiny: ModelSubject, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bradley_terry, "STEPS", 80)
    before = {name: tensor.clone() for name, tensor in tiny.decoder.model.state_dict().items()}
    questions, key = told(range(100, 110), lines=4)
    found = judged(ProcessRewardModel("trl").learn(taught(tiny)), questions)
    assert right(found, key) > 0.9 and all(own.cost.forward_passes for own in found)
    assert all(bool((tiny.decoder.model.state_dict()[name] == tensor).all()) for name, tensor in before.items())


def test_trl_needs_weights_and_other_back_ends_do_not_exist(tiny: ModelSubject) -> None:
    closed = Watched(tiny, frozenset({Access.ACTIVATIONS}))
    with pytest.raises(InputError, match="shows none"):
        RewardModel("trl").learn(taught(closed))
    wrong: Backend = "slow"  # type: ignore[assignment]
    with pytest.raises(InputError, match="slow"):
        RewardJudge(lambda question, seed: one_by_one(question), wrong)


def test_nothing_to_read_is_no_error(tiny: ModelSubject) -> None:
    judge = RewardJudge(lambda question, seed: one_by_one(question)).learn(taught(tiny))
    assert judge.read([]) == [] and len(judge.read([Sitting(told(range(1))[0][0])])) == 1
