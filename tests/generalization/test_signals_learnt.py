"""Students of preferences and of step rewards: by the code of a run, on a tiny model.

Nothing can be recovered where there is nothing to know: with shuffled truth PGR is undefined, or consistent with 0. A
rule that can be learnt shows that a leak would be seen.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from superalign.contracts.generalization import GeneralizationSummary
from superalign.contracts.protocols import AnswerKey, Trusted
from superalign.contracts.records import Judgement, Question, Unscored
from superalign.contracts.signals import SignalName
from superalign.generalization.weak_to_strong import Students, generalize, train_students
from superalign.models.handle import ModelIdentity, identify, open_base
from superalign.oversight.few_labels import FewLabels
from superalign.oversight.signals import signal_of
from superalign.runs.plan import Plan
from superalign.runs.progress import NoDisplay
from superalign.runs.run import Run
from superalign.tasks import steps
from superalign.tasks.specification import default_specification
from superalign.tasks.splits import Splits
from superalign.tasks.steps import supervised
from superalign.testing.tiny import tiny_model
from tests.generalization.test_label_leak import nothing, splits

TRAINING = {"steps": 50, "batch": 16, "rank": 4, "learning_rate": 1e-2, "first_layer": 0.4}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> ModelIdentity:
    return identify(str(tiny_model(tmp_path_factory.mktemp("models") / "tiny")))


def made(model: ModelIdentity, signal: SignalName) -> Plan:
    content = {
        "name": "signals",
        "model": model.name,
        "specification": default_specification().model_dump(mode="json"),
        "oversee": {"signal": signal},
        "generalize": {"seeds": 2, "bootstrap": 300, "training": TRAINING},
    }
    return Plan.model_validate(content)


class InSteps:
    """A task of two steps, whose truth is known to it by their ids alone."""

    def __init__(self, key: AnswerKey) -> None:
        self.key = key

    def bearing(self, asked: Question) -> tuple[int, ...]:
        return (1 if self.key.truth[asked.id] else -1,)


def in_steps(parts: Splits) -> tuple[Splits, InSteps]:
    """Of each two groups the four solutions with a question of either as a step. One of them is right, and nothing but
    the truth of its steps tells which.
    """
    truth, step_truth = dict(parts.key.truth), dict[str, bool]()

    def whole(questions: tuple[Question, ...]) -> tuple[Question, ...]:
        found = []
        for start in range(0, len(questions), 4):
            for first, second in product(questions[start : start + 2], questions[start + 2 : start + 4]):
                shown = {"id": f"{first.id}-{second.id}", "prompt": "?", "evidence": (first.prompt, second.prompt)}
                own = questions[start].model_copy(update=shown)
                right = [parts.key.truth[each.id] for each in (first, second)]
                step_truth.update({f"{own.id}/{line}": value for line, value in enumerate(right)})
                truth[own.id] = all(right)
                found.append(own)
        return tuple(found)

    made = replace(parts, train=whole(parts.train), test=whole(parts.test), key=AnswerKey(truth=truth))
    return made, InSteps(AnswerKey(truth=step_truth))


def measured(
    folder: Path, model: ModelIdentity, signal: SignalName, shuffled: bool, monkeypatch: pytest.MonkeyPatch
) -> GeneralizationSummary:
    parts = splits(shuffled=shuffled)
    parts = replace(parts, train=parts.train[:80], test=parts.test[:100])
    if signal == "steps":
        parts, task = in_steps(parts)
        monkeypatch.setattr(steps, "task_of_steps", lambda plan: task)
    with Run.open(folder, made(model, signal), display=NoDisplay()) as run:
        asked = supervised(run.plan, parts)
        given = Trusted(
            open_base(model), parts.overseer, parts.key.only(parts.overseer), default_specification()
        )  # its own labels, and no others
        overseer = FewLabels(regularization=1.0).learn(given)
        judged = [overseer.judge([read_whole(each) for each in own]) for own in (asked.train, asked.test)]
        found, _ = generalize(run, model, parts, signal_of(signal, asked.train, judged[0]), judged[1])
    assert found.signal == signal
    return found


def read_whole(question: Question) -> Question:
    """So that an overseer who is shown no evidence reads the step."""
    return question.model_copy(update={"prompt": "\n".join(question.evidence) or question.prompt, "evidence": ()})


@pytest.mark.parametrize("signal", ["preferences", "steps"])
def test_shuffled_truth_leaves_nothing_to_recover(
    signal: Any, model: ModelIdentity, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = measured(tmp_path, model, signal, True, monkeypatch)
    assert nothing(found.pgr) and nothing(found.pgr_auroc)
    assert found.student.auroc_interval.low < 0.5 and found.ceiling.auroc_interval.low < 0.5


@pytest.mark.parametrize("signal", ["preferences", "steps"])
def test_a_truth_that_can_be_learnt_is(
    signal: Any, model: ModelIdentity, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that the test above would have seen one."""
    found = measured(tmp_path, model, signal, False, monkeypatch)
    assert found.ceiling.auroc > 0.9 > found.zero_shot.auroc
    assert found.student.auroc > 0.8
    assert found.pgr_auroc.defined or found.weak.auroc > 0.9


def test_an_unscored_pair_trains_nothing_and_is_counted(model: ModelIdentity, tmp_path: Path) -> None:
    parts = splits(shuffled=False)
    parts = replace(parts, train=parts.train[:40])
    judged = [
        Judgement(question_id=question.id, probability=0.9 if parts.key.truth[question.id] else 0.1)
        for question in parts.train
    ]
    failed = [
        *judged[:30],
        *([Unscored(reason="no idea")] * 6),
        *[own.model_copy(update={"probability": 0.5}) for own in judged[36:]],
    ]
    signal = signal_of("preferences", parts.train, failed)
    assert signal.reasons == {"no idea": 6, "the overseer prefers neither answer": 4}

    def trained(folder: Path, own: Splits, signal: Any) -> Students:
        with Run.open(folder, made(model, "preferences"), display=NoDisplay()) as run:
            return train_students(run, model, own, signal)

    with_failures = trained(tmp_path / "some", parts, signal)
    without = trained(
        tmp_path / "none",
        replace(parts, train=parts.train[:30]),
        signal_of("preferences", parts.train[:30], judged[:30]),
    )
    assert with_failures.students[0].value.lessons == 30
    assert with_failures.students[0].digest == without.students[0].digest  # as if they had never been asked
