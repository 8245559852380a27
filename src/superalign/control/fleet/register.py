"""Which agents there are, and which of them are the same model at the same work."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Int, Shaped

from superalign.contracts.errors import InputError
from superalign.contracts.records import Record
from superalign.control.fleet.events import LONGEST_NAME

EVERYONE = "fleet"
MOST_AGENTS = 200_000
FORM = "Write a line `agent,group`, then a line for each agent: its name, and the model and work that it shares."


class Register(Record):
    """Agents and the group of each. Agents of one group have one reference."""

    agents: tuple[str, ...]
    groups: tuple[str, ...]

    @cached_property
    def group_names(self) -> tuple[str, ...]:
        return tuple(sorted(set(self.groups)))

    @cached_property
    def group_of(self) -> Int[np.ndarray, "agents"]:
        """The index of each agent's group."""
        index = {name: number for number, name in enumerate(self.group_names)}
        return np.array([index[group] for group in self.groups])

    @cached_property
    def members(self) -> tuple[Int[np.ndarray, "members"], ...]:
        """The agents of each group."""
        order = np.argsort(self.group_of, kind="stable")
        return tuple(np.split(order, np.cumsum(np.bincount(self.group_of))[:-1]))

    @cached_property
    def index(self) -> dict[str, int]:
        return {name: number for number, name in enumerate(self.agents)}

    def summed(self, table: Shaped[np.ndarray, "agents *rest"]) -> Shaped[np.ndarray, "groups *rest"]:
        """What the agents of each group have together."""
        return np.stack([table[members].sum(axis=0) for members in self.members])


def read_register(path: Path) -> Register:
    """The register in a CSV file with the columns agent and, if agents differ, group. InputError as it says."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"The register can't be read: {error}.", where=str(path), fix=FORM) from None
    agents = [(row.get("agent") or "").strip() for row in rows]
    groups = [(row.get("group") or "").strip() or EVERYONE for row in rows]
    _check(agents, groups, path)
    return Register(agents=tuple(agents), groups=tuple(groups))


def _check(agents: Sequence[str], groups: Sequence[str], path: Path) -> None:
    if not agents or not all(agents):
        fault = "names no agent" if not any(agents) else f"names no agent in line {agents.index('') + 2}"
        raise InputError(f"The register {fault}.", where=str(path), fix=FORM)
    if len(set(agents)) < len(agents):
        twice = next(name for name in agents if agents.count(name) > 1)
        raise InputError(f"The register names {twice!r} twice.", where=str(path), fix="Leave one line of it.")
    if len(agents) > MOST_AGENTS:
        raise InputError(
            f"The register names more than {MOST_AGENTS:,} agents.", where=str(path), fix="Watch it in parts."
        )
    if long := next((name for name in (*agents, *groups) if len(name) > LONGEST_NAME), None):
        raise InputError(
            f"A name has more than {LONGEST_NAME} characters: {long[:20]}...", where=str(path), fix="Shorten it."
        )
