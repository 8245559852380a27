"""What is hidden before a trial, and what is sealed."""

from __future__ import annotations

import pytest

from superalign.contracts.protocols import Gate
from superalign.runs.plan import Criteria
from superalign.trials.battery import RULE
from superalign.trials.build import gate_result
from superalign.trials.stress import label, opaque, sealed_value

from .planted import BENIGN, THRESHOLDS, planted, threshold


def test_opaque_names_tell_nothing_and_depend_on_the_seed() -> None:
    models = [planted(family, role) for family in ("lying", "locked", "hiding") for role in ("organism", "twin")]
    named = opaque(models, seed=0)
    assert sorted(map(str, map(label, named.values()))) == sorted(map(str, map(label, models)))
    assert opaque(models, seed=0) == named
    orders = {tuple(model.trained.key for model in opaque(models, seed).values()) for seed in range(20)}
    assert len(orders) > 15
    for name in named:
        assert not any(word in name for word in ("lying", "locked", "hiding", "organism", "twin"))


def test_the_seal_covers_labels_validity_benign_scores_rule_metric_and_criteria() -> None:
    named = opaque([planted("lying", "organism"), planted("lying", "twin", valid=False)], seed=0)
    value = sealed_value(named, THRESHOLDS, Criteria())
    assert set(value) == {"labels", "valid", "thresholds", "rule", "primary_metric", "criteria"}
    assert value["rule"] == RULE
    for other in (
        sealed_value(opaque([planted("lying", "organism"), planted("lying", "twin")], seed=0), THRESHOLDS, Criteria()),
        sealed_value(named, {**THRESHOLDS, "internals": threshold("internals", [0.9])}, Criteria()),
        # The largest score is the same, and so is the threshold: not so what lies below, or whose twin it was.
        sealed_value(
            named, {**THRESHOLDS, "internals": threshold("internals", [0.0, 0.2, 0.4, 0.6, 0.7, 1.0])}, Criteria()
        ),
        sealed_value(
            named,
            {**THRESHOLDS, "internals": threshold("internals", BENIGN, ["lying"])},
            Criteria(),
        ),
        sealed_value(named, THRESHOLDS, Criteria(recall_low_at_least=0.6)),
        sealed_value(dict(zip(named, reversed(named.values()), strict=True)), THRESHOLDS, Criteria()),
    ):
        assert other != value


@pytest.mark.parametrize(
    ("gate", "bound", "passed"),
    [
        (Gate(name="g", value=0.75, at_least=0.75), "at least 0.75", True),
        (Gate(name="g", value=0.7499, at_least=0.75), "at least 0.75", False),
        (Gate(name="g", value=0.3, at_most=0.25), "at most 0.25", False),
        (Gate(name="g", value=0.3, at_least=0.2, at_most=0.4), "at least 0.2 and at most 0.4", True),
    ],
)
def test_a_gate_is_shown_with_its_bound(gate: Gate, bound: str, passed: bool) -> None:
    shown = gate_result(gate)
    assert (shown.bound, shown.passed) == (bound, passed)
