"""Endpoints: a real server on loopback speaks the OpenAI chat API and misbehaves on demand."""

from __future__ import annotations

import json
import logging
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from superalign.contracts.errors import InputError, ModelError
from superalign.contracts.protocols import Subject
from superalign.contracts.records import Access, Message, Unscored
from superalign.models.endpoint import EndpointSubject
from superalign.models.source import load, resolve
from superalign.runs.cost import metered
from superalign.testing.tiny import tiny_model
from tests.chat_server import (
    KEY,
    Behave,
    Handler,
    Server,
    completion,
    environment,
    fails,
    hangs,
    repeats,
    resets,
    says,
    sends,
    serving,
)


def asked(text: str) -> tuple[Message, ...]:
    return (Message(role="user", content=text),)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    with serving() as server:
        for name, value in environment(server).items():
            monkeypatch.setenv(name, value)
        yield server


def endpoint(**arguments: Any) -> EndpointSubject:
    return EndpointSubject("openai-api/loopback/m", "subject-1", first_wait=0.001, **arguments)


def reason(answer: str | Unscored) -> str:
    assert isinstance(answer, Unscored), answer
    return answer.reason


def test_answers_come_in_order_and_the_request_is_greedy(server: Server) -> None:
    server.behaviours = (repeats,)
    subject = endpoint(connections=4)
    questions = [f"question {i}" for i in range(20)]
    assert isinstance(subject, Subject)
    assert subject.respond([asked(question) for question in questions], max_tokens=7) == questions
    assert {(request["model"], request["temperature"], request["max_tokens"]) for request in server.requests} == {
        ("m", 0.0, 7)
    }
    assert set(server.keys) == {f"Bearer {KEY}"}


def test_the_whole_conversation_is_sent(server: Server) -> None:
    conversation = (
        Message(role="system", content="Be brief."),
        Message(role="user", content="Hello?"),
        Message(role="assistant", content="Hello."),
        Message(role="user", content="Really?"),
    )
    assert endpoint().respond([conversation]) == ["Yes."]
    sent = [(message["role"], message["content"]) for message in server.requests[0]["messages"]]
    assert sent == [(message.role, message.content) for message in conversation]


@pytest.mark.parametrize("trouble", [fails(429), fails(500), fails(503), resets], ids=["429", "500", "503", "reset"])
def test_trouble_that_passes_is_retried(server: Server, trouble: Behave) -> None:
    server.behaviours = (trouble, trouble, says("Yes."))
    with metered() as meter:
        assert endpoint().respond([asked("Well?")]) == ["Yes."]
    assert len(server.requests) == 3
    assert (meter.cost().forward_passes, meter.cost().tokens) == (3, 12)


@pytest.mark.parametrize(
    ("trouble", "named"),
    [(fails(429), "HTTP 429"), (fails(500, "out of cheese"), "out of cheese"), (resets, "onnection")],
    ids=["429", "500", "reset"],
)
def test_trouble_that_stays_is_unscored_after_the_last_attempt(server: Server, trouble: Behave, named: str) -> None:
    server.behaviours = (trouble,)
    with metered() as meter:
        (answer,) = endpoint(attempts=4).respond([asked("Well?")])
    assert "after 4 requests" in reason(answer)
    assert named in reason(answer)
    assert len(server.requests) == meter.cost().forward_passes == 4
    assert meter.cost().tokens == 0


@pytest.mark.parametrize(
    ("answered", "named"),
    [
        (says("", "content_filter"), "refused"),
        (says(None, refusal="I won't."), "refused: I won't."),
        (sends(400, json.dumps({"error": {"message": "no", "code": "content_filter"}})), "refused: no"),
        (says("The answer", "length", written=3), "cut by the endpoint after 3 of 12"),
        (says("", "length", written=12), "no text within 12 tokens"),
        (sends(400, json.dumps({"error": {"message": "no", "code": "context_length_exceeded"}})), "too long"),
        (says(""), "empty answer"),
        (says(None), "empty answer"),
        (sends(200, '{"model": "m", "choices": []}'), "sent no answer"),
        (sends(200, '{"weather": "fine"}'), "no readable answer (TypeError)"),
        (sends(200, '{"choices": [{"ind'), "no readable answer (JSONDecodeError)"),
        (sends(200, ""), "no readable answer (JSONDecodeError)"),
        (fails(400, "temperature must be 1"), "temperature must be 1"),
        (fails(403, "not in your country"), "not in your country"),
    ],
)
def test_what_is_no_whole_answer_is_unscored_at_once(server: Server, answered: Behave, named: str) -> None:
    server.behaviours = (answered,)
    (answer,) = endpoint().respond([asked("Well?")])
    assert named.lower() in reason(answer).lower()
    assert len(server.requests) == 1


def test_an_answer_cut_where_the_caller_asked_is_an_answer(server: Server) -> None:
    server.behaviours = (says(" Paris is the capi ", "length", written=12),)
    assert endpoint().respond([asked("Well?")], max_tokens=12) == ["Paris is the capi"]


def test_silence_is_unscored_without_another_try(server: Server) -> None:
    endpoint().respond([asked("Warm?")])  # the first request of all imports the client, which takes a while
    server.behaviours = (hangs,)
    (answer,) = endpoint(timeout=0.8).respond([asked("Well?")])
    assert reason(answer) == "no answer within 0.8 seconds"
    assert len(server.requests) == 2


def test_one_subjects_limit_is_not_anothers(server: Server) -> None:
    """Inspect keeps the first limit of a model for the whole process: who is silent would hold all others up."""
    endpoint(connections=1).respond([asked("Warm?")])
    server.behaviours = (
        lambda handler, body: (hangs if "silent" in str(body["messages"]) else says("Yes."))(handler, body),
    )
    silent, answered = endpoint(timeout=15.0).respond([asked("Be silent."), asked("Well?")])
    assert reason(silent) == "no answer within 15 seconds" and answered == "Yes."


