"""A debate whose expert, or judge, is a model of ours behind `superalign serve`, over the chat API."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from superalign.contracts.protocols import AnswerKey, Trusted
from superalign.contracts.records import Judgement, Question, Unscored
from superalign.models.handle import open_alone
from superalign.oversight.argument import TOKENS, argument_asked, read_argument
from superalign.oversight.debate import Debate
from superalign.oversight.judge import Sitting
from superalign.tasks.passage import PassageTask
from superalign.tasks.specification import default_specification
from superalign.testing.tiny import tiny_model
from tests.web.conftest import KEY, started

NOTHING = Trusted(None, (), AnswerKey(truth={}), default_specification())  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    folder = tiny_model(tmp_path_factory.mktemp("served") / "tiny")
    with started("--model", folder, "--dtype", "float32", "--api-key-env", "SERVED_KEY") as (_, address):
        yield folder, address


def named(monkeypatch: pytest.MonkeyPatch, model: str | Path, address: str) -> str:
    """The endpoint's name, its address and key being set."""
    for name, value in {"SERVED_API_KEY": KEY, "SERVED_BASE_URL": address, "NO_PROXY": "127.0.0.1"}.items():
        monkeypatch.setenv(name, value)
    return f"openai-api/served/{model}"


def short(count: int) -> list[Question]:
    """Questions on the shortest passages: a tiny model reads no long ones."""
    return [question for question in PassageTask().load(limit=40, seed=0)[0] if question.level == 0][:count]


def test_an_expert_is_heard_as_the_model_that_it_is(tiny: tuple[Path, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """This one knows nothing of debates: it is unscored, for what it really said."""
    folder, address = tiny
    [question] = short(1)
    itself, _ = open_alone(str(folder), dtype="float32")
    sitting = Sitting(question)
    [answer] = itself.respond([argument_asked(sitting, True, 1)], TOKENS)
    wanted = read_argument(answer, sitting, 1)
    assert isinstance(wanted, Unscored) and "did not name lines" in wanted.reason
    expert = named(monkeypatch, folder, address)
    assert Debate(judge="scripted", expert=expert).learn(NOTHING).judge([question]) == [wanted]


def test_a_judge_that_states_no_number_is_unscored(tiny: tuple[Path, str], monkeypatch: pytest.MonkeyPatch) -> None:
    judge = named(monkeypatch, *tiny)
    found = Debate(judge=judge, expert="scripted").learn(NOTHING).judge(short(3))
    assert all(isinstance(each, Unscored) and "stated no whole number" in each.reason for each in found)


@pytest.mark.model
def test_the_embedded_model_argues_over_its_own_api(monkeypatch: pytest.MonkeyPatch) -> None:
    with started("--model", "smollm2-135m", "--api-key-env", "SERVED_KEY") as (_, address):
        expert = named(monkeypatch, "smollm2-135m", address)
        asked = short(3)
        found = Debate(judge="scripted", expert=expert).learn(NOTHING).judge(asked)
    for question, each in zip(asked, found, strict=True):
        if isinstance(each, Unscored):
            assert each.reason.startswith("the expert ")
        else:
            assert (
                isinstance(each, Judgement) and each.question_id == question.id and expert in each.transcript[0].content
            )
