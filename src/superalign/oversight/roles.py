"""Who plays what in the protocols of a comparison."""

from __future__ import annotations

import inspect

from superalign.contracts import registry
from superalign.runs.chosen import Chosen, named
from superalign.runs.plan import ComparePlan


def with_roles(chosen: Chosen, plan: ComparePlan) -> Chosen:
    """The protocol with the plan's judge and expert, where it has such and names no other."""
    name, arguments = named(chosen)
    taken = inspect.signature(registry.overseers.factory(name)).parameters
    roles = {role: who for role, who in (("judge", plan.judge), ("expert", plan.expert)) if role in taken}
    return {name: roles | arguments}
