"""A learned reward of what a model wrote: linear in what a reader makes of it, whole or piece by piece."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

import numpy as np
from jaxtyping import Float

from superalign.contracts.errors import ModelError
from superalign.contracts.protocols import Subject
from superalign.contracts.records import Conversation, Message, Record

Members = Literal["mean", "worst"]


class WrittenReward(Record):
    """Directions in what the reader makes of a text after `layer` layers, one for each member of an ensemble, whose
    rewards are in units of the `spread` about the `centre` that they had where they were learnt. With `pieces`, the
    regular expression between them, an answer is worth the mean of its pieces, each read by itself.
    """

    layer: int
    directions: tuple[tuple[float, ...], ...]
    centre: tuple[float, ...]
    spread: tuple[float, ...]
    members: Members = "mean"
    pieces: str | None = None


def rewards(
    reward: WrittenReward, reader: Subject, prompts: Sequence[Conversation], texts: Sequence[str]
) -> Float[np.ndarray, "texts"]:
    """What each text is worth as an answer to its prompt. ModelError where the reader makes nothing of one."""
    parts = [pieces(text, reward.pieces) for text in texts]
    asked = dict.fromkeys((prompt, part) for prompt, own in zip(prompts, parts, strict=True) for part in own)
    states = read(reader, reward.layer, *zip(*asked, strict=True))
    each = (states @ np.array(reward.directions).T - np.array(reward.centre)) / np.array(reward.spread)
    known = dict(zip(asked, each, strict=True))
    found = np.array(
        [np.mean([known[prompt, part] for part in own], axis=0) for prompt, own in zip(prompts, parts, strict=True)]
    )
    combined = found.min(axis=1) if reward.members == "worst" else found.mean(axis=1)
    if not np.isfinite(combined).all():
        raise ModelError(
            f"The learned reward of {int((~np.isfinite(combined)).sum())} of {len(texts)} texts is no number.",
            fix="Look at what the model wrote; a smaller learning rate may keep it from falling apart.",
        )
    return np.asarray(combined)


def pieces(text: str, between: str | None) -> list[str]:
    """Those that are not empty; the empty text if there are none."""
    if between is None:
        return [text]
    return [part for part in map(str.strip, re.split(between, text)) if part] or [""]


def read(
    reader: Subject, layer: int, prompts: Sequence[Conversation], texts: Sequence[str]
) -> Float[np.ndarray, "texts width"]:
    """The reader's states where the next turn would begin, after each text as the answer to its prompt."""
    asked = [(*prompt, Message(role="assistant", content=text)) for prompt, text in zip(prompts, texts, strict=True)]
    return np.asarray(reader.activations(asked, [layer])[:, 0].astype(np.float64))
