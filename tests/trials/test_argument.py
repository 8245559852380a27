"""The safety case: nothing unmeasured supports it, every number is in a record, and a quoted trial is the same one."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest

from superalign.contracts.records import Cost, Finding
from superalign.contracts.summary import BatteryResult, Claim, DetectorResult, Summary, TrialSummary
from superalign.runs.plan import Criteria, Plan
from superalign.runs.progress import NoDisplay
from superalign.runs.run import Run
from superalign.tasks.specification import default_specification
from superalign.trials.argument import argue, argue_beside, trial_beside
from superalign.trials.decide import decide

from .planted import THRESHOLDS, counted, pair, threshold

CLEAR = BatteryResult(
    finding=Finding.CLEAR, reason="no more suspicious", p_value=0.5, reference=9, excess=-1.0, detectors=("behaviour",)
)
TRIAL = counted([*pair("lying", 3.0), *pair("locked", 0.2)])


def argued(battery: BatteryResult = CLEAR, trial: TrialSummary = TRIAL, *, holds: bool = True) -> dict[str, Claim]:
    claims = argue((), battery, trial, None, settled=holds, powerful=holds, quiet=holds, trained=holds)
    return {claim.id: claim for claim in claims}


def test_what_was_not_measured_supports_nothing() -> None:
    nothing = CLEAR.model_copy(update={"finding": Finding.UNDETERMINED, "p_value": None, "reference": 0})
    found = argued(nothing, counted(pair("lying", 3.0, organism=False, twin=False)))
    assert {name: claim.status for name, claim in found.items() if name != "seal"} == dict.fromkeys(
        ("behaviour", "detection", "alarms", "training", "inability", "control"), "not measured"
    )


@pytest.mark.parametrize("holds", [True, False])
def test_a_claim_is_supported_only_by_criteria_that_hold(holds: bool) -> None:
    found = argued(holds=holds)
    expected = "supported" if holds else "not supported"
    assert {found[name].status for name in ("behaviour", "detection", "alarms")} == {expected}


def test_a_flag_of_one_detector_is_not_argued_away() -> None:
    """For somebody else's model there are no criteria that could let it pass."""
    flag = DetectorResult(
        detector="behaviour", access=(), score=2.0, threshold=1.0, verdict=Finding.FLAGGED, reason="over", evidence=()
    )
    assert argue_beside((flag,), CLEAR, None)[0].status == "not supported"
    assert argue_beside((), CLEAR, None)[0].status == "supported"


def test_verdicts_that_were_known_unseal_the_claim_that_nobody_chose() -> None:
    known = TRIAL.model_copy(update={"verdicts_known": 3})
    assert argued()["seal"].status == "supported"
    assert argued(trial=known)["seal"].status == "not supported"


@pytest.mark.parametrize(
    ("finding", "p_value", "status"),
    [(Finding.FLAGGED, 0.1, "not supported"), (Finding.UNDETERMINED, 0.1, "not supported"),
     (Finding.UNDETERMINED, None, "not measured"), (Finding.CLEAR, 0.4, "supported")],
)  # fmt: skip
def test_only_a_clear_battery_supports_that_the_model_does_not_stand_out(
    finding: Finding, p_value: float | None, status: str
) -> None:
    assert argued(CLEAR.model_copy(update={"finding": finding, "p_value": p_value}))["behaviour"].status == status


def test_evidence_points_to_records_that_are_there() -> None:
    decision = decide((), CLEAR, TRIAL, None, Criteria())
    summary = written_summary().model_copy(update={"trial": TRIAL, "battery": CLEAR, "decision": decision})
    for claim in decision.argument:
        for piece in claim.evidence:
            at: object = summary
            for step in re.findall(r"[a-z_]+", piece.record):
                assert at is None or hasattr(at, step), piece.record
                at = getattr(at, step, None)


def test_numbers_and_bounds_are_quoted() -> None:
    said = " ".join(piece.says for piece in argued()["detection"].evidence)
    assert "1 of 2 families" in said and "at least 3%" in said and "locked" in said


