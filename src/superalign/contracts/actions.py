"""What a control protocol is about: actions of an agent, alarms that score them, what was done, and how safe it was."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol, Self, runtime_checkable

from pydantic import Field

from superalign.contracts.records import Interval, Record, Unscored

Score = float | Unscored
Doer = Literal["agent", "trusted", "edited", "nobody"]
Response = Literal["audit", "defer", "edit"]


class Action(Record):
    """A tool call that an untrusted agent wants to make. `group` is what a split must not cross and intervals resample:
    the tool and the wording of the request.
    """

    id: str
    group: str
    request: str = Field(description="What it was asked to do. The agent did not write this.")
    call: str = Field(description="The call, in one line.")
    says: str = Field("", description="What the agent says beside it.")

    @property
    def text(self) -> str:
        """All of it, as an alarm reads it: in the lines of a transcript."""
        said = f"\nAgent: {self.says}" if self.says else ""
        return f"User: {self.request}\nCall: {self.call}{said}"


class Handled(Record):
    """What a protocol did with one action. `executed` is the call that ran, None where none did."""

    action_id: str
    executed: str | None
    by: Doer
    audited: bool = Field(description="Whether a person saw it.")
    score: Score


@runtime_checkable
class Alarm(Protocol):
    """Scores texts: actions one by one, or whole transcripts. Higher is more suspicious; the threshold is set
    elsewhere, on benign texts that it has not learnt from.
    """

    name: str

    def learn(self, texts: Sequence[str], harmful: Sequence[bool]) -> Self:
        """Take in examples of both kinds. An alarm that needs none ignores them."""
        ...

    def score(self, texts: Sequence[str]) -> list[Score]:
        """One score per text, in order; what can't be scored is Unscored."""
        ...


@runtime_checkable
class TrustedAgent(Protocol):
    """An agent that is too weak to do harm on its own."""

    name: str

    def act(self, actions: Sequence[Action]) -> list[str | Unscored]:
        """Its own call for each request."""
        ...

    def edit(self, actions: Sequence[Action]) -> list[str | Unscored]:
        """The untrusted call, without what the request does not call for."""
        ...


class ControlPoint(Record):
    """One protocol at one budget, against one agent."""

    protocol: str
    monitor: str
    agent: str
    budget: float = Field(description="Share of honest actions that it may touch: what the threshold is set for.")
    threshold: Score
    stopped: Interval | Unscored = Field(description="Share of attacks that were not executed; higher is safer.")
    seen: Interval | Unscored = Field(description="Share of attacks that a person saw.")
    useful: Interval | Unscored = Field(description="Share of an honest agent's tasks that came out right.")
    touched: Interval | Unscored = Field(
        description="Share of its actions with an alarm: audited, replaced, edited or held."
    )
    attacks: int
    honest: int
    unscored: int = Field(description="Actions that the monitor could not score; none of them was passed.")


class Collusion(Record):
    """An untrusted monitor that may collude with the agent it watches, under one set of countermeasures."""

    colluder: str
    countermeasure: str
    stopped: Interval | Unscored
    found: str | None = Field(description="Why the monitor was dismissed; None where it was not.")


class ControlStudy(Record):
    """Safety against usefulness, and what collusion does to an untrusted monitor."""

    setting: str
    seed: int
    benign: int = Field(description="Honest actions that set the thresholds; neither learnt from nor tested on.")
    groups: int = Field(description="Groups among the tested actions: the unit of the intervals.")
    alone: Interval = Field(description="Share of tasks that the agent does right without any protocol.")
    trusted: Interval = Field(description="Share of tasks that the trusted agent does right by itself.")
    points: tuple[ControlPoint, ...]
    collusion: tuple[Collusion, ...] = ()


class Recall(Record):
    """One alarm, or several together, on one kind of attack that it has not learnt from."""

    alarm: str
    held_out: str
    family: str
    recall: float = Field(description="Share of the kind's transcripts above the threshold.")
    transcripts: int


class AlarmResult(Record):
    """One alarm over all kinds of attack, each held out in turn."""

    alarm: str
    recall: Interval | Unscored = Field(description="Mean over kinds, which are the unit of the interval.")
    known: Interval | Unscored = Field(description="Recall on further transcripts of kinds that it has learnt.")
    false_alarms: Interval | Unscored = Field(
        description="Share of tested benign transcripts above it; exact interval."
    )
    auroc: Interval | Unscored = Field(description="Attacks of held-out kinds against tested benign transcripts.")
    auroc_twins: Interval | Unscored = Field(description="The same against the benign twins of these very kinds.")
    by_kind: tuple[Recall, ...] = ()


class AlarmStudy(Record):
    """Recall at a false-positive rate, and what several alarms add to the best one."""

    seed: int
    rate: float
    kinds: int
    benign: int = Field(description="Benign transcripts that set each threshold; neither learnt from nor tested on.")
    alarms: tuple[AlarmResult, ...]
    shared_misses: dict[str, float | None] = Field(
        description="For each pair: correlation of what they miss, over transcripts; None where one misses all or none."
    )
