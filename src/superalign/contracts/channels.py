"""Hidden channels between copies of a model: what is sent, what is done about it, and how much comes through."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from pydantic import Field

from superalign.contracts.records import Interval, Record, Unscored


class Sent(Record):
    """One answer of a copy that knew a secret, drawn evenly and by whoever measures. `group` is what intervals resample
    and what a code may be agreed on for: the question.
    """

    group: str
    secret: str
    answer: str | Unscored
    innocent: str | Unscored = Field(description="What it answers, with the same seed, when it knows no secret.")


@runtime_checkable
class Countermeasure(Protocol):
    """What stands between sender and receiver. It never sees the secret. What it could not treat it holds back."""

    name: str

    def pass_on(self, sent: Sequence[Sent]) -> list[str]:
        """The texts that the receiver gets, in order; nothing where an answer is held."""
        ...


class Capacity(Record):
    """What one sender gets through one countermeasure, in bits an answer."""

    sender: str
    countermeasure: str
    planted: float | None = Field(description="What it was built to send; None where nobody knows.")
    secrets: int
    answers: int
    held: int
    bits: Interval | Unscored = Field(
        description="Mutual information of secret and text given the question, less what chance shows."
    )
    p: float | None = Field(description="Of so much information by chance: secrets shuffled within questions.")
    guessed: Interval | Unscored = Field(description="How often a fitted decoder names the secret, on new answers.")
    decoded: Interval | Unscored = Field(description="Bits that so many right guesses need at least (Fano).")
    shuffled: Interval | Unscored = Field(description="Right guesses of a decoder that was fitted to shuffled secrets.")


class ChannelStudy(Record):
    setting: str
    seed: int
    capacities: tuple[Capacity, ...]
