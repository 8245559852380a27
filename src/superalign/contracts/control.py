"""What the parts agree on that decide what an agent may do: limits, opinions of monitors, reviews by a human."""

from __future__ import annotations

from typing import Literal, Protocol, runtime_checkable

from pydantic import Field

from superalign.contracts.records import Record, Unscored
from superalign.contracts.research import Proposal

MEBIBYTE = 2**20

# Which proposals a human reads before they run: all, those that look suspicious, or none but the final result.
Oversight = Literal["every-step", "suspicious", "outcomes"]


class Limits(Record):
    """What a confined program may use. It is one process, so that `memory_bytes` bounds all of its memory; its files
    lie in memory too and are counted apart, in `disk_bytes`.
    """

    seconds: float = Field(60, gt=0, description="Of wall time, by a clock that the program can't reach.")
    cpu_seconds: int = Field(60, ge=1, description="Of processor time, over all threads.")
    memory_bytes: int = Field(2048 * MEBIBYTE, ge=64 * MEBIBYTE, description="Of address space.")
    threads: int = Field(16, ge=1)
    disk_bytes: int = Field(64 * MEBIBYTE, ge=4096)
    answer_bytes: int = Field(16 * MEBIBYTE, ge=1)


class Opinion(Record):
    """What one monitor makes of a proposal. `suspicion` is 0 for nothing found and 1 for certain harm."""

    monitor: str
    suspicion: float = Field(ge=0, le=1)
    reasons: tuple[str, ...] = ()
    evidence: tuple[str, ...] = Field((), description="The lines that it is about, with what is invisible escaped.")


@runtime_checkable
class Monitor(Protocol):
    """Rates a proposal before it runs. What a monitor could not rate is never unsuspicious."""

    name: str

    def rate(self, proposal: Proposal) -> Opinion | Unscored: ...
