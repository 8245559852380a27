"""How often each agent did what, in one block of a stream: all that any test asks of it.

The counts of two blocks add up to those of both together, so that blocks can be counted by anyone, in any order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Int

from superalign.contracts.fleet import Block, Health, Witness
from superalign.contracts.records import Record
from superalign.control.fleet.events import BUCKETS, Events
from superalign.control.fleet.reading import Unreadable, events, place
from superalign.control.fleet.register import Register
from superalign.control.fleet.sketches import Distinct, Frequent, distinct_names

OTHER, NO_KIND = "(other kind)", "(no kind)"
WITNESSES = 3  # of an agent and a kind in a block
MOST_WITNESSES = 300  # of a block
MOST_STRANGERS = 64  # of whom a block tells more than how many they were


class Layout(Record):
    """The columns of the counts: kinds, then for each score its bins and how often it was missing, then features."""

    kinds: tuple[str, ...]
    edges: dict[str, tuple[float, ...]]

    @cached_property
    def all_kinds(self) -> tuple[str, ...]:
        return (*self.kinds, OTHER, NO_KIND)

    @cached_property
    def scores(self) -> dict[str, slice]:
        """The columns of each score's bins; the next one is for missing scores."""
        found, at = {}, len(self.all_kinds)
        for name, edges in self.edges.items():
            found[name] = slice(at, at + len(edges) + 1)
            at += len(edges) + 2
        return found

    @cached_property
    def features(self) -> slice:
        at = len(self.all_kinds) + sum(len(edges) + 2 for edges in self.edges.values())
        return slice(at, at + BUCKETS)

    @property
    def width(self) -> int:
        return int(self.features.stop)


@dataclass
class Counted:
    """What a block comes to. `table` has a row for each agent of the register. `strangers` are agents that are not in
    it, with their features and first event.
    """

    table: Int[np.ndarray, "agents columns"]
    health: Health = field(default_factory=Health)
    began: float | None = None
    ended: float | None = None
    witnesses: list[Witness] = field(default_factory=list)
    strangers: dict[str, Int[np.ndarray, "features"]] = field(default_factory=dict)
    first_seen: dict[str, Witness] = field(default_factory=dict)
    stranger_events: Frequent = field(default_factory=Frequent)
    stranger_names: Distinct = field(default_factory=Distinct)
    other_kinds: Frequent = field(default_factory=Frequent)


def count(
    block: Block,
    register: Register,
    layout: Layout,
    rare: Bool[np.ndarray, "groups kinds"],
    keep: Callable[[Events], Events] | None = None,
) -> Counted:
    """The counts of a block, or of those of its events that `keep` keeps. Of kinds that are `rare` in an agent's group
    some events are named. What can't be read is told in `health`.
    """
    found = Counted(np.zeros((len(register.agents), layout.width), np.int64))
    tally = _Tally(block, register, layout, rare, found)
    try:
        for some in events(block, list(layout.edges)):
            tally.add(keep(some) if keep else some)
    except Unreadable as error:
        found.health += Health(unreadable=(f"{block.path} {error}",))
    return found


