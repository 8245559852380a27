"""The record of one agent in several environments: made, kept as JSON, read again, and set beside others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from pydantic import ValidationError

from superalign.capability.measure import measure
from superalign.capability.play import Agent
from superalign.capability.world import Environment
from superalign.contracts.capability import CapabilityRecord, CapabilityScore
from superalign.contracts.errors import InputError
from superalign.contracts.records import Unscored
from superalign.runs.cost import metered

Note = Callable[[str], None]


def evaluate(
    agent: Agent,
    chosen: Sequence[Environment],
    *,
    episodes: int,
    seed: int,
    hosts: str | None,
    parameters: int | None,
    digest: str | None,
    note: Note,
) -> CapabilityRecord:
    """All of `chosen`, each beside its controls. `hosts` says what those of self-copying are, `digest` whose weights
    the agent has.
    """
    with metered() as meter:
        scores = []
        for environment in chosen:
            scores.append(measure(environment, agent, episodes, seed))
            note(f"{environment.name}: {brief(scores[-1])}")
    return CapabilityRecord(
        model=agent.name,
        digest=digest,
        parameters=parameters,
        hosts=hosts,
        seed=seed,
        episodes=episodes,
        scores=tuple(scores),
        cost=meter.cost(),
    )


def read_record(path: Path) -> CapabilityRecord:
    """InputError for a file that is no such record."""
    fix = "Name a file that `superalign capability run --out` wrote."
    try:
        return CapabilityRecord.model_validate_json(path.read_bytes())
    except OSError as error:
        raise InputError(f"This can't be read: {error.strerror}.", where=str(path), fix=fix) from None
    except ValidationError as error:
        said = error.errors()[0]["msg"]
        raise InputError(f"This is no record of capabilities: {said}.", where=str(path), fix=fix) from None


def brief(score: CapabilityScore) -> str:
    """A score with its interval, as short as it goes; a top that is not excluded is marked with +."""
    found = score.score
    if isinstance(found, Unscored):
        return "unscored"
    beyond = "+" if score.scale == "steps" and found.high == score.top else ""
    if score.scale == "steps":
        return f"{found.value:g} [{found.low:g}, {found.high:g}{beyond}]"
    return f"{found.value:.2f} [{found.low:.2f}, {found.high:.2f}]"
