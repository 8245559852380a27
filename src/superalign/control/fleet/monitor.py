"""The monitor: takes the counts of one block after another, bets on them, and raises alarms that hold for good."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float, Int

from superalign.contracts.fleet import Alarm, Block, Health, Level, Witness
from superalign.control.fleet import identity
from superalign.control.fleet.baseline import Baseline
from superalign.control.fleet.betting import Ledger, alarms, growth
from superalign.control.fleet.counting import MOST_STRANGERS, Counted
from superalign.control.fleet.events import BUCKETS
from superalign.control.fleet.evidence import Words
from superalign.control.fleet.register import EVERYONE
from superalign.control.fleet.sketches import Distinct, Frequent

MOST_WITNESSES = 10_000
SILENCE = np.array([[0.0, 1.0]])  # an event is the agent's own, or another's


@dataclass
class Course:
    """Since when each bet has won, and what it has seen since: what an alarm tells a person."""

    block: Int[np.ndarray, "bettors bets"]
    time: Float[np.ndarray, "bettors bets"]
    events: Float[np.ndarray, "bettors bets"]
    total: Float[np.ndarray, "bettors bets"]

    @classmethod
    def new(cls, bettors: int, bets: int) -> Course:
        return cls(np.zeros((bettors, bets), np.int64), *(np.zeros((bettors, bets)) for _ in range(3)))

    def follow(
        self,
        winning: Bool[np.ndarray, "bettors bets"],
        block: int,
        time: float,
        events: Float[np.ndarray, "bettors bets"],
        total: Float[np.ndarray, "bettors bets"],
    ) -> None:
        """After a block with so many `events` of each bet. Block 0 stands for a bet that isn't winning."""
        self.events = np.where(winning, self.events + events, 0)
        self.total = np.where(winning, self.total + total, 0)
        fresh = winning & (self.block == 0)
        self.time = np.where(fresh, time, self.time)
        self.block = np.where(winning, np.where(fresh, block, self.block), 0)


@dataclass
class Recent:
    """Features since a block that is a power of two: a change of identity late in a long stream must outweigh less."""

    counts: Int[np.ndarray, "agents features"]
    doublings: int = 0


@dataclass
class State:
    """Everything that the monitor remembers. Its size hangs on the register and on the layout, not on the stream."""

    bets: Ledger
    course: Course
    silence: Ledger
    silence_course: Course
    features: Int[np.ndarray, "agents features"]
    recent: Recent
    seen: Int[np.ndarray, "agents"]
    raised: Bool[np.ndarray, "hypotheses"]
    alarms: list[Alarm] = field(default_factory=list)
    health: Health = field(default_factory=Health)
    witnesses: dict[tuple[str, str], deque[Witness]] = field(default_factory=dict)
    strangers: dict[str, Int[np.ndarray, "features"]] = field(default_factory=dict)
    stranger_events: Frequent = field(default_factory=Frequent)
    stranger_names: Distinct = field(default_factory=Distinct)
    other_kinds: Frequent = field(default_factory=Frequent)
    done: dict[str, int] = field(default_factory=dict)
    ended: float | None = None
    seconds: float = 0.0

    @property
    def blocks(self) -> int:
        return self.bets.blocks


