"""What is inside a tiny model, from the plan to the report."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from superalign import pipeline
from superalign.contracts.readings import FeatureCard, ProbeReading, TokenHeat
from superalign.contracts.records import Access, Interval, Unscored
from superalign.models.handle import ModelIdentity, identify
from superalign.report.html import render
from superalign.runs.plan import Plan
from superalign.runs.run import Run
from superalign.testing.tiny import tiny_model
from superalign.trials.assess import Auditor
from superalign.trials.inside import look_inside

from .conftest import Recorder

STEPS = ["probe every second layer", "read the truth token by token", "explain features"]


@pytest.fixture(scope="module")
def other(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> ModelIdentity:
    """A model of the same shape that somebody else made."""
    return identify(str(tiny_model(tmp_path_factory.mktemp("other") / "model", seed=1)), str(tiny))


def prepared(run: Run) -> tuple[ModelIdentity, Auditor]:
    model, _, auditor = pipeline.prepare(run, "cpu")
    return model, auditor


def test_all_of_it_is_measured_once_and_drawn(
    make_plan: Callable[..., Plan], other: ModelIdentity, tmp_path: Path
) -> None:
    display = Recorder()
    plan = make_plan(validate={"habits": 2, "detectors": ["knowledge", "features"]})
    with Run.open(tmp_path, plan, display=display) as run:
        model, auditor = prepared(run)
        found = look_inside(run, model, auditor, user_model=other)
        page = render(pipeline.summary(run, {"inside": found}))
        assert run.cost().forward_passes > 0
    assert found is not None and isinstance(found.probe, ProbeReading)
    assert [layer.layer for layer in found.probe.layers] == [2, 4]
    assert all(isinstance(layer.base, Interval) for layer in found.probe.layers)
    assert isinstance(found.heat, tuple) and all(isinstance(heat, TokenHeat) for heat in found.heat) and found.heat
    assert isinstance(found.features, tuple) and all(isinstance(card, FeatureCard) for card in found.features)
    assert found.features
    assert display.finished == [(step, False) for step in STEPS]
    assert "Inside the model" in page and page.count('class="tokens"') >= len(found.heat)

    again = Recorder()
    with Run.open(tmp_path, plan, display=again) as run:
        assert look_inside(run, *prepared(run), user_model=other) == found
    assert again.finished == [(step, True) for step in STEPS]


def test_less_access_shows_less(make_plan: Callable[..., Plan], other: ModelIdentity, tmp_path: Path) -> None:
    display = Recorder()
    with Run.open(tmp_path, make_plan(), display=display) as run:
        model, auditor = prepared(run)
        seen = auditor.model_copy(update={"access": Access.ACTIVATIONS})
        found = look_inside(run, model, seen, user_model=other)
        blind = auditor.model_copy(update={"access": Access.LOGPROBS})
        assert look_inside(run, model, blind, user_model=other) is None
    assert found is not None and isinstance(found.probe, ProbeReading)
    unseen = {control.name for control in found.probe.controls if isinstance(control.auroc, Unscored)}
    assert unseen == {"input embeddings", "base model"}
    assert isinstance(found.heat, Unscored) and found.features is None
    assert [step for step, _ in display.finished] == STEPS[:2]
