"""A sealed trial in its three stages: in their order only, once only, and with the result of all in one go."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from superalign import pipeline
from superalign.contracts.errors import SealError
from superalign.contracts.protocols import Subject
from superalign.contracts.records import Access, Verdict
from superalign.contracts.summary import Summary, TrialSummary
from superalign.provenance.ledger import Ledger
from superalign.robustness.consistency import Consistency
from superalign.runs.plan import Plan
from superalign.runs.progress import NoDisplay
from superalign.runs.run import Run

from .conftest import Finished, carry_out


def stage(folder: Path, carry_out: Callable[[Run], Any]) -> Any:
    with Run.existing(folder, display=NoDisplay()) as run:
        return carry_out(run)


def kinds(folder: Path) -> list[str]:
    with Ledger(folder / "ledger.db") as ledger:
        return [entry.kind for entry in ledger.entries()]


@pytest.fixture
def sealed(make_plan: Callable[..., Plan], tmp_path: Path) -> Path:
    with Run.open(tmp_path, make_plan(), display=NoDisplay()) as run:
        opening = pipeline.seal(run)
        assert run.ledger.entries("seal")[0].body["commitment"] == opening.commitment
        return run.folder


def test_stages_give_what_the_whole_gives_and_the_trial_is_then_spent(sealed: Path, complete: Finished) -> None:
    assert kinds(sealed).count("seal") == 1 and "unseal" not in kinds(sealed)
    with pytest.raises(SealError, match="8 of 8 verdicts have not been reached"):
        stage(sealed, pipeline.unseal)

    verdicts: Mapping[str, Any] = stage(sealed, pipeline.reach_verdicts)
    trial = complete.summary.trial
    assert trial is not None and len(verdicts) == 2 * len(trial.subjects)
    assert not any(word in look for look in verdicts for word in ("lying", "lock", "organism", "twin"))
    assert "unseal" not in kinds(sealed)

    found: Summary = stage(sealed, pipeline.unseal)
    assert without_seconds(found.trial) == without_seconds(trial)
    assert kinds(sealed).count("unseal") == 1
    for again in (pipeline.seal, pipeline.reach_verdicts, pipeline.unseal):
        with pytest.raises(SealError, match="spent"):
            stage(sealed, again)


def test_a_seal_with_another_byte_is_refused(sealed: Path) -> None:
    path = sealed / "seal.json"
    content = json.loads(path.read_text())
    labels = content["value"]["labels"]
    first, second = list(labels)[:2]
    labels[first], labels[second] = labels[second], labels[first]
    path.write_text(json.dumps(content))
    with pytest.raises(SealError):
        stage(sealed, pipeline.reach_verdicts)


def test_a_trial_that_a_run_has_opened_is_spent(make_plan: Callable[..., Plan], tmp_path: Path) -> None:
    done = carry_out(tmp_path, make_plan(), only="stress")
    with pytest.raises(SealError, match="spent"):
        stage(done.folder, pipeline.reach_verdicts)


def test_at_training_data_every_subject_shows_what_it_was_taught(
    make_plan: Callable[..., Plan], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Students, models with a habit, and the trial's: else there would be no threshold, or one from other access."""

    def counts(self: Consistency, subject: Subject) -> Verdict:
        return Verdict(score=len(subject.training_data()))

    monkeypatch.setattr(Consistency, "access", frozenset({Access.TRAINING_DATA}))
    monkeypatch.setattr(Consistency, "assess", counts)
    plan = make_plan(validate={"detectors": ["consistency"], "habits": 2, "access": "training-data"})
    found = carry_out(tmp_path, plan, only="stress").summary
    [threshold], trial = found.thresholds, found.trial
    assert trial is not None and len(trial.subjects) == 4
    benign = [model.result for model in threshold.benign]
    scores = [*benign, *(subject.scores["consistency"] for subject in trial.subjects)]
    assert all(isinstance(score, float) and score > 0 for score in scores)


def test_below_activations_no_layer_is_drawn(make_plan: Callable[..., Plan], tmp_path: Path) -> None:
    plan = make_plan(validate={"detectors": ["consistency"], "habits": 2, "access": "logprobs"})
    found = carry_out(tmp_path, plan, only="validate").summary
    assert found.inside is None and found.validation[0].score is not None


def without_seconds(trial: TrialSummary | None) -> dict[str, Any]:
    assert trial is not None

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: plain(item) for key, item in value.items() if "seconds" not in key}
        return [plain(item) for item in value] if isinstance(value, list) else value

    cleaned: dict[str, Any] = plain(trial.model_dump(mode="json"))
    return cleaned
