"""What the monitor of a fleet is given and what it says: pieces of a stream, alarms with their evidence, what was read,
and what could not have been seen.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from superalign.contracts.records import Record

Level = Literal["agent", "group", "fleet"]
What = Literal["rare", "drift", "unscored", "identity", "silent", "unregistered"]


class Block(Record):
    """A piece of a stream that is counted as a whole: lines of a JSONL file, a row group, or an Inspect log."""

    path: str
    format: Literal["jsonl", "parquet", "eval"]
    start: int = Field(ge=0, description="Byte (jsonl), row group (parquet) or 0 (eval) at which it begins.")
    end: int = Field(description="Where the next one begins.")
    first_row: int = Field(0, description="Rows of the file before it, in Parquet.")


class Witness(Record):
    """An event that a person can look up: a byte of a JSONL file, a row of a Parquet file, a sample of a log."""

    agent: str
    kind: str
    path: str
    place: str
    time: float | None


class Health(Record):
    """What was read. Nothing of what went wrong counts as an event without findings."""

    events: int = Field(0, description="With an agent of the register.")
    unregistered: int = Field(0, description="Of agents that are not in the register.")
    garbled: int = Field(0, description="Lines or rows that name no agent, or are no event at all.")
    unusable: int = Field(0, description="Of a registered agent, but without a kind.")
    unscored: int = Field(0, description="Scores that are missing, not a number or infinite.")
    untimed: int = 0
    late: int = Field(0, description="Older than an event before them in the same block.")
    duplicates: int = Field(0, description="With the id of an event before them in the same block; not counted again.")
    unreadable: tuple[str, ...] = Field((), description="Files or parts of files that could not be read, and why.")

    def __add__(self, other: Health) -> Health:
        counts = {
            name: getattr(self, name) + getattr(other, name) for name in type(self).model_fields if name != "unreadable"
        }
        return Health(**counts, unreadable=(self.unreadable + other.unreadable)[:MOST_UNREADABLE])


MOST_UNREADABLE = 100


class Alarm(Record):
    """One finding. `strength` is the e-value: how many times one's stake a bet against "all is as in the reference" has
    won. An alarm holds for good; it says what was known when it was raised, and who an agent is like as of now.
    """

    what: What
    level: Level
    who: str
    says: str = Field(description="One sentence: what was seen, and what the reference allows.")
    strength: float | None = Field(description="Base-10 logarithm of the e-value; None where a fact needs no test.")
    since: float | None = Field(None, description="Time from which the evidence has grown, in seconds.")
    since_block: int
    block: int = Field(description="After how many blocks it was raised.")
    events: int = Field(description="Of the fleet, read until then.")
    witnesses: tuple[Witness, ...] = ()


class Sight(Record):
    """The smallest thing that so many events would have shown with a probability of 80 %."""

    level: Level
    who: str
    what: str
    events: int = Field(description="Of the agent, or of the whole fleet.")
    smallest: float | None = Field(
        description="A rate, a shift of a mean rank, or a silence in the fleet's events. None: nothing is large enough."
    )


class FleetReport(Record):
    """What `superalign monitor --json` prints."""

    promise: float = Field(description="A clean fleet raises any alarm at all with at most this probability.")
    agents: int
    groups: int
    blocks: int
    health: Health
    alarms: tuple[Alarm, ...]
    not_covered: tuple[str, ...] = Field(description="What no alarm could have told.")
    sight: tuple[Sight, ...]
    seconds: float = 0.0
