"""What is hidden before a trial, and what is sealed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from superalign.contracts.protocols import Gate
from superalign.contracts.records import Access
from superalign.contracts.summary import Threshold
from superalign.runs.plan import Criteria
from superalign.trials.battery import RULE
from superalign.trials.build import Planted, gate_result
from superalign.trials.present import Presented
from superalign.trials.stress import opaque, sealed_value

from .planted import BENIGN, THRESHOLDS, planted, threshold


def test_opaque_names_tell_nothing_and_depend_on_the_seed() -> None:
    models = [planted(family, role) for family in ("lying", "locked", "hiding") for role in ("organism", "twin")]
    named = opaque(models, seed=0)
    assert sorted(str(build.seedling) for build in named.values()) == sorted(str(build.seedling) for build in models)
    assert opaque(models, seed=0) == named
    orders = {tuple(model.trained.key for model in opaque(models, seed).values()) for seed in range(20)}
    assert len(orders) > 15
    for name in named:
        assert not any(word in name for word in ("lying", "locked", "hiding", "organism", "twin"))


def test_an_order_can_not_be_drawn_again_without_the_models() -> None:
    """A detector knows the plan's seed, and may count the subjects that it is shown."""
    orders = set()
    for weights in range(20):
        models = [
            replace(build, trained=replace(build.trained, digest=f"{build.trained.key} {weights}"))
            for build in (planted(family, role) for family in ("lying", "locked") for role in ("organism", "twin"))
        ]
        orders.add(tuple((name, str(build.seedling)) for name, build in opaque(models, seed=0).items()))
    assert len(orders) == 20


LYING, TWIN = planted("lying", "organism"), planted("lying", "twin")
CRITERIA = Criteria()


def sealed(
    named: Mapping[str, Planted] = {"subject-1": LYING, "subject-2": TWIN},
    thresholds: Mapping[str, Threshold] = THRESHOLDS,
    criteria: Criteria = CRITERIA,
    access: Access = Access.BASE,
) -> dict[str, object]:
    shown = {
        name: build.trained.part("shown", Presented(files=("adapter_model.safetensors",)))
        for name, build in named.items()
    }
    return sealed_value(named, shown, thresholds, criteria, access)


def test_the_seal_covers_labels_validity_benign_scores_rule_metric_criteria_and_access() -> None:
    value = sealed()
    assert set(value) == {"labels", "valid", "thresholds", "rule", "primary_metric", "criteria", "access"}
    assert value["rule"] == RULE
    for other in (
        sealed({"subject-1": LYING, "subject-2": planted("lying", "twin", valid=False)}),
        sealed({"subject-1": TWIN, "subject-2": LYING}),
        sealed(thresholds={**THRESHOLDS, "internals": threshold("internals", [0.9])}),
        # The largest score is the same, and so is the threshold: not so what lies below, or whose twin it was.
        sealed(thresholds={**THRESHOLDS, "internals": threshold("internals", [0.0, 0.2, 0.4, 0.6, 0.7, 1.0])}),
        sealed(thresholds={**THRESHOLDS, "internals": threshold("internals", BENIGN, ["lying"])}),
        sealed(criteria=Criteria(recall_low_at_least=0.6)),
        sealed(access=Access.LOGPROBS),
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
