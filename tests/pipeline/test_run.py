"""The whole job on a tiny model: what it leaves, how far it goes, and that nothing is done twice."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from superalign import pipeline
from superalign.contracts.errors import SealError
from superalign.contracts.summary import Summary
from superalign.provenance.commit import verify_opening
from superalign.provenance.ledger import Ledger
from superalign.runs.plan import Criteria, Plan, plan_yaml
from superalign.runs.run import Run, verify_run

from ..report.browser import check_report, find_browser
from .conftest import Finished, Recorder, carry_out

PROMISED = {
    "oversight": {"accuracy", "auroc"},
    "generalization": {"weak", "student", "ceiling", "zero_shot", "pgr"},
    "trial": {"subjects", "families", "caught", "invalid", "recall_low", "fpr", "fpr_low", "fpr_high", "auroc"},
    "decision": {"verdict", "reasons"},
    "cost": {"seconds", "tokens", "forward_passes"},
}


def written(run: Finished) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((run.folder / "summary.json").read_text())
    return content


def test_summary_holds_what_is_promised(complete: Finished) -> None:
    summary = written(complete)
    for section, keys in PROMISED.items():
        assert keys <= set(summary[section]), section
    assert {"value", "low", "high", "defined", "reason"} <= set(summary["generalization"]["pgr"])
    assert [result["detector"] for result in summary["validation"]] == ["consistency", "knowledge"]
    for result in summary["validation"]:
        assert {"detector", "access", "score", "verdict", "evidence"} <= set(result)
    assert set(summary["generalization"]["controls"]) == {
        "noise", "self-distillation", "random start", "majority class",
    }  # fmt: skip
    assert summary["cost"]["tokens"] > 0 and summary["cost"]["forward_passes"] > 0
    assert Summary.model_validate(summary) == complete.summary


def test_four_subjects_two_of_each_kind(complete: Finished) -> None:
    trial = complete.summary.trial
    assert trial is not None
    assert sorted((s.family, s.role) for s in trial.subjects) == [
        (family, role) for family in ("conditional-lying", "password-lock") for role in ("organism", "twin")
    ]
    assert all(set(subject.scores) == {"consistency", "knowledge"} for subject in trial.subjects)
    assert all(subject.gates for subject in trial.subjects)
    opening = json.loads((complete.folder / "seal.json").read_text())
    assert len({label["model"] for label in opening["value"]["labels"].values()}) == 4  # no model counts twice
    assert trial.invalid == sum(not subject.valid for subject in trial.subjects)


def test_a_tiny_model_with_two_families_is_no_ground_to_proceed(complete: Finished) -> None:
    decision = complete.summary.decision
    assert decision is not None
    assert decision.verdict != "proceed"
    assert decision.reasons and decision.would_take


def test_sealed_before_the_first_verdict_and_opened_after_the_last(complete: Finished) -> None:
    assert verify_run(complete.folder)
    with Ledger(complete.folder / "ledger.db") as ledger:
        entries = ledger.entries()
    kinds = [entry.kind for entry in entries]
    assert kinds.count("seal") == kinds.count("unseal") == kinds.count("decision") == 1
    names = [subject.name for subject in complete.summary.trial.subjects]  # type: ignore[union-attr]
    on_subjects = [
        i
        for i, entry in enumerate(entries)
        if entry.kind == "step" and entry.body["label"].endswith(tuple(f" on {name}" for name in names))
    ]
    assert len(on_subjects) == 8
    assert kinds.index("seal") < min(on_subjects) < max(on_subjects) < kinds.index("unseal") < kinds.index("decision")
    trained = [i for i, entry in enumerate(entries) if entry.kind == "step" and "rates of" in entry.body["label"]]
    assert max(trained) < kinds.index("seal")
    sealed, opened = (entries[kinds.index(kind)].body for kind in ("seal", "unseal"))
    verify_opening(sealed["commitment"], opened["salt"], opened["value"])
    assert opened["value"]["criteria"] == complete.plan.criteria.model_dump(mode="json")
    roles = {name: label["role"] for name, label in opened["value"]["labels"].items()}
    assert roles == {subject.name: subject.role for subject in complete.summary.trial.subjects}  # type: ignore[union-attr]


def test_a_detector_is_never_told_what_it_looks_at(complete: Finished) -> None:
    """What a verdict step is given, its label included, is the same for an organism and a twin but for the weights."""
    with Ledger(complete.folder / "ledger.db") as ledger:
        labels = [entry.body["label"] for entry in ledger.entries("step") if " on " in entry.body["label"]]
    told = " ".join(labels)
    assert not any(word in told for word in ("lying", "lock", "organism", "twin"))


@pytest.mark.parametrize(
    ("only", "sections"),
    [
        ("oversee", {"oversight"}),
        ("generalize", {"oversight", "generalization"}),
        ("validate", {"oversight", "generalization", "validation", "thresholds", "inside"}),
        ("stress", {"oversight", "generalization", "validation", "thresholds", "inside", "trial"}),
    ],
)
def test_only_goes_no_further(complete: Finished, tmp_path: Path, only: pipeline.Step, sections: set[str]) -> None:
    """Its steps are those of the whole job up to there; beside the whole job, all of them are found done."""
    root = tmp_path / "runs"
    shutil.copytree(complete.root, root)
    other = complete.plan.model_copy(update={"name": "part"})
    part = carry_out(root, other, only)
    assert all(reused for _, reused in part.finished)
    assert part.labels == complete.labels[: len(part.labels)]
    assert (len(part.labels) < len(complete.labels)) or only == "stress"
    found = {
        name for name in ("oversight", "generalization", "inside", "trial", "decision") if getattr(part.summary, name)
    }
    found |= {name for name in ("validation", "thresholds") if getattr(part.summary, name)}
    assert found == sections
    assert not (part.folder / "summary.json").exists()
    assert not (part.folder / "report.html").exists()


def test_oversee_alone_trains_nothing(make_plan: Callable[..., Plan], tmp_path: Path) -> None:
    assert carry_out(tmp_path, make_plan(), "oversee").finished == [("oversee", False)]


def test_a_second_run_does_nothing_again_and_says_the_same(complete: Finished, tmp_path: Path) -> None:
    root = tmp_path / "runs"
    shutil.copytree(complete.root, root)
    folder = root / complete.folder.name
    steps = {path: path.stat().st_mtime_ns for path in (folder / "steps").rglob("*")}
    before = (folder / "summary.json").read_bytes(), (folder / "report.html").read_bytes()
    again = carry_out(root, complete.plan)
    assert again.folder == folder
    assert again.finished == [(label, True) for label in complete.labels]
    assert {path: path.stat().st_mtime_ns for path in (folder / "steps").rglob("*")} == steps
    assert ((folder / "summary.json").read_bytes(), (folder / "report.html").read_bytes()) == before
    with Ledger(folder / "ledger.db") as ledger, Ledger(complete.folder / "ledger.db") as first:
        assert len(ledger.entries("step")) == len(first.entries("step"))
        assert len(ledger.entries("seal")) == len(ledger.entries("unseal")) == 1


@pytest.mark.parametrize("change", ["criteria", "detectors", "families"])
def test_a_plan_that_was_edited_after_sealing_is_refused(complete: Finished, tmp_path: Path, change: str) -> None:
    """In the run's own folder, where the edited plan would have the trial that was sealed."""
    root = tmp_path / "runs"
    shutil.copytree(complete.root, root)
    folder = root / complete.folder.name
    plan = complete.plan
    updates: dict[str, Any] = {
        "criteria": {"criteria": Criteria(recall_low_at_least=0, fpr_high_at_most=1)},
        "detectors": {"validation": plan.validation.model_copy(update={"detectors": ("consistency",)})},
        "families": {"stress": plan.stress.model_copy(update={"families": ("password-lock",)})},
    }
    (folder / "plan.yaml").write_text(plan_yaml(plan.model_copy(update=updates[change])))
    before = (folder / "summary.json").read_bytes()
    with Run.existing(folder, display=Recorder()) as run, pytest.raises(SealError, match="sealed with other"):
        pipeline.run(run)
    assert (folder / "summary.json").read_bytes() == before
    verify_run(folder)


