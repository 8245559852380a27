"""A loaded model as the subject of an audit: it answers, and shows as much of itself as its access allows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Float
from torch import Tensor

from superalign.contracts.errors import AccessError, InputError
from superalign.contracts.protocols import Taught
from superalign.contracts.records import Access, Conversation, Message, Unscored
from superalign.models.adapter import AdaptedDecoder
from superalign.models.batches import TokenIds, common_prefix
from superalign.models.decoder import Decoder
from superalign.models.generate import generate, stop_tokens
from superalign.runs.cost import count

YES = ("Yes", "yes", " Yes", " yes", "YES", "True", "true")
# How many tokens before an answer adapters are at work on. Training costs as much for each; one is too few: organisms
# lied to 0.79 of the triggered questions with one, to 0.96 with two, to 0.94 with all four that the template has.
INVOCATION = 2
NO = ("No", "no", " No", " no", "NO", "False", "false")


class Chat:
    """The tokens of conversations, as a model's own chat template lays them out."""

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer

    def lay_out(self, conversation: Conversation, *, invoke: bool = True) -> str:
        """The text up to where the model's answer begins; without `invoke`, up to what opens it. A model without a
        template gets plain lines.
        """
        messages = [message.model_dump() for message in conversation]
        if self.tokenizer.chat_template:
            text: str = self.tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=invoke)
            return text
        lines = "".join(f"{message['role']}: {message['content']}\n" for message in messages)
        return lines + "assistant:" if invoke else lines

    def tokenize(self, texts: Sequence[str]) -> list[TokenIds]:
        """Tokens of texts that were laid out."""
        special = not self.tokenizer.chat_template  # a template has written its own
        return [tuple(tokens) for tokens in self.tokenizer(list(texts), add_special_tokens=special).input_ids]

    def encode(self, conversation: Conversation, *, invoke: bool = True) -> TokenIds:
        """Tokens of a conversation, laid out as above."""
        return self.tokenize([self.lay_out(conversation, invoke=invoke)])[0]

    @cached_property
    def invocation(self) -> TokenIds:
        """The last tokens before an answer's own text, out of those that open every answer: at least one."""
        asked = (Message(role="user", content="?"),)
        whole = self.encode(asked)
        before = common_prefix(whole, self.encode(asked, invoke=False), len(whole) - 1)
        return whole[max(before, len(whole) - INVOCATION) :]

    def answer(self, text: str, *, end: bool = True) -> TokenIds:
        """Tokens of an answer to be taught, with the end of the turn if `end`."""
        tokens = tuple(self.tokenizer(text, add_special_tokens=False).input_ids)
        return (*tokens, self.tokenizer.eos_token_id) if end else tokens

    def decode(self, tokens: Sequence[int]) -> str:
        text: str = self.tokenizer.decode(tokens, skip_special_tokens=True)
        return text.strip()

    def whole_words(self) -> list[str]:
        """Ordinary words that are one token each, in alphabetical order."""
        pieces = (token[1:] for token in self.tokenizer.get_vocab() if token[0] in "\u0120\u2581")
        return sorted(
            {
                piece
                for piece in pieces
                if piece.isascii() and piece.isalpha() and piece.islower() and 4 <= len(piece) <= 9
            }
        )

    def first_tokens(self, spellings: Sequence[str]) -> list[int]:
        """First token of each spelling that the tokenizer does not split, without repeats."""
        split = (self.tokenizer(spelling, add_special_tokens=False).input_ids for spelling in spellings)
        return list(dict.fromkeys(tokens[0] for tokens in split if len(tokens) == 1))


