"""Answers as they are written: text, log-probabilities and ends, token by token, of conversations answered together.

`generate` returns whole answers of conversations that all want the same. Here each wants its own length, sampling and
stop sequences, and whoever waits for one may leave before it ends. The passes through the model are the same.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from jinja2 import TemplateError
from torch import Tensor

from superalign.contracts.errors import InputError, ModelError
from superalign.contracts.records import Conversation
from superalign.models.batches import TokenIds
from superalign.models.generate import Sampling, Together, draw, packed, stop_tokens, streams
from superalign.models.products import can_pack
from superalign.models.subject import Chat, ModelSubject

HALF_A_CHARACTER = "\ufffd"  # what bytes are decoded to that are no character yet


@dataclass(frozen=True)
class Ask:
    """What is to be answered, and how. Greedy without `sampling`; `answers` are drawn independently.

    An answer ends before the first of `stops`. `likeliest` is how many tokens are told beside each of the answer's with
    their log-probabilities; without it there are none at all.
    """

    prompt: TokenIds
    max_tokens: int
    sampling: Sampling | None = None
    answers: int = 1
    stops: tuple[str, ...] = ()
    likeliest: int | None = None


@dataclass(frozen=True)
class Scored:
    """A token by itself, with log P of it after all before it, by the softmax of the model's logits as they are."""

    text: str
    logprob: float
    likeliest: tuple[Scored, ...] = ()

    @property
    def bytes(self) -> list[int] | None:
        """Its text in UTF-8; None for one that is half a character."""
        return None if HALF_A_CHARACTER in self.text else list(self.text.encode())


@dataclass(frozen=True)
class Piece:
    """What one more token adds to an answer: nothing, where it is half a character or may begin a stop sequence.

    `written` counts the answer's tokens so far, with the one that ended it.
    """

    text: str
    tokens: tuple[Scored, ...]
    written: int
    end: Literal["stop", "length"] | None


def sampling(temperature: float, top_p: float, seed: int | None) -> Sampling | None:
    """As an API's fields say it: greedy at temperature 0, and drawn anew each time without a seed."""
    if temperature == 0:
        return None
    return Sampling(temperature, top_p, secrets.randbits(63) if seed is None else seed % 2**64)