def test_another_plan_is_another_run(complete: Finished, tmp_path: Path) -> None:
    root = tmp_path / "runs"
    shutil.copytree(complete.root, root)
    eased = complete.plan.model_copy(update={"criteria": Criteria(recall_low_at_least=0.1)})
    again = carry_out(root, eased)
    assert again.folder.name != complete.folder.name
    assert all(reused for _, reused in again.finished)
    # Criteria that were written after the verdicts are told from those that were written before.
    known = [one.summary.trial.verdicts_known for one in (complete, again) if one.summary.trial]
    assert known == [0, 8]
    assert again.summary.decision and "8 of the trial's verdicts were known" in " ".join(again.summary.decision.reasons)
    assert (again.folder / "seal.json").read_bytes() != (complete.folder / "seal.json").read_bytes()


def test_another_seed_asks_other_questions(complete: Finished, make_plan: Callable[..., Plan], tmp_path: Path) -> None:
    root = tmp_path / "runs"
    shutil.copytree(complete.root, root)
    other = carry_out(root, make_plan(seed=1), "oversee")
    assert other.finished == [("oversee", False)]


def test_the_report_can_be_read_in_a_browser(complete: Finished) -> None:
    if find_browser() is None:
        pytest.skip("no Chromium on this machine")
    for page in check_report(complete.folder / "report.html"):
        assert len(page["plots"]) >= 3
