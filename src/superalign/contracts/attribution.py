"""Does a text come from the model that it is said to come from? How well statistics of its tokens tell."""

from __future__ import annotations

from pydantic import Field

from superalign.contracts.records import Interval, Record, Unscored


class Told(Record):
    """One statistic against one impostor, on the first `tokens` tokens of each answer."""

    impostor: str
    statistic: str
    tokens: int
    auroc: Interval | Unscored = Field(description="Its answers above the honest ones; the unit is the prompt.")


class Source(Record):
    """One source of answers: how often a token is the one drawn again, and what the statistics are on average."""

    name: str
    answers: int
    tokens: int
    same: Interval | Unscored = Field(description="Share of tokens that are the ones drawn again.")
    bits: float = Field(description="Unexplained, per token.")


class AttributionStudy(Record):
    model: str
    dtype: str
    seed: int
    temperature: float
    top_p: float
    prompts: int
    sources: tuple[Source, ...]
    told: tuple[Told, ...]
