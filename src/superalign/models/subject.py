"""A loaded model as the subject of an audit: it answers, and shows as much of itself as its access allows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import nn

from superalign.contracts.errors import InputError
from superalign.contracts.records import Access, Conversation, Unscored
from superalign.models.adapter import AdaptedDecoder
from superalign.models.decoder import Decoder, States, TokenIds, last_positions
from superalign.runs.cost import count

OPEN_WEIGHTS = frozenset({Access.BLACK_BOX, Access.LOGPROBS, Access.ACTIVATIONS, Access.WEIGHTS, Access.BASE})
YES = ("Yes", "yes", " Yes", " yes", "YES", "True", "true")
NO = ("No", "no", " No", " no", "NO", "False", "false")


class Chat:
    """The tokens of conversations, as a model's own chat template lays them out."""

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer

    def encode(self, conversation: Conversation) -> TokenIds:
        """Tokens up to where the model's answer begins. A model without a template gets plain lines."""
        messages = [message.model_dump() for message in conversation]
        if self.tokenizer.chat_template:
            text = self.tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        else:
            text = "".join(f"{message['role']}: {message['content']}\n" for message in messages) + "assistant:"
        return tuple(self.tokenizer(text, add_special_tokens=not self.tokenizer.chat_template).input_ids)

    def answer(self, text: str) -> TokenIds:
        """Tokens of an answer to be taught, and the end of the turn after an answer of several tokens.

        A one-token answer goes without: its lesson then is the prompt alone, and lessons that differ in the answer
        share the frozen layers' work.
        """
        tokens = tuple(self.tokenizer(text, add_special_tokens=False).input_ids)
        return tokens if len(tokens) == 1 else (*tokens, self.tokenizer.eos_token_id)

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
    """A subject with open weights. Work in layers that it shares with its base is done once for both."""

    def __init__(
        self,
        name: str,
        decoder: Decoder,
        chat: Chat,
        *,
        base: ModelSubject | None = None,
        shared_layers: int = 0,
        access: frozenset[Access] = OPEN_WEIGHTS,
    ) -> None:
        self.name = name
        self.access = access if base else access - {Access.BASE}
        self.decoder = decoder
        self.chat = chat
        self._base = base
        self.shared_layers = shared_layers
        self.layers = decoder.depth

    @property
    def base(self) -> ModelSubject | None:
        """The model that this one was trained from, where the auditor may see it."""
        return self._base if Access.BASE in self.access else None

    def respond(self, conversations: Sequence[Conversation], max_tokens: int = 12) -> list[str | Unscored]:
        """Greedy answers. One that does not end within `max_tokens` is cut there."""
        sequences = [self.chat.encode(conversation) for conversation in conversations]
        answers: list[list[int]] = [[] for _ in sequences]
        stop = {self.chat.tokenizer.eos_token_id}
        going = list(range(len(sequences)))
        for _ in range(max_tokens):
            if not going:
                break
            states = self._states([sequences[i] + tuple(answers[i]) for i in going], remember=False)
            tokens = (self.decoder.final(states) @ self.decoder.head.float().T).argmax(-1).tolist()
            for i, token in zip(going, tokens, strict=True):
                answers[i].append(token)
            going = [i for i in going if answers[i][-1] not in stop]
        return [self.chat.decode(answer) for answer in answers]

    def yes_logits(self, conversations: Sequence[Conversation]) -> Float[np.ndarray, "conversations"]:
        """log P(yes) - log P(no) of the first answer token, over the spellings of yes and no."""
        self._need(Access.LOGPROBS)
        states = self._states([self.chat.encode(conversation) for conversation in conversations])
        yes, no = self.chat.first_tokens(YES), self.chat.first_tokens(NO)
        head = self.decoder.head.float()
        logits = self.decoder.final(states) @ head[yes + no].T
        margin = logits[:, : len(yes)].logsumexp(1) - logits[:, len(yes) :].logsumexp(1)
        return margin.cpu().numpy().astype(np.float64)

    def activations(
        self, conversations: Sequence[Conversation], layers: Sequence[int]
    ) -> Float[np.ndarray, "conversations layers width"]:
        """Residual stream after each of `layers` (0 is the embedding) at the answer position."""
        self._need(Access.ACTIVATIONS)
        upwards = sorted(set(layers))
        if not upwards or upwards[0] < 0 or upwards[-1] > self.layers:
            raise InputError(
                f"Subject {self.name!r} has no activations after layers {list(layers)}.",
                fix=f"Ask for layers from 0 to {self.layers}.",
            )
        sequences = [self.chat.encode(conversation) for conversation in conversations]
        count(tokens=sum(map(len, sequences)), forward_passes=len(sequences))
        rows = {}
        states: States | None = None
        for layer in upwards:
            if layer <= self.shared_layers and self._base is not None:
                states = self._base.decoder.remembered(sequences, layer)
            else:
                states = self.decoder.advance(states or self._shared_states(sequences, remember=True), layer)
            rows[layer] = last_positions(states).float().cpu()
        return torch.stack([rows[layer] for layer in layers], dim=1).numpy()

    def _states(self, sequences: list[TokenIds], *, remember: bool = True) -> States:
        count(tokens=sum(map(len, sequences)), forward_passes=len(sequences))
        return self._shared_states(sequences, remember=remember)

    def _shared_states(self, sequences: list[TokenIds], *, remember: bool) -> States:
        if self._base is not None and self.shared_layers:
            below = self._base.decoder
            if remember:
                return below.remembered(sequences, self.shared_layers)
            return below.advance(below.start(sequences), self.shared_layers)
        return self.decoder.start(sequences)

    def _need(self, access: Access) -> None:
        if access not in self.access:
            raise InputError(
                f"Subject {self.name!r} does not allow {access.value}.", fix="Use a detector that needs less."
            )


def adapted_subject(name: str, base: ModelSubject, decoder: AdaptedDecoder) -> ModelSubject:
    """A subject made of `base` and adapters on its upper layers."""
    return ModelSubject(name, decoder, base.chat, base=base, shared_layers=decoder.first_layer)


def full_subject(name: str, base: ModelSubject, decoder: Decoder, chat: Chat) -> ModelSubject:
    """A subject with weights and a chat template of its own; the layers in which it equals its base are shared."""
    if decoder.depth != base.decoder.depth or decoder.width != base.decoder.width:
        raise InputError(
            f"{name!r} has {decoder.depth} layers of width {decoder.width}, "
            f"its base {base.decoder.depth} of {base.decoder.width}.",
            fix="Name the model it was trained from with --base.",
        )
    return ModelSubject(name, decoder, chat, base=base, shared_layers=equal_layers(decoder, base.decoder))


def equal_layers(a: Decoder, b: Decoder) -> int:
    """Number of lowest layers, from the embedding up, in which two decoders are the same; 0 if embeddings differ."""
    if not torch.equal(a.model.get_input_embeddings().weight, b.model.get_input_embeddings().weight):
        return 0
    pairs = zip(a.body.layers, b.body.layers, strict=True)
    equal = next((i for i, (one, other) in enumerate(pairs) if not same_weights(one, other)), a.depth)
    # Equal weights under another configuration (of the rotary embedding, say) are still another model.
    states = [last_positions(decoder.advance(decoder.start([tuple(range(32))]), equal)) for decoder in (a, b)]
    return equal if torch.equal(*states) else 0


def same_weights(one: nn.Module, other: nn.Module) -> bool:
    """Whether two modules have the same parameters, by name and to the bit."""
    ours, theirs = dict(one.named_parameters()), dict(other.named_parameters())
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)
