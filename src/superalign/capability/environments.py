"""All environments by name."""

from __future__ import annotations

from superalign.capability.container import PRIVILEGE_ESCALATION
from superalign.capability.copying import self_copying
from superalign.capability.hosts import Folders, Hosts
from superalign.capability.shifts import OVERSIGHT_SABOTAGE, SHUTDOWN_RESISTANCE
from superalign.capability.transcripts import EVALUATION_AWARENESS
from superalign.capability.warehouse import LONG_TOOL_USE
from superalign.capability.world import Environment
from superalign.contracts.errors import UnknownName


def environments(hosts: Hosts | None = None) -> dict[str, Environment]:
    """All of them; self-copying between `hosts`, simulated ones unless others are given."""
    found = (
        LONG_TOOL_USE,
        self_copying(hosts or Folders()),
        PRIVILEGE_ESCALATION,
        EVALUATION_AWARENESS,
        SHUTDOWN_RESISTANCE,
        OVERSIGHT_SABOTAGE,
    )
    return {environment.name: environment for environment in found}


def environment(name: str, hosts: Hosts | None = None) -> Environment:
    """UnknownName where there is none of this name."""
    known = environments(hosts)
    if name not in known:
        raise UnknownName("environment", name, known)
    return known[name]
