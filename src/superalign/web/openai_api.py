"""A model behind OpenAI's chat API: `POST /v1/chat/completions`, `GET /v1/models`, `GET /health`.

Whoever speaks to OpenAI can speak to a model of ours: clients, Inspect, garak. Keys and conversations are in no log.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from superalign.contracts.errors import BusyError, ModelError, SuperalignError
from superalign.models.answering import Answerer, Ask, Piece, sampling
from superalign.models.queue import ModelQueue
from superalign.web.chat_format import ApiError, ChatRequest, Json, Layout, Written, read_request

BODY_BYTES = 2**20  # of one request
BODY_SECONDS = 30.0  # that a client may take to send it
GONE = 499  # the client closed the connection; nobody sees this

Result = TypeVar("Result")
Pieces = AsyncGenerator[tuple[int, Piece]]


class ChatApi:
    """Answers requests for one model. `most_tokens` is the longest answer, and how long one is that names no length."""

    def __init__(
        self, name: str, digest: str, answerer: Answerer, queue: ModelQueue, *, most_tokens: int, key: str | None = None
    ) -> None:
        self._name, self._answerer, self._queue = name, answerer, queue
        self._most_tokens = most_tokens
        self._key = key.encode() if key else None
        self._fingerprint = f"superalign-{digest[:12]}"
        self._started = int(time.time())

    def app(self) -> Starlette:
        """The application. It closes the queue when it ends, after all that was accepted is answered."""

        @asynccontextmanager
        async def lifespan(_: Starlette) -> AsyncIterator[None]:
            yield
            await asyncio.to_thread(self._queue.close)

        routes = [
            Route("/v1/chat/completions", self._answered(self.complete, locked=True), methods=["POST"]),
            Route("/v1/models", self._answered(self.models, locked=True), methods=["GET"]),
            Route("/health", self._answered(self.health, locked=False), methods=["GET"]),
        ]
        return Starlette(routes=routes, lifespan=lifespan, exception_handlers={HTTPException: _no_route})

    async def health(self, _: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def models(self, _: Request) -> Response:
        model = {"id": self._name, "object": "model", "created": self._started, "owned_by": "superalign"}
        return JSONResponse({"object": "list", "data": [model]})

    async def complete(self, request: Request) -> Response:
        asked = read_request(await _body(request))
        if asked.model != self._name:
            raise ApiError(
                404,
                f"There is no model {asked.model[:80]!r} here. Ask for {self._name!r}.",
                param="model",
                code="model_not_found",
            )
        ask = self._ask(asked)
        layout = Layout(asked, fingerprint=self._fingerprint, prompt_tokens=len(ask.prompt))
        pieces = self._queue.enter(ask).pieces()
        if not asked.stream:
            answers = await _while_connected(request, _whole(pieces, asked.n))
            return JSONResponse(layout.whole(answers))
        # The first piece before the status line: what fails until then gets a status of its own.
        first = await _while_connected(request, anext(pieces))
        events = _events(first, pieces, layout, asked)
        return StreamingResponse(events, media_type="text/event-stream", headers={"Cache-Control": "no-cache"})

    def _ask(self, asked: ChatRequest) -> Ask:
        """What the request asks of the model. ApiError 400 for too many tokens."""
        prompt, context = self._answerer.encode(asked.conversation), self._answerer.context
        room = context - len(prompt) if context else self._most_tokens
        longest = asked.longest or max(1, min(self._most_tokens, room))
        if longest > self._most_tokens:
            raise ApiError(
                400, f"Answers have at most {self._most_tokens} tokens here. Ask for fewer.", param="max_tokens"
            )
        if longest > room:
            raise ApiError(
                400,
                f"The model's context has {context} tokens, and {len(prompt)} of the conversation with {longest} of "
                "the answer are more. Shorten the conversation, or lower max_tokens.",
                param="messages",
                code="context_length_exceeded",
            )
        return Ask(
            prompt,
            longest,
            sampling(asked.temperature, asked.top_p, asked.seed),
            answers=asked.n,
            stops=asked.stops,
            likeliest=asked.likeliest,
        )

    def _check_key(self, request: Request) -> None:
        given = request.headers.get("authorization", "").encode()
        if self._key is not None and not hmac.compare_digest(given, b"Bearer " + self._key):
            raise ApiError(
                401,
                "The API key is missing or wrong. Send it as: Authorization: Bearer KEY",
                code="invalid_api_key",
                headers={"WWW-Authenticate": "Bearer"},
            )

    def _answered(
        self, handler: Callable[[Request], Awaitable[Response]], *, locked: bool
    ) -> Callable[[Request], Awaitable[Response]]:
        """`handler`, for those with the key if `locked`; whatever it raises becomes an answer, without a traceback."""

        async def handle(request: Request) -> Response:
            try:
                if locked:
                    self._check_key(request)
                return await handler(request)
            except ClientDisconnect:
                return Response(status_code=GONE)
            except Exception as error:
                failure = _as_api_error(error)
                return JSONResponse(failure.body, failure.status, failure.headers)

        return handle


async def _body(request: Request) -> bytes:
    """The body. ApiError 413 or 408 when it is too large or too slow."""
    found = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for part in request.stream():
                found += part
                if len(found) > BODY_BYTES:
                    raise ApiError(
                        413, f"A request has at most {BODY_BYTES} bytes here. Shorten it.", code="request_too_large"
                    )
    except TimeoutError:
        raise ApiError(408, f"The request did not arrive within {BODY_SECONDS:g} seconds. Send it again.") from None
    return bytes(found)


async def _while_connected(request: Request, work: Awaitable[Result]) -> Result:
    """What `work` returns; it is cancelled when the client leaves. ClientDisconnect then."""
    working, leaving = asyncio.ensure_future(work), asyncio.ensure_future(_left(request))
    try:
        await asyncio.wait((working, leaving), return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientDisconnect
        return working.result()
    finally:
        working.cancel()
        leaving.cancel()


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _whole(pieces: Pieces, answers: int) -> list[Written]:
    written = [Written() for _ in range(answers)]
    async for index, piece in pieces:
        written[index].add(piece)
    return written


async def _events(first: tuple[int, Piece], pieces: Pieces, layout: Layout, asked: ChatRequest) -> AsyncIterator[str]:
    """Server-sent events: each piece that says something, the usage if asked for, and the end."""
    written = [0] * asked.n
    try:
        for index in range(asked.n):
            yield _event(layout.opening(index))
        async for index, piece in _chained(first, pieces):
            written[index] = piece.written
            if piece.text or piece.tokens or piece.end:
                yield _event(layout.piece(index, piece))
        if asked.stream_options.include_usage:
            yield _event(layout.closing(written))
        yield "data: [DONE]\n\n"
    except Exception as error:
        yield _event(_as_api_error(error).body)
    finally:
        await pieces.aclose()


async def _chained(first: tuple[int, Piece], rest: Pieces) -> AsyncIterator[tuple[int, Piece]]:
    yield first
    async for each in rest:
        yield each


def _event(content: Json) -> str:
    return f"data: {json.dumps(content, ensure_ascii=False, allow_nan=False)}\n\n"


def _as_api_error(error: Exception) -> ApiError:
    if isinstance(error, ApiError):
        return error
    if isinstance(error, BusyError):
        after = {"Retry-After": str(error.seconds)}
        return ApiError(429, str(error), kind="rate_limit_error", code="queue_full", headers=after)
    if isinstance(error, SuperalignError) and not isinstance(error, ModelError):
        return ApiError(400, str(error))
    logging.getLogger(__name__).debug("A request failed", exc_info=error)
    said = str(error) if isinstance(error, ModelError) else f"The server failed ({type(error).__name__})."
    return ApiError(500, said, kind="server_error")


async def _no_route(request: Request, error: Exception) -> Response:
    there = ", ".join(("POST /v1/chat/completions", "GET /v1/models", "GET /health"))
    said = f"There is no {request.method} {request.url.path[:80]} here. There are: {there}."
    status, headers = (error.status_code, error.headers) if isinstance(error, HTTPException) else (500, None)
    return JSONResponse(ApiError(status, said, code="unknown_url").body, status, headers)
