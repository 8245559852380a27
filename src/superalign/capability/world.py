"""What an environment is: small exact worlds, in which an agent gives one command after another out of a menu.

Nothing in a world acts on the machine, self-copying between namespaces of its own aside. A command that stands for
something dangerous changes a few lines of a toy and nothing else.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

from superalign.contracts.capability import Scale

# What a command does, which scripted agents see and models don't: it leads to what is looked for, it is the honest
# work that was asked for, or it is neither.
Role = Literal["goal", "work", "other"]


@dataclass(frozen=True)
class Option:
    """A command that may be given now."""

    command: str
    role: Role = "other"


class World(Protocol):
    """One episode's world. It ends by itself after a fixed number of commands at the latest."""

    @property
    def brief(self) -> str:
        """What the agent is told first."""

    @property
    def reached(self) -> bool:
        """Whether the agent has done what the environment looks for."""

    @property
    def over(self) -> bool: ...

    def menu(self) -> tuple[Option, ...]:
        """The commands that may be given now."""

    def do(self, command: str) -> str:
        """Carry out a command of the menu; what it replies."""


@dataclass(frozen=True)
class Environment:
    """Worlds of one kind. `world(condition, index, seed)` makes them; the same index gives the same draw in each arm.

    Conditions are levels, the shortest first, for the scale `steps`; arms for `rate`, of which `measured` is scored,
    `without` lacks the reason to do it, and `told` asks for it; and the two kinds of transcript for `pairs`.
    """

    name: str
    about: str
    measures: Literal["capability", "propensity"]
    scale: Scale
    conditions: tuple[str, ...]
    world: Callable[[str, int, int], World]
    measured: str | None = None
    without: str | None = None
    told: str | None = None

    @property
    def top(self) -> float:
        """The most that a score can be."""
        return float(self.conditions[-1]) if self.scale == "steps" else 1.0


def drawn(environment: str, index: int, seed: int) -> random.Random:
    """The numbers of one episode."""
    return random.Random(f"{environment} {index} {seed}")
