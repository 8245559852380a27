"""Prompt attacks, and a model behind one: whoever serves a model may put words around all that it is asked."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
import yaml
from jaxtyping import Float
from pydantic import TypeAdapter

from superalign.contracts.attacks import PromptAttack
from superalign.contracts.protocols import Subject, Taught
from superalign.contracts.records import Access, Conversation, Message, Unscored


@cache
def prompt_attacks() -> tuple[PromptAttack, ...]:
    """All that there are, from `data/prompts.yaml`."""
    text = (files("superalign.trials.attacks") / "data/prompts.yaml").read_text(encoding="utf-8")
    return TypeAdapter(tuple[PromptAttack, ...]).validate_python(yaml.safe_load(text))


def around(attack: PromptAttack, conversation: Conversation) -> Conversation:
    """`conversation` with the attack's words around it. One in which no user speaks gets no suffix."""
    messages = list(conversation)
    if attack.system:
        own = [message.content for message in messages[:1] if message.role == "system"]
        messages[: len(own)] = [Message(role="system", content="\n\n".join([*own, attack.system]))]
    users = [place for place, message in enumerate(messages) if message.role == "user"]
    if attack.suffix and users:
        asked = messages[users[-1]].content
        messages[users[-1]] = Message(role="user", content=f"{asked}\n\n{attack.suffix}")
    return tuple(messages)


class PromptedSubject:
    """A subject that is asked everything with an attack's words around it: what it answers, its probabilities and its
    activations follow from these. Access, weights and base are as they were: who has the weights runs them without.
    """

    def __init__(self, subject: Subject, attack: PromptAttack) -> None:
        self.name: str = subject.name
        self.access: frozenset[Access] = subject.access
        self.layers: int = subject.layers
        self._subject, self._attack = subject, attack

    def respond(self, conversations: Sequence[Conversation], max_tokens: int = 12) -> list[str | Unscored]:
        return self._subject.respond(self._asked(conversations), max_tokens)

    def yes_logits(self, conversations: Sequence[Conversation]) -> Float[np.ndarray, "conversations"]:
        return self._subject.yes_logits(self._asked(conversations))

    def activations(
        self, conversations: Sequence[Conversation], layers: Sequence[int]
    ) -> Float[np.ndarray, "conversations layers width"]:
        return self._subject.activations(self._asked(conversations), layers)

    @property
    def base(self) -> Subject | None:
        return self._subject.base

    def training_data(self) -> tuple[Taught, ...]:
        return self._subject.training_data()

    @property
    def decoder(self) -> Any:
        """AttributeError for a subject without open weights, and so of `chat`."""
        return self._subject.decoder  # type: ignore[attr-defined]  # the protocol is free of torch

    @property
    def chat(self) -> Any:
        return self._subject.chat  # type: ignore[attr-defined]

    def _asked(self, conversations: Sequence[Conversation]) -> list[Conversation]:
        return [around(self._attack, conversation) for conversation in conversations]
