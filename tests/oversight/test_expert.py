"""Experts: who plays them, what they show for a side, and what they hold true themselves."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from superalign.contracts.errors import InputError
from superalign.contracts.protocols import AnswerKey, Trusted
from superalign.contracts.records import Judgement, Question, Unscored
from superalign.oversight import judge as judges
from superalign.oversight.debate import Debate
from superalign.oversight.expert import JUDGE, Argument, ModelExpert, ScriptedExpert, expert_named
from superalign.oversight.hearing import Court
from superalign.oversight.judge import EMBEDDED, ModelJudge, Sitting, taught_judge
from superalign.tasks.passage import PassageTask
from superalign.tasks.specification import default_specification
from superalign.testing.tiny import tiny_subject
from tests.chat_server import Server, environment, says, serving

ENDPOINT = "openai-api/loopback/m"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    with serving() as server:
        for name, value in environment(server).items():
            monkeypatch.setenv(name, value)
        yield server


@pytest.fixture(scope="module")
def given() -> Trusted:
    """Labels on some passages, and a tiny model that learns next to nothing from them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(judges, "STEPS", 2)
        questions, key = PassageTask().load(limit=8, seed=0)
        trusted = Trusted(tiny_subject(), tuple(questions), key, default_specification())
        taught_judge(trusted, 0)
        yield trusted


def others(count: int = 4) -> list[Question]:
    return PassageTask().load(limit=40, seed=0)[0][-count:]


def without_evidence(question: Question) -> Question:
    return question.model_copy(update={"evidence": ()})


def test_an_endpoint_argues_for_its_side_with_lines_and_words(server: Server) -> None:
    server.behaviours = (says("LINES: 2\nARGUMENT: So it is."), says("I must refuse."))
    asked = others(2)
    expert = ModelExpert(judges.EndpointSubject(ENDPOINT, connections=1)).learn(nothing())
    found = expert.argue([Sitting(question) for question in asked], [True, False])
    assert found[0] == Argument((1,), "So it is.")
    assert isinstance(found[1], Unscored) and "I must refuse." in found[1].reason
    assert ["is yes" in text and "is no" not in text for text in sent(server)] == [True, False]


def test_an_endpoint_says_what_it_holds_true_having_read_all(server: Server) -> None:
    server.behaviours = (says("20"),)
    [question] = others(1)
    assert expert_named(ENDPOINT).learn(nothing()).believe([question]) == [0.2]
    assert all(line in sent(server)[0] for line in question.evidence)


def test_without_evidence_it_argues_in_words_which_the_judge_is_shown(server: Server) -> None:
    server.behaviours = (says("ARGUMENT: Everybody says so."), says("ARGUMENT: Nobody does."), says("60"))
    [question] = others(1)
    debate = Debate(judge=ENDPOINT, expert=ENDPOINT).learn(nothing())
    [found] = debate.judge([without_evidence(question)])
    assert isinstance(found, Judgement) and found.probability == 0.6
    shown = sent(server)[-1]
    assert "For yes, in words: Everybody says so.\nFor no, in words: Nobody does.\n" in shown
    assert "Everybody says so." in found.transcript[2].content


@pytest.mark.usefixtures("given")
def test_the_expert_that_is_the_judge_is_its_very_model(given: Trusted) -> None:
    judge, same, another = (
        ModelJudge().learn(given),
        expert_named(JUDGE).learn(given),
        expert_named(EMBEDDED).learn(given),
    )
    assert same._reader is judge._reader  # type: ignore[attr-defined]
    assert another._reader is not judge._reader  # type: ignore[attr-defined]


def test_the_judges_own_model_shows_it_what_moves_it_furthest(given: Trusted) -> None:
    judge, expert = ModelJudge().learn(given), ModelExpert(seed=0).learn(given)
    asked = [question for question in others(8) if len(question.evidence) > 2]
    for side in (True, False):
        for question, found in zip(asked, expert.argue([Sitting(q) for q in asked], [side] * len(asked)), strict=True):
            assert isinstance(found, Argument)
            alone = judge.read([Sitting(question, (line,)) for line in range(len(question.evidence))])
            best = np.argmax(alone) if side else np.argmin(alone)
            assert found.lines == (best,)


def test_only_the_embedded_judge_is_an_expert_too() -> None:
    Court(EMBEDDED, JUDGE)
    for judge in ("scripted",):
        with pytest.raises(InputError, match="Only the embedded judge"):
            Court(judge, JUDGE)


def test_the_embedded_expert_has_a_belief_and_no_argument_without_evidence(given: Trusted) -> None:
    bare = [without_evidence(question) for question in others(2)]
    expert = ModelExpert().learn(given)
    assert expert.believe(bare) == pytest.approx(judges.probabilities(expert._reader, [Sitting(q).asked for q in bare]))
    assert expert.argue([Sitting(question) for question in bare], [True, False]) == [Argument(()), Argument(())]


def test_who_plays_whom_is_said_first() -> None:
    scripted = Debate(judge="scripted", expert="scripted").learn(nothing())
    [found] = scripted.judge(others(1))
    assert isinstance(found, Judgement)
    assert found.transcript[0].role == "system" and found.transcript[0].content.count("a program, scripted") == 2
    assert found.transcript[1].content == others(1)[0].prompt


def test_a_scripted_expert_knows_the_truth_of_what_it_can_read() -> None:
    questions, key = PassageTask().load(limit=8, seed=0)
    believed = ScriptedExpert().learn(nothing()).believe(questions)
    assert [own == 1 for own in believed] == key.of(questions).tolist()


def nothing() -> Trusted:
    return Trusted(None, (), AnswerKey(truth={}), default_specification())  # type: ignore[arg-type]


def sent(server: Server) -> list[str]:
    return [request["messages"][-1]["content"] for request in server.requests]
