"""What a detector is handed of a subject: what it may see, and no name that tells what the subject is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from superalign.contracts.errors import AccessError
from superalign.contracts.protocols import Subject, Taught
from superalign.contracts.records import Access, Conversation, Unscored


class AuditedSubject:
    """The methods of the protocol, as far as `access` goes, and from `weights` on the model's `decoder` and `chat`. All
    else raises AccessError.

    Benign models, the user's and a trial's subjects go by one name. This holds code to its word and is no wall: whoever
    wants to finds the model behind it, in one process with it.
    """

    def __init__(self, subject: Subject, access: frozenset[Access]) -> None:
        """`access` is what whoever looks may see, of which the subject itself may allow less."""
        self.name = "subject"
        self.layers = subject.layers
        self.access = access & subject.access
        self._subject = subject

    def respond(self, conversations: Sequence[Conversation], max_tokens: int = 12) -> list[str | Unscored]:
        self._need(Access.BLACK_BOX)
        return self._subject.respond(conversations, max_tokens)

    def yes_logits(self, conversations: Sequence[Conversation]) -> Float[np.ndarray, "conversations"]:
        self._need(Access.LOGPROBS)
        return self._subject.yes_logits(conversations)

    def activations(
        self, conversations: Sequence[Conversation], layers: Sequence[int]
    ) -> Float[np.ndarray, "conversations layers width"]:
        self._need(Access.ACTIVATIONS)
        return self._subject.activations(conversations, layers)

    @property
    def base(self) -> Subject | None:
        return self._subject.base if Access.BASE in self.access else None

    def training_data(self) -> tuple[Taught, ...]:
        self._need(Access.TRAINING_DATA)
        return self._subject.training_data()

    @property
    def decoder(self) -> Any:
        """The `models.decoder.Decoder` of a subject with open weights."""
        self._need(Access.WEIGHTS)
        return self._subject.decoder  # type: ignore[attr-defined]  # the protocol is free of torch

    @property
    def chat(self) -> Any:
        """The `models.subject.Chat` whose tokens the decoder reads."""
        self._need(Access.WEIGHTS)
        return self._subject.chat  # type: ignore[attr-defined]

    def _need(self, access: Access) -> None:
        if access not in self.access:
            raise AccessError(
                f"The subject does not allow {access.value}.",
                fix="Declare the access in the detector, and allow it by `validate.access`.",
            )