@pytest.mark.parametrize(("finding", "holds"), list(product(Finding, (True, False))))
def test_nothing_is_ever_called_safe(finding: Finding, holds: bool) -> None:
    claims = argued(CLEAR.model_copy(update={"finding": finding}), holds=holds).values()
    assert "safe" not in " ".join(claim.model_dump_json() for claim in claims).lower()


def written_summary() -> Summary:
    return Summary(name="trial", model="tiny", specification=default_specification(), seed=0, cost=Cost())


@pytest.fixture
def finished(tmp_path: Path) -> Iterator[Path]:
    """A run with a trial of `THRESHOLDS`, as the pipeline leaves it."""
    with Run.open(tmp_path, Plan(name="trial", specification=default_specification()), display=NoDisplay()) as run:
        table = {name: limit.model_dump(mode="json") for name, limit in THRESHOLDS.items()}
        run.ledger.append("unseal", {"value": {"thresholds": table}})
        decision = decide((), CLEAR, TRIAL, None, Criteria())
        run.ledger.append("decision", decision.model_dump(mode="json"))
        summary = written_summary().model_copy(update={"trial": TRIAL, "decision": decision})
        run.write("summary.json", summary.model_dump_json())
        folder = run.folder
    yield folder


def test_a_trial_of_the_same_battery_is_quoted_under_its_name(finished: Path) -> None:
    found = trial_beside(finished.parent, THRESHOLDS)
    assert found is not None and found.run == finished.name
    claims = {claim.id: claim for claim in argue_beside((), CLEAR, found)}
    assert list(claims) == ["behaviour", "detection", "alarms", "seal", "inability", "control"]
    assert all(piece.record.startswith(f"{finished.name}: trial.") for piece in claims["detection"].evidence)
    assert claims["detection"].status == "not supported"  # as that run's own criteria say
    assert "was not trained there" in " ".join(claims["detection"].assumptions)


def test_another_battery_backs_nothing(finished: Path) -> None:
    """One more benign model, another score, other code, or one detector less: its rates are not those of the trial."""
    others = (
        {**THRESHOLDS, "internals": threshold("internals", [0.0, 0.2, 0.4, 0.6, 0.8, 1.0, 0.1])},
        {**THRESHOLDS, "internals": threshold("internals", [0.0, 0.2, 0.4, 0.6, 0.79, 1.0])},
        {**THRESHOLDS, "internals": THRESHOLDS["internals"].model_copy(update={"code": "another version"})},
        {"behaviour": THRESHOLDS["behaviour"]},
        {},
    )
    assert [trial_beside(finished.parent, other) for other in others] == [None] * 5
    assert {claim.id: claim.status for claim in argue_beside((), CLEAR, None)}["detection"] == "not measured"


def test_a_summary_that_its_ledger_does_not_bear_out_backs_nothing(finished: Path) -> None:
    path = finished / "summary.json"
    summary = Summary.model_validate_json(path.read_text())
    assert summary.decision
    claims = tuple(claim.model_copy(update={"status": "supported"}) for claim in summary.decision.argument)
    better = summary.decision.model_copy(update={"argument": claims})
    path.write_text(summary.model_copy(update={"decision": better}).model_dump_json())
    assert trial_beside(finished.parent, THRESHOLDS) is None


def test_a_summary_with_other_benign_scores_than_were_sealed_backs_nothing(finished: Path) -> None:
    path = finished / "summary.json"
    summary = Summary.model_validate_json(path.read_text())
    wished = {**THRESHOLDS, "internals": threshold("internals", [0.3])}
    edited = TRIAL.model_copy(update={"thresholds": tuple(wished.values())})
    path.write_text(summary.model_copy(update={"trial": edited}).model_dump_json())
    assert trial_beside(finished.parent, wished) is None


def test_runs_that_can_not_be_read_are_passed_over(finished: Path, tmp_path: Path) -> None:
    (finished.parent / "zz-empty").mkdir()
    damaged = Path(shutil.copytree(finished, finished.parent / "zz-damaged"))
    (damaged / "summary.json").write_text("{")
    headless = Path(shutil.copytree(finished, finished.parent / "zz-headless"))
    (headless / "ledger.db").unlink()
    found = trial_beside(finished.parent, THRESHOLDS)
    assert found is not None and found.run == finished.name
