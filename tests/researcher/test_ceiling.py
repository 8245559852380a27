"""A proposer works only where its capability is known to be within limits, or a person lets it."""

from __future__ import annotations

from pathlib import Path

import pytest

from superalign.contracts.capability import Limit
from superalign.contracts.registry import PartCall, problems
from superalign.provenance.digest import digest
from superalign.researcher.folder import ResearchRun, Settings
from superalign.researcher.gate import Gate
from superalign.researcher.stopping import Stopping

SETTINGS = Settings(
    problem=PartCall(kind="problems", name="location"), proposer=PartCall(kind="proposers", name="random"), seconds=60
)


@pytest.mark.parametrize(("holds", "stops"), [(True, False), (False, True), (None, True)])
def test_limits_that_are_not_known_to_hold_end_a_run(tmp_path: Path, holds: bool | None, stops: bool) -> None:
    limit = Limit(environment="self-copying", at_most=0.2, holds=holds, says="0.1, up to 0.3")
    settings = SETTINGS.model_copy(update={"capability": (limit,)})
    card = problems.make("location").card
    with ResearchRun.open(tmp_path, settings) as run:
        found = Stopping(settings, card).reason(run, Gate(run, card))
        assert (found is not None) is stops
        if stops:
            assert found and "within its limits" in found and "nobody reviews" in found
            assert [entry.body["asked"] for entry in run.ledger.entries("approval")] == ["capability"]


def test_runs_without_limits_are_found_by_the_name_that_they_had() -> None:
    assert "capability" not in SETTINGS.model_dump(mode="json")
    limited = SETTINGS.model_copy(
        update={"capability": (Limit(environment="self-copying", at_most=0.2, holds=True, says="0"),)}
    )
    assert digest(limited) != digest(SETTINGS)
    assert Settings.model_validate_json(limited.model_dump_json()) == limited
