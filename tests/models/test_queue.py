"""Callers that come at the same time are answered together, each as if it were alone; nobody waits for who has left."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from unittest.mock import patch

import pytest

from superalign.contracts.errors import BusyError, InputError, ModelError
from superalign.models import queue as module
from superalign.models.answering import Answerer, Ask, Piece, Row
from superalign.models.generate import Sampling
from superalign.models.queue import ModelQueue
from superalign.models.subject import ModelSubject
from tests.models.conftest import user

PROMPT = (5, 6, 7, 8)
SOON = 60  # seconds after which a test that waits gives up


class Recorded(Answerer):
    """Keeps the size of each batch; holds the first one until it is let go."""

    def __init__(self, subject: ModelSubject) -> None:
        super().__init__(subject)
        self.batches: list[list[Row]] = []
        self.begun, self.go_on = threading.Event(), threading.Event()

    def answer(self, rows: Sequence[Row]) -> Iterator[tuple[int, Piece]]:
        self.batches.append(list(rows))
        self.begun.set()
        assert self.go_on.wait(SOON)
        yield from super().answer(rows)


@contextmanager
def opened(answerer: Answerer, **limits: int) -> Iterator[ModelQueue]:
    queue = ModelQueue(answerer, **limits)
    try:
        yield queue
    finally:
        if isinstance(answerer, Recorded):
            answerer.go_on.set()
        queue.close()


async def text(queue: ModelQueue, ask: Ask) -> str:
    return "".join([piece.text async for _, piece in queue.enter(ask).pieces()])


async def until(event: threading.Event) -> None:
    assert await asyncio.to_thread(event.wait, SOON)


def asks(answerer: Answerer, count: int) -> list[Ask]:
    return [
        Ask(answerer.encode(user(f"Question {i}" + "!" * i)), 8 + i, Sampling(1.0, 0.9, i) if i % 2 else None)
        for i in range(count)
    ]


def test_at_once_as_one_by_one(tiny: ModelSubject) -> None:
    answerer = Recorded(tiny)

    async def run() -> tuple[list[str], list[str]]:
        wanted = asks(answerer, 8)
        first = asyncio.create_task(text(queue, wanted[0]))
        await until(answerer.begun)
        others = [asyncio.create_task(text(queue, ask)) for ask in wanted[1:]]
        await asyncio.sleep(0)  # all have entered
        answerer.go_on.set()
        at_once = await asyncio.gather(first, *others)
        return at_once, [await text(queue, ask) for ask in wanted]

    with opened(answerer) as queue:
        at_once, one_by_one = asyncio.run(run())
    assert at_once == one_by_one and len(set(at_once)) > 4
    assert [len(rows) for rows in answerer.batches] == [1, 7] + [1] * 8


def test_who_waits_longest_is_next_and_who_fits_goes_along(tiny: ModelSubject) -> None:
    answerer = Recorded(tiny)

    async def run() -> None:
        running = [asyncio.create_task(text(queue, Ask(PROMPT, 1)))]
        await until(answerer.begun)
        for tokens, answers in ((2, 2), (3, 3), (4, 1), (5, 1), (6, 1)):
            running.append(asyncio.create_task(text(queue, Ask(PROMPT, tokens, answers=answers))))
        await asyncio.sleep(0)
        answerer.go_on.set()
        await asyncio.gather(*running)

    with opened(answerer, together=4) as queue:
        asyncio.run(run())
    order = [[row.ask.max_tokens for row in rows] for rows in answerer.batches]
    assert order == [[1], [2, 2, 4, 5], [3, 3, 3, 6]]


def test_a_full_queue_says_when_to_come_again(tiny: ModelSubject) -> None:
    answerer = Recorded(tiny)

    async def run() -> None:
        first = asyncio.create_task(text(queue, Ask(PROMPT, 1)))
        await until(answerer.begun)
        second = queue.enter(Ask(PROMPT, 1, answers=2))
        with pytest.raises(BusyError, match="Ask again after") as caught:
            queue.enter(Ask(PROMPT, 1))
        assert caught.value.seconds >= 1
        second.leave()
        third = queue.enter(Ask(PROMPT, 1))  # who has left takes no place
        answerer.go_on.set()
        await first
        assert [piece async for _, piece in third.pieces()]

    with opened(answerer, waiting=2) as queue:
        asyncio.run(run())
    assert [len(rows) for rows in answerer.batches] == [1, 1]


def test_who_stops_reading_is_not_answered_to_the_end(tiny: ModelSubject) -> None:
    answerer = Recorded(tiny)
    answerer.go_on.set()
    told: list[int] = []
    plain = module.Request.tell

    def tell(request: module.Request, answer: int, piece: Piece) -> None:
        told.append(piece.written)
        plain(request, answer, piece)

    async def run() -> None:
        pieces = queue.enter(Ask(PROMPT, 900, stops=("never said",))).pieces()
        await anext(pieces)
        await pieces.aclose()
        assert await text(queue, Ask(PROMPT, 2))  # the model is free

    with opened(answerer) as queue, patch.object(module.Request, "tell", tell):
        asyncio.run(run())
    assert len(told) < 900


class Narrow(Answerer):
    """Memory for two answers at a time, and for those of fewer than 50 tokens; runs out in the middle."""

    def answer(self, rows: Sequence[Row]) -> Iterator[tuple[int, Piece]]:
        for i, piece in super().answer(rows):
            yield i, piece
            if (len(rows) > 2 or rows[0].ask.max_tokens >= 50) and piece.written == 2:
                raise MemoryError


def test_out_of_memory_halves_the_batch_and_tells_nothing_twice(tiny: ModelSubject) -> None:
    answerer = Narrow(tiny)

    async def run() -> None:
        wanted = asks(answerer, 5)
        alone = [await text(queue, ask) for ask in wanted]
        assert list(await asyncio.gather(*(text(queue, ask) for ask in wanted))) == alone
        with pytest.raises(InputError, match="does not fit in memory"):
            await text(queue, Ask(PROMPT, 50))
        assert await text(queue, wanted[0]) == alone[0]

    with opened(answerer) as queue:
        asyncio.run(run())


class Broken(Answerer):
    def answer(self, rows: Sequence[Row]) -> Iterator[tuple[int, Piece]]:
        if rows[0].ask.max_tokens == 13:
            raise ZeroDivisionError
        yield from super().answer(rows)


def test_a_failure_is_told_and_the_next_is_answered(tiny: ModelSubject) -> None:
    async def run() -> None:
        with pytest.raises(ModelError, match="ZeroDivisionError"):
            await text(queue, Ask(PROMPT, 13))
        assert await text(queue, Ask(PROMPT, 2))

    with opened(Broken(tiny)) as queue:
        asyncio.run(run())


def test_whoever_waits_is_answered_before_it_closes(tiny: ModelSubject) -> None:
    answerer = Recorded(tiny)

    async def run() -> None:
        first = asyncio.create_task(text(queue, Ask(PROMPT, 3)))
        await until(answerer.begun)
        second = asyncio.create_task(text(queue, Ask(PROMPT, 3)))
        await asyncio.sleep(0)
        answerer.go_on.set()
        closing = asyncio.create_task(asyncio.to_thread(queue.close))
        assert await first and await second
        await closing
        with pytest.raises(ModelError, match="closed"):
            queue.enter(Ask(PROMPT, 1))

    with opened(answerer) as queue:
        asyncio.run(run())


def test_more_answers_than_are_written_at_a_time(tiny: ModelSubject) -> None:
    async def run() -> None:
        with pytest.raises(InputError, match="at most 4"):
            queue.enter(Ask(PROMPT, 1, answers=5))

    with opened(Answerer(tiny), together=4) as queue:
        asyncio.run(run())