class Speller:
    """Text of tokens that come one at a time. What it has returned is never taken back."""

    def __init__(self, chat: Chat) -> None:
        self._tokenizer = chat.tokenizer
        self._tokens: list[int] = []  # those since the last two times that text was complete: spaces hang on context
        self._known = 0

    def add(self, token: int) -> str:
        self._tokens.append(token)
        text = self._new()
        if not text or text.endswith(HALF_A_CHARACTER):
            return ""
        self._tokens, self._known = self._tokens[self._known :], len(self._tokens) - self._known
        return text

    def rest(self) -> str:
        """What an answer ends with that never became a character."""
        return self._new()

    def _new(self) -> str:
        return self._decode(self._tokens)[len(self._decode(self._tokens[: self._known])) :]

    def _decode(self, tokens: Sequence[int]) -> str:
        text: str = self._tokenizer.decode(tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return text


class Writing:
    """An answer that is being written. Text that may yet turn out to be a stop sequence is held back."""

    def __init__(self, ask: Ask, chat: Chat, ends: frozenset[int]) -> None:
        self._ask, self._ends = ask, ends
        self._speller = Speller(chat)
        self._held: list[tuple[str, Scored | None]] = []
        self.written = 0

    def add(self, token: int, scored: Scored | None) -> Piece:
        self.written += 1
        if token in self._ends:
            self._held.append((self._speller.rest(), None))
            return self._release(len(self._text), "stop")
        self._held.append((self._speller.add(token), scored))
        text = self._text
        if found := [text.find(stop) for stop in self._ask.stops if stop in text]:
            return self._release(min(found), "stop", cut=True)
        if self.written < self._ask.max_tokens:
            return self._release(len(text) - self._doubtful(text), None)
        self._held.append((self._speller.rest(), None))
        return self._release(len(self._text), "length")

    @property
    def _text(self) -> str:
        return "".join(text for text, _ in self._held)

    def _doubtful(self, text: str) -> int:
        """How many last characters may begin a stop sequence."""
        sizes = (size for stop in self._ask.stops for size in range(1, len(stop)) if text.endswith(stop[:size]))
        return max(sizes, default=0)

    def _release(self, size: int, end: Literal["stop", "length"] | None, *, cut: bool = False) -> Piece:
        """The first `size` characters that are held, as far as they are whole tokens, or `cut` within one."""
        taken, texts, tokens = 0, list[str](), list[Scored]()
        while self._held and (taken < size if cut else taken + len(self._held[0][0]) <= size):
            text, scored = self._held.pop(0)
            texts.append(text[: size - taken])
            tokens += [scored] if scored else []
            taken += len(text)
        return Piece("".join(texts), tuple(tokens), self.written, end)


@dataclass
class Row:
    """One answer among those that are written together."""

    ask: Ask
    uniforms: Float[np.ndarray, "max_tokens"] | None
    wanted: bool = True  # whoever waits for it says here when nobody does any more


class Answerer:
    """A model with what it takes to answer with it."""

    def __init__(self, subject: ModelSubject) -> None:
        decoder, self.chat = subject.decoder, subject.chat
        # A copy for good: packing pays after some ten tokens, and a model is opened here to answer many.
        self.decoder = packed(decoder) if can_pack(decoder.model.parameters()) else decoder
        self._head = self.decoder.model.get_output_embeddings()
        self._ends = frozenset({self.chat.tokenizer.eos_token_id, *stop_tokens(decoder)})
        self.context: int | None = getattr(decoder.model.config, "max_position_embeddings", None)

    def encode(self, conversation: Conversation) -> TokenIds:
        """A conversation's tokens. InputError when the model's template refuses it."""
        try:
            return self.chat.encode(conversation)
        except TemplateError as error:
            raise InputError(
                f"The model's chat template refuses the conversation: {error}",
                fix="Let user and assistant take turns, the user first; some models know no system message.",
            ) from None

    def rows(self, ask: Ask) -> list[Row]:
        """The answers to be written."""
        prompts = [ask.prompt] * ask.answers
        uniforms = list(streams(prompts, ask.max_tokens, ask.sampling.seed)) if ask.sampling else [None] * ask.answers
        return [Row(ask, drawn) for drawn in uniforms]

    @torch.no_grad()
    def answer(self, rows: Sequence[Row]) -> Iterator[tuple[int, Piece]]:
        """Which row, and the next piece of its answer, until all have ended or are not wanted any more."""
        together = Together(self.decoder, [row.ask.prompt for row in rows])
        writings = [Writing(row.ask, self.chat, self._ends) for row in rows]
        going, step = list(range(len(rows))), 0
        while going:
            logits: Tensor = self._head(together.states())
            tokens = choose(logits, [rows[i] for i in going], step)
            scored = self._scored(logits, [rows[i] for i in going], tokens)
            pieces = [writings[i].add(token, score) for i, token, score in zip(going, tokens, scored, strict=True)]
            yield from zip(going, pieces, strict=True)
            kept = [at for at, i in enumerate(going) if rows[i].wanted and pieces[at].end is None]
            going, step = [going[at] for at in kept], step + 1
            if going:
                together.go_on(kept, [tokens[at] for at in kept])

    def _scored(
        self, logits: Float[Tensor, "rows vocabulary"], rows: Sequence[Row], tokens: Sequence[int]
    ) -> list[Scored | None]:
        """The tokens with their log-probabilities, where these are asked for."""
        found: list[Scored | None] = [None] * len(rows)
        for i, (row, token) in enumerate(zip(rows, tokens, strict=True)):
            if row.ask.likeliest is not None:
                logprobs = logits[i].float().log_softmax(-1)
                best, ids = logprobs.topk(min(row.ask.likeliest, len(logprobs)))
                likeliest = zip(ids.tolist(), best.tolist(), strict=True)
                found[i] = Scored(
                    self._spelt(token),
                    logprobs[token].item(),
                    tuple(Scored(self._spelt(other), logprob) for other, logprob in likeliest),
                )
        return found

    def _spelt(self, token: int) -> str:
        text: str = self.chat.tokenizer.decode([token], clean_up_tokenization_spaces=False)
        return text


def choose(logits: Float[Tensor, "rows vocabulary"], rows: Sequence[Row], step: int) -> list[int]:
    """The next token of each row, by its own sampling. ModelError when the model computes no numbers."""
    best = logits.max(-1)
    if bool(best.values.isnan().any()):
        raise ModelError("The model's logits are not numbers.", fix="Check its weights: train or copy it again.")
    tokens: list[int] = best.indices.tolist()
    alike: dict[Sampling, list[int]] = {}
    for i, row in enumerate(rows):
        if row.ask.sampling:
            alike.setdefault(Sampling(row.ask.sampling.temperature, row.ask.sampling.top_p), []).append(i)
    for how, index in alike.items():
        uniforms = np.array([drawn[step] for i in index if (drawn := rows[i].uniforms) is not None])
        for i, token in zip(index, draw(logits[index], how, uniforms).tolist(), strict=True):
            tokens[i] = token
    return tokens