class Monitor:
    """Watches a fleet against a baseline. Every agent bets by itself, every group and the whole fleet as one."""

    def __init__(self, baseline: Baseline, state: State | None = None) -> None:
        self.baseline, self.register = baseline, baseline.register
        agents, groups = len(self.register.agents), len(self.register.group_names)
        self.grouped = 1 < groups < agents  # otherwise groups would be the fleet, or the agents, once more
        self.rows: list[tuple[Level, str]] = [("agent", name) for name in self.register.agents]
        self.rows += [("group", name) for name in self.register.group_names] if self.grouped else []
        self.rows.append(("fleet", EVERYONE))
        self.weights = self._weights(agents, groups if self.grouped else 0)
        self.state = state or self._start(agents)
        self.words = Words(self)

    def take(self, block: Block, counted: Counted) -> list[Alarm]:
        """Bet on a block that has not been taken yet; returns the alarms that it raises."""
        state, table = self.state, counted.table
        state.seen += table[:, : len(self.baseline.layout.all_kinds)].sum(axis=1)
        state.health += counted.health
        state.done[block.path] = block.end
        time = np.nan if counted.began is None else counted.began
        self._bet(table, time)
        self._bet_on_silence(table, time)
        self._remember(counted)
        found = [*self._unregistered(counted), *self._raised()]
        state.alarms += found
        state.ended = max((end for end in (state.ended, counted.ended) if end is not None), default=None)
        return found

    def log_e_values(self) -> Float[np.ndarray, "hypotheses"]:
        """Natural logarithms of all e-values: of each row's bets, of each agent's silence, of each agent's identity."""
        return np.concatenate(
            [self.state.bets.e_values.ravel(), self.state.silence.e_values.ravel(), self._identity_e_values()]
        )

    def hypothesis(self, number: int) -> tuple[str, int, int]:
        """What hypothesis this is: of the bets (with row and bet), silence or identity (with the agent)."""
        bets, agents = self.state.bets.logs.shape[0] * self.state.bets.logs.shape[1], len(self.register.agents)
        if number < bets:
            row, bet = divmod(number, self.state.bets.logs.shape[1])
            return "bet", row, bet
        kind, agent = divmod(number - bets, agents)
        return ("silence", "identity")[kind], agent, 0

    def log_e_against(self, group: int, counts: Int[np.ndarray, "features"]) -> float:
        """Evidence that features are not those of the group."""
        expected, low, high = (part[group][None] for part in self.baseline.features)
        return float(identity.log_e_values(counts[None], expected, low, high)[0])

    def _bet(self, table: Int[np.ndarray, "agents columns"], time: float) -> None:
        state, bets = self.state, self.baseline.bets
        won = self._with_groups(bets.won(table, self.register))
        won[-1] = np.where(np.isnan(bets.mixed)[:, None], won[-1], bets.won_by_all(table))
        state.bets.bet(won)
        events, total = (self._with_groups(part) for part in bets.seen(table))
        state.course.follow(state.bets.at_stake > state.bets.put_aside, state.blocks, time, events, total)

    def _bet_on_silence(self, table: Int[np.ndarray, "agents columns"], time: float) -> None:
        own = table[:, : len(self.baseline.layout.all_kinds)].sum(axis=1).astype(float)
        counts = np.stack([own, own.sum() - own], axis=-1)[:, None]  # agents bets values
        each = growth(SILENCE, self.baseline.silent_means[:, None])
        state = self.state
        state.silence.bet((counts[..., None] * each).sum(axis=2))
        winning = state.silence.at_stake > state.silence.put_aside
        state.silence_course.follow(winning, state.blocks, time, counts.sum(-1), counts[..., 0])

    def _with_groups(self, agents: Float[np.ndarray, "agents *rest"]) -> Float[np.ndarray, "rows *rest"]:
        """Rows of agents, and below them those of groups and of the fleet, which are sums of theirs."""
        groups = self.register.summed(agents)
        return np.concatenate([agents, *([groups] if self.grouped else []), groups.sum(axis=0, keepdims=True)])

    def _identity_e_values(self) -> Float[np.ndarray, "agents"]:
        """Half of the stake is put on all features, 2^-(k+1) on those since block 2^k, which is given up at 2^(k+1)."""
        state, group_of = self.state, self.register.group_of
        expected, low, high = (part[group_of] for part in self.baseline.features)
        enough = float(np.log(1 / self.baseline.alpha))
        logs = []
        for counts, weight in ((state.features, 0.5), (state.recent.counts, 0.5 ** (state.recent.doublings + 1))):
            logs.append(identity.log_e_values(counts, expected, low, high, enough) + np.log(weight))
        return np.asarray(np.logaddexp(*logs))

    def _remember(self, counted: Counted) -> None:
        state = self.state
        features = counted.table[:, self.baseline.layout.features]
        if state.blocks >= 2 ** (state.recent.doublings + 1):
            state.recent = Recent(np.zeros_like(state.recent.counts), state.recent.doublings + 1)
        state.features += features
        state.recent.counts += features
        state.other_kinds = state.other_kinds.merged(counted.other_kinds)
        state.stranger_events = state.stranger_events.merged(counted.stranger_events)
        state.stranger_names = state.stranger_names.merged(counted.stranger_names)
        for witness in counted.witnesses:
            key = witness.agent, witness.kind
            if key in state.witnesses or len(state.witnesses) < MOST_WITNESSES:
                state.witnesses.setdefault(key, deque(maxlen=3)).append(witness)

    def _unregistered(self, counted: Counted) -> list[Alarm]:
        """No test: who is not in the register is an alarm by itself. Only the first few are named one by one."""
        found = []
        for name, features in counted.strangers.items():
            if name in self.state.strangers:
                self.state.strangers[name] += features
            elif len(self.state.strangers) < MOST_STRANGERS:
                self.state.strangers[name] = features.copy()
                found.append(self.words.unregistered(name, counted.first_seen[name]))
        return found

    def _raised(self) -> list[Alarm]:
        logs = self.log_e_values()
        rejected = alarms(logs, self.weights, self.baseline.alpha) & ~self.state.raised
        self.state.raised |= rejected
        return [self.words.alarm(int(number), float(logs[number])) for number in np.flatnonzero(rejected)]

    def _weights(self, agents: int, groups: int) -> Float[np.ndarray, "hypotheses"]:
        """An equal part for each level, so that what is rare in each agent shows in all of them, however many."""
        bets = len(self.baseline.bets.names)
        levels = [agents * (bets + 2), groups * bets, bets]
        each = [1 / (sum(map(bool, levels)) * size) if size else 0.0 for size in levels]
        rows = np.repeat(each, [agents, groups, 1])
        return np.concatenate([np.repeat(rows, bets), np.full(2 * agents, each[0])])

    def _start(self, agents: int) -> State:
        rows, bets = len(self.rows), len(self.baseline.bets.names)
        return State(
            bets=Ledger.new(rows, bets),
            course=Course.new(rows, bets),
            silence=Ledger.new(agents, 1),
            silence_course=Course.new(agents, 1),
            features=np.zeros((agents, BUCKETS), np.int64),
            recent=Recent(np.zeros((agents, BUCKETS), np.int64)),
            seen=np.zeros(agents, np.int64),
            raised=np.zeros(len(self.weights), bool),
        )


def misfits(baseline: Baseline, table: Int[np.ndarray, "agents columns"]) -> list[str]:
    """The agents that would be told from the rest of their group by the reference itself: what they do there."""
    monitor = Monitor(baseline)
    monitor.take(Block(path="", format="eval", start=0, end=1), Counted(table.copy()))
    return [alarm.who for alarm in monitor.state.alarms if alarm.level == "agent"]
