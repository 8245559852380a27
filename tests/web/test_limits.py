"""What happens while the model is busy: the queue fills, clients leave, answers fail."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import replace
from http.client import HTTPConnection
from unittest.mock import patch

import httpx
import pytest
from openai import InternalServerError, OpenAI, RateLimitError

from superalign.models.answering import Answerer, Piece, Row
from superalign.testing.tiny import tiny_subject
from superalign.web import openai_api
from tests.web.conftest import SOON, client, here


class Endless(Answerer):
    """Says the same over and over until nobody wants it, or until it is let go."""

    def __init__(self) -> None:
        super().__init__(tiny_subject())
        self.begun, self.left, self.let_go = threading.Event(), threading.Event(), threading.Event()

    def answer(self, rows: Sequence[Row]) -> Iterator[tuple[int, Piece]]:
        self.begun.set()
        piece = Piece("again ", (), 0, None)
        while rows[0].wanted and not self.let_go.wait(0.01):
            piece = replace(piece, written=piece.written + 1)
            yield 0, piece
        if not rows[0].wanted:
            self.left.set()
        yield 0, Piece("", (), piece.written + 1, "stop")


def ask(asked: OpenAI, **fields: object) -> object:
    messages = [{"role": "user", "content": "Hello"}]
    return asked.chat.completions.create(model="held", messages=messages, **fields)  # type: ignore[call-overload]


@pytest.mark.parametrize("stream", [True, False])
def test_who_hangs_up_is_not_answered_any_more(stream: bool) -> None:
    answerer = Endless()
    body = json.dumps({"model": "held", "stream": stream, "messages": [{"role": "user", "content": "Hello"}]})
    with here(answerer) as address:
        connection = HTTPConnection(httpx.URL(address).netloc.decode())
        connection.request("POST", "/v1/chat/completions", body)
        assert answerer.begun.wait(SOON)
        connection.close()
        assert answerer.left.wait(SOON)


def test_a_full_queue_says_when_to_come_again() -> None:
    answerer = Endless()
    with here(answerer, together=1, waiting=1) as address, ThreadPoolExecutor() as threads:
        asked = client(address)
        first = threads.submit(ask, asked)
        assert answerer.begun.wait(SOON)
        ended = as_completed([threads.submit(ask, asked) for _ in range(3)], SOON)
        refused = [next(ended).exception() for _ in range(2)]  # while the model is held, nobody else ends
        answerer.let_go.set()
        assert first.result(SOON) and next(ended).result()
    for error in refused:
        assert isinstance(error, RateLimitError) and error.code == "queue_full"
        assert int(error.response.headers["Retry-After"]) >= 1


class Broken(Answerer):
    """Fails after some pieces."""

    def __init__(self, pieces: int) -> None:
        super().__init__(tiny_subject())
        self._pieces = pieces

    def answer(self, rows: Sequence[Row]) -> Iterator[tuple[int, Piece]]:
        for written in range(self._pieces):
            yield 0, Piece("well ", (), written + 1, None)
        raise ZeroDivisionError("secret words")


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("pieces", [0, 2])
def test_a_failure_is_an_error_in_the_apis_form(pieces: int, stream: bool) -> None:
    with here(Broken(pieces)) as address:
        body = {"model": "held", "stream": stream, "messages": [{"role": "user", "content": "Hello"}]}
        answer = httpx.post(f"{address}/chat/completions", json=body, timeout=SOON, trust_env=False)
        assert answer.status_code == (200 if stream and pieces else 500)
        last = answer.text.strip().splitlines()[-1]
        assert '"server_error"' in last and "ZeroDivisionError" in last
        assert "secret words" not in answer.text and "Traceback" not in answer.text
        with pytest.raises(InternalServerError):  # and the server lives on
            ask(client(address))


def test_a_body_that_does_not_come() -> None:
    with here(Endless()) as address, patch.object(openai_api, "BODY_SECONDS", 0.2):

        def slowly() -> Iterator[bytes]:
            yield b'{"model":'
            threading.Event().wait(2)
            yield b'"held"}'

        answer = httpx.post(f"{address}/chat/completions", content=slowly(), timeout=SOON, trust_env=False)
    assert answer.status_code == 408
