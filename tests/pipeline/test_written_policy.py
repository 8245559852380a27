"""The study of policies that write their own text, in a run; their training itself is tested with the models."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from superalign.contracts.records import Unscored
from superalign.generalization import written_texts
from superalign.models.decoder import Decoder
from superalign.models.subject import ModelSubject
from superalign.report.studies import parts
from superalign.runs.plan import Plan

from .conftest import carry_out

pytest.importorskip("trl")
STUDY = {
    "learn_prompts": 4,
    "train_prompts": 2,
    "test_prompts": 4,
    "learn_texts": 4,
    "pool": 4,
    "written": 2,
    "tokens": 8,
    "comparisons": 8,
    "members": 2,
    "betas": [0, 0.1],
    "looks": 2,
    "seeds": 2,
    "training": {"backend": "trl", "steps": 4, "batch": 8},
}


def written_plan(make_plan: Callable[..., Plan]) -> Plan:
    return make_plan(until="generalize", studies={"written_policy": STUDY})


def unmoved(
    base: ModelSubject, *_: object, by: Reinforcement | None = None, **__: Any
) -> Iterator[tuple[int, Decoder]]:
    """Policies that learnt nothing."""
    yield from ((step, base.decoder) for step in (2, 4))


def test_all_of_it_is_in_summary_and_report_and_computed_once(
    make_plan: Callable[..., Plan], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tiny model knows no cities: here it is worth something to write letters."""
    monkeypatch.setattr(written_texts, "worth", lambda _, text: sum(map(str.isalpha, text)) / (len(text) + 1))
    monkeypatch.setattr(written_texts, "right", lambda _, names: [name[:1].isalpha() for name in names])
    monkeypatch.setattr(written_texts, "policies", unmoved)
    plan = written_plan(make_plan)
    done = carry_out(tmp_path, plan)
    found = done.summary.studies and done.summary.studies.written_policy
    assert found and not isinstance(found.rewards, Unscored)
    assert [(own.supervised, own.combined, len(own.trained)) for own in found.rewards] == [
        ("outcome", "alone", 2),
        ("outcome", "worst", 1),
        ("process", "alone", 1),
    ]
    policy = found.rewards[0].trained[1]
    assert policy.beta == 0.1 and [point.strength for point in policy.curve.points] == [0, 2, 4]
    assert [own.value for own in policy.divergence] == pytest.approx([0, 0, 0], abs=1e-3)
    [shown] = [part for part in parts(done.summary.studies) if part.key == "written-policy"]
    page = (done.folder / "report.html").read_text()
    assert shown.title in page and all(figure.svg in page for figure in shown.figures)
    again = carry_out(tmp_path, plan)
    assert all(reused for label, reused in again.finished if "seed" in label)


def test_texts_that_are_all_worth_the_same_are_not_compared(make_plan: Callable[..., Plan], tmp_path: Path) -> None:
    done = carry_out(tmp_path, written_plan(make_plan))
    found = done.summary.studies and done.summary.studies.written_policy
    assert found and isinstance(found.rewards, Unscored) and "worth the same" in found.rewards.reason
    assert "Not measured" in (done.folder / "report.html").read_text()
