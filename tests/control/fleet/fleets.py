"""Fleets whose truth is known: as counts for simulations of many, and as files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from superalign.contracts.fleet import Block, Health
from superalign.control.fleet.baseline import Baseline
from superalign.control.fleet.counting import Counted, Layout
from superalign.control.fleet.events import BUCKETS
from superalign.control.fleet.monitor import Monitor
from superalign.control.fleet.register import Register

KINDS = ("message", "tool:read", "tool:write")
LAYOUT = Layout(kinds=KINDS, edges={"score": tuple(np.linspace(-2, 2, 9).tolist())})
BINS = 10


@dataclass
class Fleet:
    """Draws the counts of a fleet whose agents act as their groups do."""

    agents: int = 30
    groups: int = 3
    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))

    def __post_init__(self) -> None:
        self.register = Register(
            agents=tuple(f"agent-{n}" for n in range(self.agents)),
            groups=tuple(f"model-{n % self.groups}" for n in range(self.agents)),
        )
        fixed = np.random.default_rng(1)
        self.kinds = np.hstack([fixed.dirichlet(np.full(3, 5.0), self.groups), np.zeros((self.groups, 2))])
        self.bins = np.hstack(
            [fixed.dirichlet(np.full(BINS, 5.0), self.groups) * 0.98, np.full((self.groups, 1), 0.02)]
        )
        self.features = fixed.dirichlet(np.full(BUCKETS, 1.0), self.groups)
        self.shares = fixed.dirichlet(np.full(self.agents, 5.0))

    def table(self, events: int) -> np.ndarray:
        """The counts of so many clean events."""
        found = []
        for agent, own in enumerate(self.rng.multinomial(events, self.shares)):
            group = agent % self.groups
            parts = (self.kinds[group], self.bins[group], self.features[group])
            found.append(np.concatenate([self.rng.multinomial(own, shares) for shares in parts]))
        return np.array(found)

    def baseline(self, events: int, promise: float = 0.01) -> Baseline:
        table = self.table(events)
        return Baseline(
            self.register, LAYOUT, promise, 0.0, self.register.summed(table), table[:, : len(KINDS) + 2].sum(axis=1)
        )


def take(monitor: Monitor, table: np.ndarray) -> list[str]:
    """Feed counts; the alarms as `what who`."""
    number = monitor.state.blocks
    events = int(table[:, : len(KINDS) + 2].sum())
    counted = Counted(table, Health(events=events), began=float(number), ended=number + 1.0)
    block = Block(path="stream", format="jsonl", start=number, end=number + 1)
    return [f"{alarm.what} {alarm.who}" for alarm in monitor.take(block, counted)]


def lines(
    rng: np.random.Generator,
    events: int,
    agents: int = 6,
    *,
    groups: int = 2,
    bad: float = 0.0,
    shift: float = 0.0,
    names: str = "agent",
    start: int = 0,
) -> Iterator[str]:
    """Events as JSON lines: agent k is of group k mod `groups`, whose features are its own."""
    who = rng.integers(0, agents, events)
    kinds = np.where(rng.random(events) < bad, 3, rng.choice(3, events, p=[0.7, 0.2, 0.1]))
    scores = rng.normal(shift, 1, events)
    features = rng.geometric(0.1, events) + 40 * (who % groups)
    for at in range(events):
        yield json.dumps(
            {
                "time": float(start + at),
                "agent": f"{names}-{who[at]}",
                "kind": [*KINDS, "tool:exfiltrate"][kinds[at]],
                "score": round(float(scores[at]), 4),
                "feature": f"token {features[at]}",
            }
        )


def write(path: Path, content: Iterator[str]) -> Path:
    path.write_text("".join(f"{line}\n" for line in content), encoding="utf-8")
    return path


def write_register(path: Path, agents: int = 6, groups: int = 2) -> Path:
    rows = "".join(f"agent-{n},model-{n % groups}\n" for n in range(agents))
    path.write_text("agent,group\n" + rows, encoding="utf-8")
    return path
