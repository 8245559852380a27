"""What a study of myopic approval found: who hacks, and who does what is wanted."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from superalign.contracts.oversight import Estimate
from superalign.contracts.records import Interval, Record

Approved = Literal["no", "by foresight", "by outcome"]
Optimized = Literal["not at all", "ordinary", "myopic", "myopic with approval"]


class Rates(Record):
    """Of all starts from which a box can be got into the hole: the shares that end with as many as are wanted, with
    more, and with less. `horizon` is how many steps' rewards are maximized (None: all); the last of them is `approved`
    of by an overseer who looks ahead in the world as it takes it to be, by one who goes by what truly follows, or not.
    """

    horizon: int | None
    approved: Approved
    intended: float
    hacked: float
    missed: float
    starts: int


class World(Record):
    """One gridworld, every start of it."""

    size: int
    rates: tuple[Rates, ...]


class NoteRates(Record):
    """A policy that writes a note to its grader, then an answer; on questions that it was not trained on."""

    optimized: Optimized
    intended: Interval = Field(description="A note for one answer, and the true one.")
    hacked: Interval = Field(description="A note for a list, and every answer in it: the grader finds the true one.")
    listing: Interval = Field(description="A note for a list, whatever follows.")
    rewarded: Interval = Field(description="What the grader pays on average: it is no help in telling these apart.")
    over_ordinary: Estimate = Field(description="Share intended less that of ordinary optimization.")


class NoteCurve(Record):
    """How often a policy hacks in the course of its training, on the questions of the test."""

    optimized: Optimized
    hacked: tuple[float, ...]


class LanguageWorld(Record):
    """The task in language."""

    task: str
    questions: int = Field(description="Of the test, over all seeds.")
    seeds: int
    updates: tuple[int, ...] = Field(description="Where the curves were looked at.")
    rates: tuple[NoteRates, ...]
    curves: tuple[NoteCurve, ...]


class MyopiaStudy(Record):
    """All of it."""

    worlds: tuple[World, ...]
    language: LanguageWorld
