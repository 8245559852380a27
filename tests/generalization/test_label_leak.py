"""Nothing can be recovered where there is nothing to know: with shuffled truth PGR is undefined, or consistent with 0.

Real training of a tiny model, by the code that a run uses. A rule that it can learn shows that a leak would be seen.
"""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from superalign.contracts.generalization import PGR
from superalign.contracts.protocols import AnswerKey, Trusted
from superalign.contracts.records import Question
from superalign.contracts.studies.losses import TaskLosses
from superalign.generalization import losses
from superalign.models.handle import ModelIdentity, identify, open_base
from superalign.oversight.few_labels import FewLabels
from superalign.runs.plan import Plan
from superalign.runs.progress import NoDisplay
from superalign.runs.run import Run
from superalign.runs.studies import LossesPlan
from superalign.tasks.cities import Cities
from superalign.tasks.specification import default_specification
from superalign.tasks.splits import Splits
from superalign.testing.tiny import tiny_model

SIZES = {"overseer": 20, "train": 80, "test": 80}  # groups
PLAN = LossesPlan.model_validate(
    {
        "losses": ["xent", "confidence", "filtered"],
        "seeds": 3,
        "bootstrap": 500,
        "training": {"steps": 60, "batch": 16, "rank": 4, "learning_rate": 1e-2, "first_layer": 0.4},
    }
)


def splits(*, shuffled: bool) -> Splits:
    """Questions that open with one of two words. The truth is which one, or what a coin made of it for each group."""
    rng = np.random.default_rng(0)
    asked = Cities().load(limit=sum(SIZES.values()), seed=3)[0]
    opens = rng.permuted(np.tile([True, False], (len(asked) // 2, 1)), axis=1).ravel()
    questions = [
        Question(id=f"q{i}", prompt=f"{'apple' if opening else 'bridge'}: {q.prompt}", level=2, group=f"g{i // 2}")
        for i, (q, opening) in enumerate(zip(asked, opens, strict=True))
    ]
    truth = opens ^ np.repeat(rng.random(len(opens) // 2) < 0.5, 2) if shuffled else opens
    ends = np.cumsum([2 * size for size in SIZES.values()])
    parts = [tuple(questions[start:end]) for start, end in zip((0, *ends), ends, strict=False)]
    key = AnswerKey(truth={question.id: bool(value) for question, value in zip(questions, truth, strict=True)})
    return Splits(*parts, (), key, ("easy", "harder", "hard"))


def judged_by_few_labels(run: Run, name: str, overseer: Any, model: ModelIdentity, parts: Splits, sets: Any, **_: Any):
    """What oversight does in a run: the overseer is given its own labels, and no others."""
    key = parts.key.only(parts.overseer)
    taught = FewLabels(regularization=1.0).learn(
        Trusted(open_base(model), parts.overseer, key, default_specification(), 0)
    )
    return SimpleNamespace(value=SimpleNamespace(judged=[own for asked in sets for own in taught.judge(asked)]))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> ModelIdentity:
    return identify(str(tiny_model(tmp_path_factory.mktemp("models") / "tiny")))


def measured(folder: Path, model: ModelIdentity, parts: Splits, monkeypatch: pytest.MonkeyPatch) -> TaskLosses:
    monkeypatch.setattr(losses, "divided", lambda plan, task, seed: parts)
    plan = Plan(name="leak", model=model.name, specification=default_specification())
    with Run.open(folder, plan, display=NoDisplay()) as run:
        return losses.study_on(run, model, PLAN, "cities", judged_by_few_labels)


def test_shuffled_truth_leaves_nothing_to_recover(
    model: ModelIdentity, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = measured(tmp_path, model, splits(shuffled=True), monkeypatch)
    for own in found.losses:
        assert nothing(own.pgr) and nothing(own.pgr_auroc), own.loss
        assert own.score.auroc_interval.low < 0.5
    [ceiling] = (own for own in found.references if own.name == "ceiling")
    assert ceiling.score.auroc_interval.low < 0.5


def test_a_truth_that_can_be_learnt_is(model: ModelIdentity, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that the test above would have seen one."""
    found = measured(tmp_path, model, splits(shuffled=False), monkeypatch)
    scores = {own.name: own.score for own in found.references}
    assert scores["ceiling"].auroc > 0.9 > scores["zero-shot"].auroc
    assert all(own.pgr.defined and own.pgr_auroc.defined for own in found.losses)


def nothing(found: PGR) -> bool:
    """Whether a PGR says that nothing was recovered, or that there was nothing to recover."""
    return not found.defined or (found.low is not None and found.high is not None and found.low <= 0 <= found.high)
