"""Students by training loss: who learns what under each loss, and that nobody learns the truth but the ceiling."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, get_args

import numpy as np
import pytest
from cleanlab.filter import find_label_issues
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from superalign.contracts.records import Interval, Judgement, Question, Unscored
from superalign.generalization.confident_learning import doubted, out_of_sample
from superalign.generalization.losses import PATIENCE, Signal, material_for, signal_of, summarize, surest, train
from superalign.generalization.own_labels import consistent, negation
from superalign.models.handle import ModelIdentity
from superalign.runs.studies import LossesPlan, LossName
from superalign.runs.training import TrainingPlan

from .test_weak_to_strong import splits

MODEL = ModelIdentity(name="model", digest="0" * 64, device="cpu")


def signal(count: int = 40) -> Signal:
    rng = np.random.default_rng(0)
    questions = [Question(id=f"q{i}", prompt=f"Is {i} so?", level=0, group=f"g{i // 2}") for i in range(count)]
    judged: list[Judgement | Unscored] = [
        Judgement(question_id=question.id, probability=float(p))
        for question, p in zip(questions, rng.random(count), strict=True)
    ]
    judged[3] = Unscored(reason="no idea")
    return signal_of(questions, judged)


def material(loss: LossName, own: Signal, doubts: tuple[bool, ...] = ()) -> Any:
    """As in a run, in which confident learning has found these doubts."""
    run: Any = SimpleNamespace(step=lambda *args, **named: SimpleNamespace(value=SimpleNamespace(doubted=doubts)))
    return material_for(loss, own, run, MODEL, "cities")


def test_a_signal_is_the_labels_and_how_sure_the_overseer_was() -> None:
    own = signal()
    assert len(own.questions) == 39 and "q3" not in {question.id for question in own.questions}
    assert min(own.beliefs) >= 0.5 and set(own.labels) == {True, False}


@pytest.mark.parametrize("loss", [loss for loss in get_args(LossName) if loss != "consistency"])
def test_every_loss_learns_from_the_overseers_labels_alone(loss: LossName) -> None:
    own = signal()
    doubts = tuple(i % 5 == 0 for i in range(len(own.labels)))
    found = material(loss, own, doubts)
    label_of = {q.asked: label for q, label in zip(own.questions, own.labels, strict=True)}
    assert all((lesson.answer == "Yes") == label_of[lesson.conversation] for lesson in found.lessons)
    assert (found.patience == PATIENCE) == (loss == "early-stop")
    assert (found.loss is None) == (loss in ("xent", "filtered", "confident-learning", "early-stop"))
    if found.loss:
        assert found.loss.name == loss and found.loss.beliefs == own.beliefs
    if loss == "confident-learning":
        assert len(found.lessons) == len(own.labels) - sum(doubts)


def test_students_of_early_stop_are_stopped_by_agreement_with_weak_labels_and_others_never() -> None:
    seen: list[TrainingPlan] = []

    def step(label: str, function: Any, **named: Any) -> Any:
        seen.append(named["training"])
        return SimpleNamespace(value=SimpleNamespace(models=()))

    run: Any = SimpleNamespace(step=step)
    for loss in ("xent", "early-stop", "confidence"):
        train(run, MODEL, LossesPlan(seeds=2), loss, material(loss, signal()))
    assert [(own.patience, own.watched) for own in seen if own.patience] == [(PATIENCE, "disagreement")]
    assert seen[0] == seen[2] == LossesPlan().training


def test_consistency_learns_from_the_models_own_answers_where_it_does_not_contradict_itself() -> None:
    """Asked the opposite it should say the opposite, each time as seen from what it says on the whole."""
    plain, negated = [5.0, 3.0, 5.0, 3.0, 4.0], [-9.0, -7.0, -7.0, -9.0, -8.0]
    assert consistent(plain, negated) == [True, False, None, None, None]
    own = signal()
    said = tuple(None if i % 3 == 0 else i % 2 == 0 for i in range(len(own.labels)))
    run: Any = SimpleNamespace(step=lambda *args, **named: SimpleNamespace(value=SimpleNamespace(labels=said)))
    found = material_for("consistency", own, run, MODEL, "cities")
    assert [lesson.answer == "Yes" for lesson in found.lessons] == [label for label in said if label is not None]
    asked = negation(own.questions[0].asked)
    assert asked[-1].content.endswith(own.questions[0].asked[-1].content) and "No" in asked[-1].content


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.floats(0.5, 1)), min_size=4, max_size=30))
def test_the_surest_labels_of_each_answer_are_kept(drawn: list[tuple[bool, float]]) -> None:
    questions = tuple(Question(id=str(i), prompt=f"{i}?", level=0, group=str(i)) for i in range(len(drawn)))
    own = Signal(questions, tuple(label for label, _ in drawn), tuple(belief for _, belief in drawn))
    kept = surest(own)
    for answer in (True, False):
        beliefs = [(belief, keep) for (label, belief), keep in zip(drawn, kept, strict=True) if label == answer]
        inside, outside = ([belief for belief, keep in beliefs if keep is side] for side in (True, False))
        assert len(inside) - len(outside) in (0, 1)
        assert not inside or not outside or min(inside) >= max(outside)


def test_confident_learning_doubts_the_labels_that_were_flipped() -> None:
    """Of a rule that can be read off: most labels that were flipped are found, few others are doubted."""
    rng = np.random.default_rng(0)
    read = rng.normal(size=(400, 8))
    truth = read[:, 0] > 0
    flipped = rng.random(400) < 0.2
    labels = truth != flipped
    groups = [str(i // 2) for i in range(400)]
    found = doubted(labels, out_of_sample(read, labels.tolist(), groups))
    sure = np.abs(read[:, 0]) > 0.5  # near the boundary nobody could tell
    assert found[flipped & sure].mean() > 0.8 and found[~flipped].mean() < 0.1


def test_confident_learning_by_hand() -> None:
    labels = np.array([True, True, True, False, False, False])
    probability = np.array([0.9, 0.8, 0.1, 0.2, 0.1, 0.9])  # mean over true: 0.6; of no over false: 0.6
    assert doubted(labels, probability).tolist() == [False, False, True, False, False, True]
    both = np.array([0.55, 0.45, 0.5, 0.5, 0.55, 0.45])  # 0.5 of each on average; one of exactly 0.5 is no doubt
    assert doubted(labels, both).tolist() == [False, True, False, False, True, False]


@given(st.lists(st.tuples(st.booleans(), st.floats(0.01, 0.99)), min_size=2, max_size=60))
def test_confident_learning_doubts_what_cleanlab_doubts(labelled: list[tuple[bool, float]]) -> None:
    labels, probability = (np.array(column) for column in zip(*labelled, strict=True))
    assume(0 < labels.sum() < len(labels))
    joint = np.stack([1 - probability, probability], axis=1)
    theirs = find_label_issues(
        labels.astype(int), joint, filter_by="confident_learning", min_examples_per_class=0, n_jobs=1
    )
    assert doubted(labels, probability).tolist() == theirs.tolist()


def test_everything_is_measured_against_truth_of_the_hard_questions() -> None:
    parts = splits(60)
    truth = parts.key.of(parts.hard)
    right = np.where(truth, 2.0, -2.0)
    wrong_on_some = np.where(np.arange(len(truth)) % 3 == 0, -right, right)
    weak = np.where(np.arange(len(truth)) % 2 == 0, -right, right)
    found = summarize(
        "cities",
        parts,
        {"xent": np.array([weak, weak]), "confidence": np.array([wrong_on_some, wrong_on_some])},
        {"overseer": weak[None], "ceiling": np.array([right, right])},
        {"xent": 80, "confidence": 80},
        0.5,
        LossesPlan(bootstrap=200, seeds=2),
        seed=0,
    )
    xent, confidence = found.losses
    assert xent.pgr.value == pytest.approx(0) and confidence.pgr.value == pytest.approx(2 / 3 * 2 - 1, abs=0.01)
    assert isinstance(xent.over_xent, Interval) and xent.over_xent.value == 0
    assert isinstance(confidence.over_xent, Interval) and confidence.over_xent.low > 0
    assert isinstance(xent.agreement_on_weak_wrong, Interval) and xent.agreement_on_weak_wrong.value == 1
    sure = 1 / (1 + np.exp(-2.0))
    error = {own.name: own.calibration_error for own in found.references}
    assert isinstance(error["ceiling"], Interval) and error["ceiling"].value == pytest.approx(1 - sure, abs=0.01)
    assert isinstance(error["overseer"], Interval) and error["overseer"].value == pytest.approx(sure - 0.5, abs=0.02)
