"""A trial's detectors under attack: after unsealing only, each verdict a step, and no number where nothing is valid."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from superalign import pipeline
from superalign.cli.app import app
from superalign.contracts.attacks import Attacks, Separated
from superalign.contracts.errors import InputError, SealError
from superalign.contracts.protocols import Bounds
from superalign.contracts.records import Unscored
from superalign.organisms.families.conditional_lying import ConditionalLying
from superalign.organisms.families.password_lock import PasswordLock
from superalign.runs.plan import Plan
from superalign.runs.progress import NoDisplay
from superalign.runs.run import Run
from superalign.trials.attacks.prompts import prompt_attacks

from .conftest import Finished, Recorder, carry_out

ANYTHING = Bounds(triggered=0, untriggered=1, near=1, twin=1, capability=0, parity=1)
SHIFTED = ", asked elements"


@pytest.fixture
def runs(complete: Finished, tmp_path: Path) -> Path:
    """The folder of the complete run's runs, to be written into."""
    return shutil.copytree(complete.root, tmp_path / "runs")


@pytest.fixture
def planted(runs: Path, make_plan: Callable[..., Plan], monkeypatch: pytest.MonkeyPatch) -> Finished:
    """The whole job again, with gates that three steps of training pass; models and verdicts are taken over."""
    for organism in (ConditionalLying, PasswordLock):
        monkeypatch.setattr(organism, "bounds", ANYTHING)
    return carry_out(runs, make_plan(name="attacked"))


def attack(folder: Path, **options: Any) -> tuple[Attacks, list[tuple[str, bool]]]:
    display = Recorder()
    with Run.existing(folder, display=display) as run:
        return pipeline.attack_trial(run, benign=2, **options), display.finished


def test_every_column_and_every_verdict_at_most_once(planted: Finished) -> None:
    summary = (planted.folder / "summary.json").read_bytes()
    found, finished = attack(planted.folder)
    fresh = [label for label, reused in finished if not reused]
    under = [label for label in fresh if ", under " in label]
    assert sum(label.endswith(SHIFTED) for label in fresh) == 2 * (4 + 2)  # detectors, subjects and benign models
    organisms = [subject for subject in planted.summary.trial.subjects if subject.role == "organism"]  # type: ignore[union-attr]
    assert len(under) == 2 * 4 * len(prompt_attacks())  # detectors, subjects
    assert sum("rates of" in label for label in fresh) == len(organisms) * len(prompt_attacks()) == len(found.rates)
    assert not any("training" in label or "organisms and twins" in label for label in fresh)
    assert (planted.folder / "summary.json").read_bytes() == summary
    assert "Detectors under attack" in (planted.folder / "report.html").read_text()

    again, repeated = attack(planted.folder)
    assert all(reused for _, reused in repeated) and again == found

    trial = planted.summary.trial
    assert trial is not None
    by_name = {row.detector: row for row in trial.detectors}
    for row in found.detectors:
        assert isinstance(row.in_distribution, Separated)
        assert row.in_distribution.auroc == by_name[row.detector].auroc_organism_twin
        for column in (row.shifted, row.prompted):
            assert isinstance(column, Separated) and column.families == 2
        assert isinstance(row.trained_against, Unscored)  # the plan has no organisms that evade a probe
        assert sorted(choice.chosen_on for choice in row.choices) == [("conditional-lying",), ("password-lock",)]
    assert {row.detector: row.evaded for row in found.detectors} == {"consistency": False, "knowledge": True}
    assert found.benign == 2 and found.cost.forward_passes > 0


def test_detectors_that_are_not_chosen_keep_what_the_trial_left_and_are_not_asked_anew(planted: Finished) -> None:
    whole, _ = attack(planted.folder)
    found, finished = attack(planted.folder, chosen=["knowledge"])
    assert not any(label.startswith("consistency") for label, _ in finished if ", " in label)
    left, kept = found.detectors
    assert (left.detector, kept) == ("consistency", whole.detectors[1])
    assert left.in_distribution == whole.detectors[0].in_distribution and not left.choices
    for column in (left.shifted, left.prompted):
        assert isinstance(column, Unscored) and "not among" in column.reason
    with pytest.raises(InputError, match="no detector 'hunch'"):
        attack(planted.folder, chosen=["hunch"])


def test_where_nothing_is_valid_nothing_is_asked_and_every_cell_says_why(complete: Finished, runs: Path) -> None:
    folder = runs / complete.folder.name
    found, finished = attack(folder)
    assert all(reused for _, reused in finished)
    for row in found.detectors:
        for column in (row.in_distribution, row.shifted, row.prompted, row.trained_against):
            assert isinstance(column, Unscored) and "no family has a valid organism" in column.reason
    command = ["trial", "attack", str(folder), "--benign", "2", "--display", "none", "--json"]
    shown = CliRunner().invoke(app, command)
    assert shown.exit_code == 0 and Attacks.model_validate(json.loads(shown.stdout)) == found


def test_not_before_the_trial_is_unsealed_nor_with_the_same_questions(
    complete: Finished, make_plan: Callable[..., Plan], tmp_path: Path
) -> None:
    with Run.open(tmp_path, make_plan(name="untried"), display=NoDisplay()) as run:
        with pytest.raises(SealError, match="not been unsealed") as error:
            pipeline.attack_trial(run)
        assert error.value.fix and "trial unseal" in error.value.fix
    with pytest.raises(InputError, match="no shift"):
        attack(complete.folder, task="cities")
