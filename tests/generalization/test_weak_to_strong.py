"""Weak-to-strong: who is taught what, and what the headline is measured on."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from superalign.contracts.errors import InputError
from superalign.contracts.protocols import AnswerKey
from superalign.contracts.records import Judgement, Question, Unscored
from superalign.contracts.signals import Signal, SignalName
from superalign.generalization.pgr import PairedBootstrap
from superalign.generalization.weak_to_strong import (
    agreement_on_weak_wrong,
    flip,
    overseer_margin,
    summarize,
    train_controls,
    train_students,
)
from superalign.models.handle import ModelIdentity
from superalign.models.teach import answer, teach
from superalign.oversight.signals import signal_of
from superalign.runs.plan import GeneralizePlan, Plan
from superalign.tasks.specification import default_specification
from superalign.tasks.splits import HARD_LEVEL, Splits

MODEL = ModelIdentity(name="model", digest="0" * 64, device="cpu")


def splits(groups: int = 40) -> Splits:
    """Half for training, half for the test; every group has a true and a false question, levels go round."""
    questions = tuple(
        Question(id=f"{side}{i}-{kind}", prompt=f"Is {side}{i} {kind}?", level=i % 5, group=f"{side}{i}")
        for side in ("train", "test")
        for i in range(groups)
        for kind in ("so", "otherwise")
    )
    half = len(questions) // 2
    key = AnswerKey(truth={question.id: question.id.endswith("so") for question in questions})
    return Splits((), questions[:half], questions[half:], (), key, tuple(f"level {i}" for i in range(5)))


class Recorder:
    """Stands in for a run: keeps what each step would have been asked to do."""

    def __init__(self, seeds: int = 3, own_margins: tuple[float, ...] = ()) -> None:
        self.plan = Plan(name="plan", specification=default_specification(), generalize=GeneralizePlan(seeds=seeds))
        self.calls: list[tuple[str, Any, dict[str, Any]]] = []
        self._own_margins = own_margins

    def step(self, label: str, function: Any, **arguments: Any) -> Any:
        self.calls.append((label, function, arguments))
        models = [f"{label} {number}" for number in range(len(arguments.get("seeds", ())))]
        return SimpleNamespace(
            value=SimpleNamespace(margins=self._own_margins, models=models), part=lambda number, model: model
        )


def signal(parts: Splits, *, wrong: int = 0, failed: int = 0, name: SignalName = "labels") -> Signal:
    """An overseer that is wrong on the first questions and has no opinion on the last."""
    truth = parts.key.of(parts.train)
    judged: list[Judgement | Unscored] = [
        Judgement(question_id=question.id, probability=0.9 if value != (i < wrong) else 0.1)
        for i, (question, value) in enumerate(zip(parts.train, truth, strict=True))
    ]
    judged[len(judged) - failed :] = [Unscored(reason="no idea")] * failed
    return signal_of(name, parts.train, judged)


def test_student_and_ceiling_differ_in_nothing_but_labels() -> None:
    parts, run = splits(), Recorder()
    trained = train_students(run, MODEL, parts, signal(parts, wrong=10, failed=6))  # type: ignore[arg-type]
    [(label, function, arguments)] = run.calls
    assert function is teach and arguments["seeds"] == (0, 1, 2, 0, 1, 2)
    assert trained.students == [f"{label} {i}" for i in range(3)]
    assert trained.ceilings == [f"{label} {i}" for i in range(3, 6)]
    for seed in range(3):
        taught, true = arguments["lessons"][seed], arguments["lessons"][3 + seed]
        assert [lesson.conversation for lesson in taught] == [lesson.conversation for lesson in true]
        assert [lesson.group for lesson in taught] == [question.group for question in parts.train[:-6]]
        assert len(taught) == len(parts.train) - 6  # no lesson, for either, where the overseer had no opinion
        assert [a.answer != b.answer for a, b in zip(taught, true, strict=True)] == [True] * 10 + [False] * 64
    assert "label_losses" not in arguments


def test_of_preferences_the_ceiling_and_the_controls_learn_in_the_same_way() -> None:
    parts, run = splits(), Recorder(own_margins=tuple(range(80)))
    preferred = signal(parts, wrong=10, failed=6, name="preferences")
    train_students(run, MODEL, parts, preferred)  # type: ignore[arg-type]
    train_controls(run, MODEL, parts, preferred)  # type: ignore[arg-type]
    taught = [arguments for _, function, arguments in run.calls if function is teach]
    assert [len(own["lessons"]) for own in taught] == [6, 2, 1]
    for own in taught:
        assert [len(loss.beliefs) for loss in own["label_losses"]] == [len(lessons) for lessons in own["lessons"]]
        assert {loss.name for loss in own["label_losses"]} == {"preference"}
    assert [lesson.answer for lesson in taught[0]["lessons"][0]] == [
        {True: "Yes", False: "No"}[yes] for yes in preferred.answers if yes is not None
    ]


def test_preferences_that_are_all_alike_teach_nothing_and_say_so() -> None:
    parts = splits()
    judged = [Judgement(question_id=question.id, probability=0.8) for question in parts.train]
    with pytest.raises(InputError, match="the same answer to every question"):
        train_students(Recorder(), MODEL, parts, signal_of("preferences", parts.train, judged))  # type: ignore[arg-type]


def test_controls_learn_from_nothing_of_the_overseer() -> None:
    parts = splits(200)
    own = tuple(np.random.default_rng(0).normal(5, 1, len(parts.train)))
    run = Recorder(own_margins=own)
    controls = train_controls(run, MODEL, parts, signal(parts, wrong=100))  # type: ignore[arg-type]
    assert set(controls) == {"noise", "self-distillation", "random start"}
    together, random = (arguments for _, function, arguments in run.calls if function is teach)
    assert "random_body" not in together and random["random_body"]
    truth = parts.key.of(parts.train)
    by_name = dict(zip(controls, (*together["lessons"], *random["lessons"]), strict=True))
    said = {name: np.array([taught.answer == "Yes" for taught in lessons]) for name, lessons in by_name.items()}
    assert np.mean(said["noise"] != truth) == pytest.approx(0.25, abs=4 * np.sqrt(0.25 * 0.75 / 400))
    assert np.mean(said["noise"][:100] != truth[:100]) < 0.5  # its errors are not the overseer's
    assert (said["self-distillation"] == (np.array(own) > np.median(own))).all()
    assert ((said["random start"] != truth) == (np.arange(400) < 100)).all()
    assert [function for label, function, _ in run.calls if label == "own answers"] == [answer]


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.37, 1.0])
def test_noise_flips_at_the_rate_that_was_asked_for(rate: float) -> None:
    truth = np.arange(20_000) % 3 == 0
    flipped = np.array(flip(truth, rate, seed=5)) != truth
    assert flipped.mean() == pytest.approx(rate, abs=4 * np.sqrt(rate * (1 - rate) / len(truth)))
    assert flipped[truth].mean() == pytest.approx(rate, abs=0.03)  # on both classes alike
    assert flip(truth, rate, 5) == flip(truth, rate, 5)


def test_an_overseer_without_opinion_is_neither_yes_nor_no() -> None:
    sure, doubting = (Judgement(question_id="q", probability=p) for p in (1.0, 0.2))
    failed = Unscored(reason="no idea")
    questions = splits().train[:3]
    assert signal_of("labels", questions, [sure, doubting, failed]).answers == [True, False, None]
    assert overseer_margin(failed) == 0
    assert np.isfinite(overseer_margin(sure)) and overseer_margin(sure) > 0
    assert overseer_margin(doubting) == pytest.approx(np.log(0.2 / 0.8))


def test_headline_is_on_hard_questions_and_the_curve_on_all() -> None:
    """A student that is right on every hard question and wrong on every easy one."""
    parts = splits()
    levels = np.array([question.level for question in parts.test])
    signs = np.where(parts.key.of(parts.test), 1.0, -1.0)
    hard = levels >= HARD_LEVEL
    student = np.tile(np.where(hard, signs, -signs), (2, 1))
    sides = {
        "weak": np.where(np.arange(len(signs)) % 4 < 2, signs, -signs)[None],
        "student": student,
        "ceiling": np.tile(signs, (2, 1)),
        "zero_shot": -student[:1],
    }
    found = summarize(sides, {"noise": -student}, parts, GeneralizePlan(seeds=2, bootstrap=200), seed=0)
    assert found.student.accuracy == found.student.auroc == found.pgr.value == 1
    assert found.zero_shot.accuracy == found.controls["noise"].auroc == 0
    assert found.test_questions == hard.sum() < len(parts.test)
    assert [point.level for point in found.levels] == [0, 1, 2, 3, 4]
    assert [point.student for point in found.levels] == [0, 0, 1, 1, 1]
    assert {point.ceiling for point in found.levels} == {1}
    assert found.controls["majority class"].accuracy == 0.5
    assert found.levels[3].label == "level 3"


def test_agreement_where_the_overseer_is_wrong() -> None:
    truth = np.array([True, True, True, True, False, False, False, False])
    bootstrap = PairedBootstrap(truth, [str(i) for i in range(8)], resamples=400, seed=0)
    weak = np.array([1.0, 1.0, -1.0, -1.0, -1.0, -1.0, 1.0, 1.0])  # wrong on the third, fourth and last two
    student = np.array([[1, 1, -1, 1, -1, -1, -1, -1], [1, 1, -1, 1, -1, -1, 1, -1]], dtype=float)
    found = agreement_on_weak_wrong(weak, student, truth, bootstrap)
    assert found is not None
    assert found.value == pytest.approx((1 / 4 + 2 / 4) / 2)
    assert 0 <= found.low <= found.value <= found.high <= 1
    copied = agreement_on_weak_wrong(weak, np.array([weak]), truth, bootstrap)
    assert copied is not None and (copied.value, copied.low, copied.high) == (1, 1, 1)


def test_no_agreement_where_the_overseer_is_never_wrong() -> None:
    truth = np.array([True, False] * 4)
    bootstrap = PairedBootstrap(truth, [str(i) for i in range(8)], resamples=100, seed=0)
    right = np.where(truth, 1.0, -1.0)
    assert agreement_on_weak_wrong(right, right[None], truth, bootstrap) is None
