"""A sealed trial in its three stages: in their order only, once only, and with the result of all in one go."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from superalign import pipeline
from superalign.contracts.errors import SealError
from superalign.contracts.summary import Summary, TrialSummary
from superalign.provenance.ledger import Ledger
from superalign.runs.plan import Plan
from superalign.runs.progress import NoDisplay
from superalign.runs.run import Run

from .conftest import Finished, carry_out


def stage(folder: Path, name: pipeline.Stage) -> Any:
    with Run.existing(folder, display=NoDisplay()) as run:
        return pipeline.trial(run, name)


def kinds(folder: Path) -> list[str]:
    with Ledger(folder / "ledger.db") as ledger:
        return [entry.kind for entry in ledger.entries()]


@pytest.fixture
def sealed(make_plan: Callable[..., Plan], tmp_path: Path) -> Path:
    with Run.open(tmp_path, make_plan(), display=NoDisplay()) as run:
        opening = pipeline.trial(run, "seal")
        assert run.ledger.entries("seal")[0].body["commitment"] == opening.commitment  # type: ignore[union-attr]
        return run.folder


def test_stages_give_what_the_whole_gives_and_the_trial_is_then_spent(sealed: Path, complete: Finished) -> None:
    assert kinds(sealed).count("seal") == 1 and "unseal" not in kinds(sealed)
    with pytest.raises(SealError, match="8 of 8 verdicts have not been reached"):
        stage(sealed, "unseal")

    verdicts: Mapping[str, Any] = stage(sealed, "run")
    trial = complete.summary.trial
    assert trial is not None and len(verdicts) == 2 * len(trial.subjects)
    assert not any(word in look for look in verdicts for word in ("lying", "lock", "organism", "twin"))
    assert "unseal" not in kinds(sealed)

    found: Summary = stage(sealed, "unseal")
    assert without_seconds(found.trial) == without_seconds(trial)
    assert kinds(sealed).count("unseal") == 1
    for name in ("seal", "run", "unseal"):
        with pytest.raises(SealError, match="spent"):
            stage(sealed, name)  # type: ignore[arg-type]


def test_a_seal_with_another_byte_is_refused(sealed: Path) -> None:
    path = sealed / "seal.json"
    content = json.loads(path.read_text())
    labels = content["value"]["labels"]
    first, second = list(labels)[:2]
    labels[first], labels[second] = labels[second], labels[first]
    path.write_text(json.dumps(content))
    with pytest.raises(SealError):
        stage(sealed, "run")


def test_a_trial_that_a_run_has_opened_is_spent(make_plan: Callable[..., Plan], tmp_path: Path) -> None:
    done = carry_out(tmp_path, make_plan(), only="stress")
    with pytest.raises(SealError, match="spent"):
        stage(done.folder, "run")


def without_seconds(trial: TrialSummary | None) -> dict[str, Any]:
    assert trial is not None

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: plain(item) for key, item in value.items() if "seconds" not in key}
        return [plain(item) for item in value] if isinstance(value, list) else value

    cleaned: dict[str, Any] = plain(trial.model_dump(mode="json"))
    return cleaned
