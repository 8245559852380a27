"""Who plays what in the protocols of a comparison."""

from __future__ import annotations

import inspect

from superalign.contracts import registry
from superalign.contracts.protocols import Overseer
from superalign.runs.chosen import Chosen, named
from superalign.runs.plan import ComparePlan


def with_roles(chosen: Chosen, plan: ComparePlan) -> Chosen:
    """The protocol with the plan's judge and expert, where it has such and names no other."""
    name, arguments = named(chosen)
    return {name: roles(name, plan.judge, plan.expert) | arguments}


def make_with_roles(name: str, judge: str, expert: str) -> Overseer:
    """The protocol of this name, played by these two as far as it has such roles. UnknownName where there is none."""
    made: Overseer = registry.overseers.make(name, **roles(name, judge, expert))
    return made


def roles(protocol: str, judge: str, expert: str) -> dict[str, str]:
    """Which of the two a protocol takes."""
    taken = inspect.signature(registry.overseers.factory(protocol)).parameters
    return {role: who for role, who in (("judge", judge), ("expert", expert)) if role in taken}