class _Tally:
    """Fills a block's counts, piece by piece."""

    def __init__(
        self, block: Block, register: Register, layout: Layout, rare: Bool[np.ndarray, "groups kinds"], found: Counted
    ) -> None:
        self.block, self.register, self.layout, self.rare, self.found = block, register, layout, rare, found
        self.kinds = {kind: number for number, kind in enumerate(layout.kinds)}
        self.ids = np.zeros(0, np.uint64)
        self.shown: Counter[tuple[int, int]] = Counter()

    def add(self, some: Events) -> None:
        registered = np.array([self.register.index.get(name, -1) for name in some.agent_names], np.int64)
        kinds = np.array([self.kinds.get(kind, len(self.kinds)) for kind in (*some.kind_names, "")], np.int64)
        kinds[-1] = len(self.kinds) + 1  # where -1 leads
        agents, columns = registered[some.agents] if len(some) else some.agents, kinds[some.kinds]
        fresh = self._fresh(some)
        known = fresh & (agents >= 0)
        self._table(some, known, agents, columns)
        self._times(some)
        self._strangers(some, fresh & (agents < 0))
        self._others(some, known, columns)
        self._witnesses(some, known, agents, columns)
        self.found.health += Health(
            events=int(known.sum()),
            unregistered=int((fresh & (agents < 0)).sum()),
            garbled=some.garbled,
            unusable=int((known & (columns == len(self.kinds) + 1)).sum()),
            untimed=int(np.isnan(some.times).sum()),
            duplicates=int((~fresh).sum()),
        )

    def _fresh(self, some: Events) -> Bool[np.ndarray, "events"]:
        """Which events have an id that was not seen in this block before, or none at all."""
        if some.ids is None:
            return np.ones(len(some), bool)
        first = np.zeros(len(some), bool)
        unique, places = np.unique(some.ids, return_index=True)
        first[places] = ~np.isin(unique, self.ids)
        self.ids = np.union1d(self.ids, unique)
        return first

    def _table(
        self, some: Events, known: np.ndarray, agents: Int[np.ndarray, "events"], kinds: Int[np.ndarray, "events"]
    ) -> None:
        rows, columns = [agents[known]], [kinds[known]]
        missing = 0
        for name, bins in self.layout.scores.items():
            values = some.scores.get(name)
            values = np.full(len(rows[0]), np.nan) if values is None else values[known]
            scored = ~np.isnan(values)
            binned = bins.start + np.searchsorted(self.layout.edges[name], values, "right")
            rows.append(rows[0])
            columns.append(np.where(scored, binned, bins.stop))
            missing += int((~scored).sum())
        features = some.features[known]
        rows.append(rows[0][features >= 0])
        columns.append(self.layout.features.start + features[features >= 0])
        cells = np.concatenate(rows) * self.layout.width + np.concatenate(columns)
        table = self.found.table
        table += np.bincount(cells, minlength=table.size).reshape(table.shape)
        self.found.health += Health(unscored=missing)

    def _times(self, some: Events) -> None:
        times = some.times[~np.isnan(some.times)]
        if not times.size:
            return
        found = self.found
        before = -np.inf if found.ended is None else found.ended
        running = np.maximum.accumulate(np.append(before, times))
        found.health += Health(late=int((times < running[:-1]).sum()))
        found.began = float(times.min()) if found.began is None else min(found.began, float(times.min()))
        found.ended = float(running[-1])

    def _strangers(self, some: Events, strange: Bool[np.ndarray, "events"]) -> None:
        if not strange.any():
            return
        found = self.found
        places = np.flatnonzero(strange)
        codes, first, counts = np.unique(some.agents[places], return_index=True, return_counts=True)
        names = [some.agent_names[code] for code in codes]
        found.stranger_events = found.stranger_events.added(dict(zip(names, counts.tolist(), strict=True)))
        found.stranger_names = found.stranger_names.added(distinct_names(names))
        for name, code, at in zip(names, codes, first, strict=True):
            if name not in found.strangers and len(found.strangers) < MOST_STRANGERS:
                found.strangers[name] = np.zeros(BUCKETS, np.int64)
                found.first_seen[name] = self._witness(some, int(places[at]))
            if name in found.strangers:
                features = some.features[places[some.agents[places] == code]]
                found.strangers[name] += np.bincount(features[features >= 0], minlength=BUCKETS)

    def _others(self, some: Events, known: Bool[np.ndarray, "events"], kinds: Int[np.ndarray, "events"]) -> None:
        other = some.kinds[known & (kinds == len(self.kinds))]
        if other.size:
            codes, counts = np.unique(other, return_counts=True)
            names = {some.kind_names[code]: int(n) for code, n in zip(codes, counts, strict=True)}
            self.found.other_kinds = self.found.other_kinds.added(names)

    def _witnesses(
        self, some: Events, known: np.ndarray, agents: Int[np.ndarray, "events"], kinds: Int[np.ndarray, "events"]
    ) -> None:
        if len(self.found.witnesses) >= MOST_WITNESSES:
            return
        groups = self.register.group_of[agents]
        for at in np.flatnonzero(known & self.rare[groups, kinds])[: 10 * MOST_WITNESSES]:
            key = int(agents[at]), int(kinds[at])
            self.shown[key] += 1
            if self.shown[key] <= WITNESSES and len(self.found.witnesses) < MOST_WITNESSES:
                self.found.witnesses.append(self._witness(some, int(at)))

    def _witness(self, some: Events, at: int) -> Witness:
        code = some.kinds[at]
        return Witness(
            agent=some.agent_names[some.agents[at]],
            kind=some.kind_names[code] if code >= 0 else NO_KIND,
            path=self.block.path,
            place=place(self.block, int(some.places[at])),
            time=None if np.isnan(some.times[at]) else float(some.times[at]),
        )