def test_one_failure_leaves_the_other_answers(server: Server) -> None:
    server.behaviours = (fails(400), says("Yes."))
    answers = endpoint(connections=1).respond([asked("a"), asked("b"), asked("c")])
    assert isinstance(answers[0], Unscored)
    assert answers[1:] == ["Yes.", "Yes."]


@pytest.mark.parametrize(("status", "fix"), [(401, "Set LOOPBACK_API_KEY anew."), (404, "Check the model's name")])
def test_what_the_user_must_mend_is_an_error(server: Server, status: int, fix: str) -> None:
    server.behaviours = (fails(status, f"Incorrect API key provided: {KEY}"),)
    with pytest.raises(ModelError, match=f"HTTP {status}") as caught:
        endpoint(connections=1).respond([asked("a"), asked("b"), asked("c")])
    assert fix in str(caught.value)
    assert len(server.requests) == 1


def test_no_more_requests_run_at_a_time_than_allowed(server: Server) -> None:
    together = threading.Barrier(3)

    def waits_for_two_more(handler: Handler, body: dict[str, Any]) -> None:
        together.wait(timeout=20)
        handler.reply(200, completion("Yes."))

    server.behaviours = (waits_for_two_more,)
    assert endpoint(connections=3).respond([asked(str(i)) for i in range(12)]) == ["Yes."] * 12
    assert server.most_active == 3


def test_the_key_is_shown_nowhere(
    server: Server, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    def tells(status: int) -> Behave:
        return lambda handler, _: fails(status, f"you sent {handler.headers['Authorization']}")(handler, {})

    caplog.set_level(logging.DEBUG)
    server.behaviours = (tells(400), tells(500))
    subject = endpoint(attempts=2, connections=1)
    answers = subject.respond([asked("a"), asked("b")])
    assert [reason(answer).split("you sent ")[1] for answer in answers] == ["Bearer [key]"] * 2
    server.behaviours = (tells(401),)
    with pytest.raises(ModelError) as caught:
        subject.respond([asked("c")])
    error: BaseException | None = caught.value
    assert error is not None and (error.__suppress_context__ or error.__context__ is None)
    shown = [str(error), repr(error), repr(subject), str(vars(subject)), caplog.text, *capfd.readouterr()]
    assert not [text for text in shown if KEY in text]


def test_a_server_that_is_not_there_and_a_key_that_cannot_be_sent(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOOPBACK_API_KEY", f"{KEY}\n")
    (unsendable,) = endpoint(attempts=2).respond([asked("Well?")])
    assert "header value" in reason(unsendable)
    assert KEY not in reason(unsendable)
    monkeypatch.setenv("LOOPBACK_API_KEY", KEY)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    monkeypatch.setenv("LOOPBACK_BASE_URL", f"http://127.0.0.1:{port}/v1")
    (refused,) = endpoint(attempts=2).respond([asked("Well?")])
    assert "connection attempts failed" in reason(refused)
    assert not server.requests


def test_an_interrupt_stops_the_requests(server: Server) -> None:
    def interrupts(handler: Handler, _: dict[str, Any]) -> None:
        main = threading.main_thread().ident
        assert main is not None
        signal.pthread_kill(main, signal.SIGINT)
        handler.reply(500, "{}")

    server.behaviours = (interrupts, fails(500))
    with pytest.raises(KeyboardInterrupt):
        EndpointSubject("openai-api/loopback/m", first_wait=0.05, attempts=10).respond([asked("Well?")])
    before = len(server.requests)
    time.sleep(0.3)
    assert len(server.requests) <= before + 1  # one may have been on its way


def test_it_allows_no_more_than_asking(server: Server) -> None:
    subject = endpoint()
    assert (subject.access, subject.layers, subject.base) == (frozenset({Access.BLACK_BOX}), 0, None)
    for measure in (subject.yes_logits, lambda some: subject.activations(some, [0]), lambda _: subject.respond([])):
        with pytest.raises(InputError):
            measure([asked("Well?")])
    assert not server.requests


def test_nothing_is_written_outside(server: Server, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert endpoint().respond([asked("Well?")]) == ["Yes."]
    assert not list(tmp_path.rglob("*"))


@pytest.mark.parametrize(
    ("model", "named"),
    [
        ("openai-api/loopback-two/m", "LOOPBACK_TWO_API_KEY"),
        ("nosuch/m", "nosuch"),
        ("m", "format"),
        ("openai-api/m", "service prefix"),
    ],
)
def test_a_model_that_cannot_be_asked_says_what_is_missing(model: str, named: str) -> None:
    with pytest.raises(ModelError, match=named) as caught:
        EndpointSubject(model)
    assert "[bold]" not in str(caught.value)
    assert caught.value.fix


def test_without_inspect_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "inspect_ai.model", None)
    with pytest.raises(ModelError, match=r"pip install 'superalign\[endpoints\]'"):
        EndpointSubject("openai/gpt-4o")


def test_is_named_as_inspect_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path of the same name goes before, and an endpoint is nothing to train from."""
    monkeypatch.chdir(tmp_path)
    assert resolve("openai-api/loopback/m").kind == "endpoint"
    assert resolve("hf/owner/name").kind == "hub"
    with pytest.raises(ModelError, match="open weights"):
        load(resolve("openai/gpt-4o"))
    tiny_model(tmp_path / "openai" / "gpt-4o")
    assert resolve("openai/gpt-4o").kind == "folder"
