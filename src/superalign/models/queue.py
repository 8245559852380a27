"""One model, one thread, many callers: who comes while the model is busy is answered together with all who wait.

Callers are coroutines. First come, first served: whoever waits longest is in the next batch, and with him as many as
fit beside him, in the order in which they came.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import AsyncGenerator, Sequence

from superalign.contracts.errors import BusyError, InputError, ModelError, SuperalignError
from superalign.models.answering import Answerer, Ask, Piece, Row
from superalign.models.memory import attempted

GATHERING = 0.01  # seconds: what is asked in one burst is answered together
TOGETHER = 32
TOGETHER_TOKENS = 2**15  # of prompts and answers in one batch: bounds what their keys and values take
DOES_NOT_FIT = InputError(
    "The conversation does not fit in memory.",
    fix="Shorten it, ask for fewer tokens, or use a smaller model or a device with more memory.",
)


class Request:
    """The answers that one caller waits for."""

    def __init__(self, ask: Ask, rows: Sequence[Row], own: int) -> None:
        self.ask, self.rows, self.own = ask, rows, own
        self.going = set(range(len(rows)))
        self._told = [0] * len(rows)  # how many pieces of each answer were handed out
        self._loop = asyncio.get_running_loop()
        self._arrived: asyncio.Queue[tuple[int, Piece] | SuperalignError] = asyncio.Queue()

    @property
    def wanted(self) -> bool:
        return self.rows[0].wanted

    @property
    def tokens(self) -> int:
        return len(self.ask.prompt) + self.ask.max_tokens

    async def pieces(self) -> AsyncGenerator[tuple[int, Piece]]:
        """Which answer, and its next piece, until all have ended. Whoever stops reading is no longer answered.

        InputError when the conversation does not fit in memory, ModelError when the model fails.
        """
        going = len(self.rows)
        try:
            while going:
                arrived = await self._arrived.get()
                if isinstance(arrived, SuperalignError):
                    raise arrived
                going -= arrived[1].end is not None
                yield arrived
        finally:
            self.leave()

    def leave(self) -> None:
        for row in self.rows:
            row.wanted = False

    def tell(self, answer: int, piece: Piece) -> None:
        """Hand out a piece, unless it was handed out before memory ran out and the answer was begun again."""
        if piece.written > self._told[answer]:
            self._told[answer] = piece.written
            if piece.end:
                self.going.discard(answer)
            self._deliver((answer, piece))

    def fail(self, error: SuperalignError) -> None:
        if self.going:
            self.going.clear()
            self._deliver(error)

    def _deliver(self, arrived: tuple[int, Piece] | SuperalignError) -> None:
        try:
            self._loop.call_soon_threadsafe(self._arrived.put_nowait, arrived)
        except RuntimeError:  # the caller's loop is closed
            self.leave()


class ModelQueue:
    """The thread of one model. At most `together` answers are written at a time, and at most `waiting` wait."""

    def __init__(self, answerer: Answerer, *, together: int = TOGETHER, waiting: int | None = None) -> None:
        self._answerer, self._together, self._most = answerer, together, waiting
        self._requests: list[Request] = []
        self._changed = threading.Condition()
        self._closed = False
        self._batch_seconds = 1.0  # how long the last batch took
        self._thread = threading.Thread(target=self._work, name="model", daemon=True)
        self._thread.start()

    def enter(self, ask: Ask) -> Request:
        """Take a place, as a coroutine may. InputError when there are too many answers in it, BusyError when the queue
        is full.
        """
        if ask.answers > self._together:
            raise InputError(
                f"{ask.answers} answers are more than are written at a time.", fix=f"Ask for at most {self._together}."
            )
        request = Request(ask, self._answerer.rows(ask), self._answerer.decoder.own(ask.prompt))
        with self._changed:
            if self._closed:
                raise ModelError("The model is closed.", fix="Open it again.")
            waiting = sum(len(each.rows) for each in self._requests if each.wanted)
            if self._most is not None and waiting + ask.answers > self._most:
                raise BusyError(waiting, max(1, round(self._batch_seconds)))
            self._requests.append(request)
            self._changed.notify()
        return request

    def close(self) -> None:
        """Answer whoever waits, then end the thread."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    def _work(self) -> None:
        while self._some_wait():
            time.sleep(GATHERING)
            started = time.monotonic()
            self._answer([(request, i) for request in self._next_batch() for i in range(len(request.rows))])
            self._batch_seconds = time.monotonic() - started

    def _some_wait(self) -> bool:
        """Returns when somebody waits, or with False when nobody does and the queue is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._requests or self._closed)
            return bool(self._requests)

    def _next_batch(self) -> list[Request]:
        """Who waits longest, and who fits beside, out of those who still wait."""
        batch: list[Request] = []
        with self._changed:
            waiting = [request for request in self._requests if request.wanted]
            for request in waiting:
                if not batch or self._fits(request, batch):
                    batch.append(request)
            self._requests = [request for request in waiting if request not in batch]
        return batch

    def _fits(self, request: Request, batch: Sequence[Request]) -> bool:
        answers = sum(len(each.rows) for each in (*batch, request))
        longest = max(each.tokens for each in (*batch, request))
        return request.own == batch[0].own and answers <= self._together and answers * longest <= TOGETHER_TOKENS

    def _answer(self, places: Sequence[tuple[Request, int]]) -> None:
        """Write these answers. What does not fit in memory is halved, down to one; any other failure is told to all."""
        if not places:
            return
        failure: SuperalignError
        try:
            if attempted(lambda index: self._write([places[i] for i in index]), list(range(len(places)))):
                return
            failure = DOES_NOT_FIT
        except SuperalignError as error:
            failure = error
        except Exception as error:  # whatever it is, the thread must live on
            logging.getLogger(__name__).debug("The model failed", exc_info=True)
            failure = ModelError(f"The model failed: {type(error).__name__}.", fix="Open it again, or another one.")
        if failure is DOES_NOT_FIT and len(places) > 1:
            left = [(request, i) for request, i in places if i in request.going and request.wanted]
            for half in (left[: len(left) // 2], left[len(left) // 2 :]):
                self._answer(half)
        else:
            for request, _ in places:
                request.fail(failure)

    def _write(self, places: Sequence[tuple[Request, int]]) -> None:
        for place, piece in self._answerer.answer([request.rows[i] for request, i in places]):
            request, i = places[place]
            request.tell(i, piece)
