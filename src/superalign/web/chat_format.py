"""Requests and answers as OpenAI's chat API lays them out (platform.openai.com/docs/api-reference/chat).

What a request asks for is done or refused, never passed over. A field that is null is as if it were not there, and one
that asks for nothing (no penalty, no tools) is taken.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Annotated, Any, Literal
from uuid import uuid4

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from superalign.contracts.records import Conversation, Message
from superalign.models.answering import Piece, Scored

Json = dict[str, Any]

# Says who asks or how the answer is to be kept, which changes nothing in it.
WITHOUT_EFFECT = ("metadata", "prompt_cache_key", "safety_identifier", "service_tier", "store", "user")
# What is not done here, with the values that ask for nothing.
NOT_DONE: dict[str, tuple[Any, ...]] = {
    "frequency_penalty": (0,),
    "presence_penalty": (0,),
    "logit_bias": ({},),
    "tools": ([],),
    "tool_choice": ("none", "auto"),
    "functions": ([],),
    "function_call": ("none", "auto"),
    "parallel_tool_calls": (True, False),
    "response_format": ({"type": "text"},),
    "modalities": (["text"],),
}


class ApiError(Exception):
    """An answer that is an error, in the API's own words for its kind."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        kind: str = "invalid_request_error",
        param: str | None = None,
        code: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.headers = status, headers
        self.body: Json = {"error": {"message": message, "type": kind, "param": param, "code": code}}


class _Fields(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TextPart(_Fields):
    type: Literal["text"]
    text: str


class ChatMessage(_Fields):
    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[TextPart]
    name: str | None = None

    @property
    def message(self) -> Message:
        content = self.content if isinstance(self.content, str) else "".join(part.text for part in self.content)
        return Message(role="system" if self.role == "developer" else self.role, content=content)


class StreamOptions(_Fields):
    include_usage: bool = False
    include_obfuscation: bool = False


class ChatRequest(_Fields):
    """What is asked of `POST /v1/chat/completions`."""

    model: str
    messages: list[ChatMessage] = Field(min_length=1)
    max_tokens: int | None = Field(None, ge=1)
    max_completion_tokens: int | None = Field(None, ge=1)
    temperature: float = Field(1.0, ge=0, le=2)
    top_p: float = Field(1.0, gt=0, le=1)
    seed: int | None = None
    stop: str | Annotated[list[str], Field(max_length=16)] = Field(default_factory=list)
    n: int = Field(1, ge=1, le=32)
    stream: bool = False
    stream_options: StreamOptions = StreamOptions()
    logprobs: bool = False
    top_logprobs: int | None = Field(None, ge=0, le=20)

    @property
    def conversation(self) -> Conversation:
        return tuple(message.message for message in self.messages)

    @property
    def stops(self) -> tuple[str, ...]:
        given = [self.stop] if isinstance(self.stop, str) else self.stop
        return tuple(stop for stop in given if stop)

    @property
    def likeliest(self) -> int | None:
        return (self.top_logprobs or 0) if self.logprobs else None

    @property
    def longest(self) -> int | None:
        return self.max_completion_tokens or self.max_tokens


def read_request(body: bytes) -> ChatRequest:
    """The request in a body. ApiError 400 for what can't be read or is not done here."""
    try:
        given = _without_nulls(json.loads(body))
        json.dumps(given, ensure_ascii=False).encode()  # half a surrogate pair is JSON, but no text
    except (ValueError, RecursionError):
        raise ApiError(400, "The body is not JSON in UTF-8. Send one JSON object.") from None
    if not isinstance(given, dict):
        raise ApiError(400, "The body is not a JSON object.")
    given = {name: value for name, value in given.items() if name not in WITHOUT_EFFECT}
    for name in NOT_DONE.keys() & given.keys():
        if given.pop(name) not in NOT_DONE[name]:
            raise ApiError(
                400, f"{name} is not supported here. Leave it out.", param=name, code="unsupported_parameter"
            )
    for name in given.keys() - ChatRequest.model_fields.keys():
        near = get_close_matches(name, ChatRequest.model_fields, n=1)
        hint = f"Did you mean {near[0]}?" if near else "Leave it out."
        raise ApiError(400, f"There is no parameter {name[:80]!r} here. {hint}", code="unknown_parameter")
    try:
        request = ChatRequest.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(step) for step in first["loc"])
        raise ApiError(400, f"{where}: {first['msg']}.", param=where, code="invalid_value") from None
    if request.top_logprobs is not None and not request.logprobs:
        raise ApiError(400, "top_logprobs needs logprobs. Set logprobs to true.", param="top_logprobs")
    return request


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nulls(inner) for name, inner in value.items() if inner is not None}
    return [_without_nulls(inner) for inner in value] if isinstance(value, list) else value


@dataclass
class Written:
    """An answer, put together from its pieces."""

    text: str = ""
    tokens: list[Scored] = field(default_factory=list)
    written: int = 0
    end: Literal["stop", "length"] | None = None

    def add(self, piece: Piece) -> None:
        self.text += piece.text
        self.tokens += piece.tokens
        self.written, self.end = piece.written, piece.end


class Layout:
    """How what belongs to one request is laid out."""

    def __init__(self, request: ChatRequest, *, fingerprint: str, prompt_tokens: int) -> None:
        self._request, self._prompt_tokens = request, prompt_tokens
        self._id = f"chatcmpl-{uuid4().hex}"
        self._created = int(time.time())
        self._fingerprint = fingerprint

    def whole(self, answers: Sequence[Written]) -> Json:
        """A `chat.completion`."""
        choices = [
            {
                "index": i,
                "message": {"role": "assistant", "content": answer.text, "refusal": None},
                "logprobs": self._logprobs(answer.tokens),
                "finish_reason": answer.end,
            }
            for i, answer in enumerate(answers)
        ]
        return self._object("chat.completion", choices, usage=self.usage([answer.written for answer in answers]))

    def opening(self, index: int) -> Json:
        """The first `chat.completion.chunk` of an answer."""
        return self._chunk(index, {"role": "assistant", "content": "", "refusal": None}, None, None)

    def piece(self, index: int, piece: Piece) -> Json:
        delta = {"content": piece.text} if piece.text or piece.tokens else {}
        return self._chunk(index, delta, self._logprobs(piece.tokens), piece.end)

    def closing(self, written: Sequence[int]) -> Json:
        """The last chunk, which has nothing but the usage."""
        return self._object("chat.completion.chunk", [], usage=self.usage(written))

    def usage(self, written: Sequence[int]) -> Json:
        total = sum(written)
        return {
            "prompt_tokens": self._prompt_tokens,
            "completion_tokens": total,
            "total_tokens": self._prompt_tokens + total,
        }

    def _chunk(self, index: int, delta: Json, logprobs: Json | None, end: str | None) -> Json:
        choice = {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": end}
        beside = {"usage": None} if self._request.stream_options.include_usage else {}
        return self._object("chat.completion.chunk", [choice], **beside)

    def _object(self, kind: str, choices: list[Json], **beside: Any) -> Json:
        return {
            "id": self._id,
            "object": kind,
            "created": self._created,
            "model": self._request.model,
            "system_fingerprint": self._fingerprint,
            "choices": choices,
            **beside,
        }

    def _logprobs(self, tokens: Sequence[Scored]) -> Json | None:
        if not self._request.logprobs:
            return None
        return {
            "content": [
                {**_token(token), "top_logprobs": [_token(other) for other in token.likeliest]} for token in tokens
            ],
            "refusal": None,
        }


def _token(scored: Scored) -> Json:
    return {"token": scored.text, "logprob": scored.logprob, "bytes": scored.bytes}