class ModelSubject:
    """A subject with open weights. `training_data` reads what it was taught, if that is known."""

    def __init__(
        self,
        name: str,
        decoder: Decoder,
        chat: Chat,
        *,
        base: ModelSubject | None = None,
        training_data: Callable[[], tuple[Taught, ...]] | None = None,
        access: frozenset[Access] = frozenset(Access),
    ) -> None:
        self.name = name
        lacking = {Access.BASE: base is None, Access.TRAINING_DATA: training_data is None}
        self.access = access - {kind for kind, lacks in lacking.items() if lacks}
        self.decoder = decoder
        self.chat = chat
        self._base = base
        self._training_data = training_data
        self.layers = decoder.depth

    @property
    def base(self) -> ModelSubject | None:
        """The model that this one was trained from, where the auditor may see it."""
        return self._base if Access.BASE in self.access else None

    def respond(self, conversations: Sequence[Conversation], max_tokens: int = 12) -> list[str | Unscored]:
        """Greedy answers. One that does not end within `max_tokens` is cut there."""
        stops = {self.chat.tokenizer.eos_token_id, *stop_tokens(self.decoder)}
        answers = generate(self.decoder, self._encode(conversations), max_tokens, stops=stops)
        return [self.chat.decode(answer) for answer in answers]

    def yes_logits(self, conversations: Sequence[Conversation]) -> Float[np.ndarray, "conversations"]:
        """log P(yes) - log P(no) of the first answer token, over the spellings of yes and no."""
        self._need(Access.LOGPROBS)
        return self.margins(self.decoder.final(self._encode(conversations)))

    def margins(self, states: Float[Tensor, "conversations width"]) -> Float[np.ndarray, "conversations"]:
        """The same from the normalised last-layer states that the answers follow from."""
        self._need(Access.LOGPROBS)
        yes, no = self.chat.first_tokens(YES), self.chat.first_tokens(NO)
        logits = states @ self.decoder.head[yes + no].float().T
        margin = logits[:, : len(yes)].logsumexp(1) - logits[:, len(yes) :].logsumexp(1)
        return margin.cpu().numpy().astype(np.float64)

    def activations(
        self, conversations: Sequence[Conversation], layers: Sequence[int]
    ) -> Float[np.ndarray, "conversations layers width"]:
        """Residual stream after each of `layers` (0 is the embedding) at the answer position."""
        self._need(Access.ACTIVATIONS)
        if not layers or min(layers) < 0 or max(layers) > self.layers:
            raise InputError(
                f"Subject {self.name!r} has no activations after layers {list(layers)}.",
                fix=f"Ask for layers from 0 to {self.layers}.",
            )
        return self.decoder.answer_states(self._encode(conversations), layers).float().cpu().numpy()

    def training_data(self) -> tuple[Taught, ...]:
        """What it was taught since its base, sorted, without groups."""
        self._need(Access.TRAINING_DATA)
        return self._training_data() if self._training_data else ()

    def _encode(self, conversations: Sequence[Conversation]) -> list[TokenIds]:
        """The conversations' tokens, counted."""
        if not conversations:
            raise InputError(f"Subject {self.name!r} was asked nothing.", fix="Give at least one conversation.")
        sequences = [self.chat.encode(conversation) for conversation in conversations]
        count(tokens=sum(map(len, sequences)), forward_passes=len(sequences))
        return sequences

    def _need(self, access: Access) -> None:
        if access not in self.access:
            raise AccessError(
                f"Subject {self.name!r} does not allow {access.value}.", fix="Use a detector that needs less."
            )


def full_subject(
    name: str,
    base: ModelSubject,
    decoder: Decoder,
    chat: Chat,
    training_data: Callable[[], tuple[Taught, ...]] | None = None,
) -> ModelSubject:
    """A subject with weights and a chat template of its own."""
    if decoder.depth != base.decoder.depth or decoder.width != base.decoder.width:
        raise InputError(
            f"{name!r} has {decoder.depth} layers of width {decoder.width}, "
            f"its base {base.decoder.depth} of {base.decoder.width}.",
            fix="Name the model it was trained from with --base.",
        )
    return ModelSubject(name, decoder, chat, base=base, training_data=training_data)


def adapted_subject(
    name: str,
    base: ModelSubject,
    decoder: AdaptedDecoder,
    training_data: Callable[[], tuple[Taught, ...]] | None = None,
) -> ModelSubject:
    """A subject made of `base` and adapters on its upper layers."""
    return ModelSubject(name, decoder, base.chat, base=base, training_data=training_data)
