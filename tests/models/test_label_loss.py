"""Losses for labels that may be wrong: each is the formula it names, is learnt from, and leaves others alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from superalign.contracts.errors import InputError
from superalign.models.card import read_card
from superalign.models.handle import open_trained
from superalign.models.label_loss import BETA, CONFIDENCE, LabelLoss, LabelLosses, LabelLossName
from superalign.models.lessons import Lesson, Pupil, Recipe
from superalign.models.subject import ModelSubject
from superalign.models.train import train
from tests.models.conftest import RECIPE, rule_lessons

NAMES: tuple[LabelLossName, ...] = ("soft", "confidence", "product", "bootstrap-soft", "bootstrap-hard")
CPU = torch.device("cpu")


def found(
    name: LabelLossName, logits: torch.Tensor, label: torch.Tensor, beliefs: list[float], fraction: float = 1.0
) -> torch.Tensor:
    """The whole loss of each row: cross-entropy with its label, and what the loss adds."""
    losses = LabelLosses([LabelLoss(name=name, beliefs=tuple(beliefs))], [len(label)], CPU)
    losses.fraction = fraction
    added = losses.beyond_labels(logits, label, torch.arange(len(label)))
    return F.cross_entropy(logits, label, reduction="none") + added


rows = st.lists(
    st.tuples(st.floats(-5, 5), st.floats(-5, 5), st.booleans(), st.floats(0.5, 0.99)), min_size=2, max_size=12
)


@settings(max_examples=60, deadline=None)
@given(rows=rows, name=st.sampled_from(NAMES), fraction=st.floats(0, 1))
def test_each_is_cross_entropy_with_the_target_of_its_paper(
    rows: list[tuple[float, float, bool, float]], name: LabelLossName, fraction: float
) -> None:
    logits = torch.tensor([row[:2] for row in rows])
    label, beliefs = torch.tensor([int(row[2]) for row in rows]), [row[3] for row in rows]
    probability, hard = logits.softmax(1), F.one_hot(label, 2).float()
    belief = torch.tensor(beliefs)[:, None]
    soft = torch.where(hard == 1, belief, 1 - belief)
    weight = CONFIDENCE * min(1.0, fraction / 0.2)
    order = (logits[:, 1] - logits[:, 0]).argsort(descending=True, stable=True)
    own = torch.zeros(len(rows), dtype=torch.long)
    own[order[: int(label.sum())]] = 1
    taken = probability * soft
    target = {
        "soft": soft,
        "confidence": (1 - weight) * hard + weight * F.one_hot(own, 2),
        "product": taken / taken.sum(1, keepdim=True),
        "bootstrap-soft": 0.95 * hard + 0.05 * probability,
        "bootstrap-hard": 0.8 * hard + 0.2 * F.one_hot((logits[:, 1] > logits[:, 0]).long(), 2),
    }[name]
    expected = -(target * logits.log_softmax(1)).sum(1)
    got = found(name, logits, label, beliefs, fraction)
    if name == "confidence":  # whose own answers between equal margins are anybody's
        assert got.sum() == pytest.approx(float(expected.sum()), abs=1e-4)
    elif name == "bootstrap-hard":
        apart = (logits[:, 1] != logits[:, 0]).numpy()
        assert got.numpy()[apart] == pytest.approx(expected.numpy()[apart], abs=1e-4)
    else:
        assert got.numpy() == pytest.approx(expected.numpy(), abs=1e-4)


def test_confidence_grows_smoothly_from_nothing_and_keeps_the_balance_of_the_labels() -> None:
    logits = torch.tensor([[0.0, 3.0], [0.0, 2.0], [0.0, 1.0], [0.0, 0.5]])  # all lean to the second answer
    label = torch.tensor([0, 1, 0, 0])  # of which one is
    plain = F.cross_entropy(logits, label, reduction="none")
    start, *later = (
        found("confidence", logits, label, [1.0] * 4, fraction) - plain for fraction in (0, 0.05, 0.1, 0.2, 1)
    )
    assert start.abs().max() == 0
    assert [float(change[0]) for change in later] == pytest.approx(
        [-3 * CONFIDENCE * part for part in (0.25, 0.5, 1, 1)]
    )
    # The first is the only one that is taken for the second answer, though all margins are above 0.
    assert [float(own) for own in later[-1]] == pytest.approx([-3 * CONFIDENCE, 2 * CONFIDENCE, 0, 0])


def test_gradients_flow_through_the_models_own_answer_in_soft_bootstrapping_alone() -> None:
    """If they did not, it would be cross-entropy with smaller steps; if they did in a product, it could cheat."""
    label = torch.tensor([1, 0, 1])
    for name in NAMES:
        logits = torch.tensor([[0.3, 1.0], [0.2, 0.9], [1.5, -1.0]], requires_grad=True)
        found(name, logits, label, [0.9] * 3).sum().backward()
        assert logits.grad is not None
        plain = logits.detach().requires_grad_()
        F.cross_entropy(plain, label, reduction="sum").backward()
        assert plain.grad is not None
        scaled = torch.allclose(logits.grad, plain.grad * 0.95, atol=1e-6)
        assert not scaled, name


def test_labels_of_three_answers_are_refused() -> None:
    with pytest.raises(InputError, match="3 different answers"):
        found("soft", torch.zeros(2, 3), torch.tensor([0, 1]), [0.5, 0.5])


def train_with(
    base: ModelSubject, folder: Path, recipe: Recipe, *pupils: tuple[list[Lesson], LabelLoss | None]
) -> list[ModelSubject]:
    places = [folder / str(i) for i in range(len(pupils))]
    given = [Pupil(own, 0, place, label_loss=loss) for (own, loss), place in zip(pupils, places, strict=True)]
    train(base, given, recipe, base_digest="0")
    return [open_trained(base, place, "s") for place in places]


def margins(subject: ModelSubject, lessons: list[Lesson]) -> np.ndarray:
    return subject.margins(subject.decoder.final([lesson.prompt for lesson in lessons]))


@pytest.fixture(scope="module")
def lessons(tiny: ModelSubject) -> list[Lesson]:
    return rule_lessons(tiny, ("apple", "bridge"), 40)


@pytest.mark.parametrize("name", NAMES)
def test_a_model_learns_from_good_labels_by_each(
    name: LabelLossName, tiny: ModelSubject, lessons: list[Lesson], tmp_path: Path
) -> None:
    loss = LabelLoss(name=name, beliefs=(0.9,) * len(lessons))
    [model] = train_with(tiny, tmp_path, RECIPE, (lessons, loss))
    yes = np.array([lesson.answer[0] == tiny.chat.answer("Yes")[0] for lesson in lessons])
    assert ((margins(model, lessons) > 0) == yes).mean() >= 0.95
    card = read_card(tmp_path / "0")
    assert card.label_loss == name and card.beliefs_digest


def test_soft_labels_are_learnt_as_probabilities(tiny: ModelSubject, lessons: list[Lesson], tmp_path: Path) -> None:
    beliefs = tuple(0.7 if i % 2 == 0 else 0.9 for i in range(len(lessons)))
    [model] = train_with(tiny, tmp_path, replace(RECIPE, steps=150), (lessons, LabelLoss(name="soft", beliefs=beliefs)))
    said = 1 / (1 + np.exp(-margins(model, lessons)))
    assert said[::2].mean() == pytest.approx(0.7, abs=0.08) and said[1::2].mean() == pytest.approx(0.1, abs=0.08)


@settings(max_examples=60, deadline=None)
@given(rows=rows, before=st.lists(st.tuples(st.floats(-5, 5), st.floats(-5, 5)), min_size=12, max_size=12))
def test_a_preference_is_learnt_by_equation_7(
    rows: list[tuple[float, float, bool, float]], before: list[tuple[float, float]]
) -> None:
    """Written out in log-probabilities of policy and reference, as in the paper."""
    logits, reference = torch.tensor([row[:2] for row in rows]), torch.tensor(before[: len(rows)])
    label, row = torch.tensor([int(row[2]) for row in rows]), torch.arange(len(rows))
    policy, start, chosen = logits.log_softmax(1), reference.log_softmax(1), label[:, None]
    gained = (policy - start).gather(1, chosen) - (policy - start).gather(1, 1 - chosen)
    for beliefs in ([1.0] * len(rows), [row[3] for row in rows]):
        losses = LabelLosses([LabelLoss(name="preference", beliefs=tuple(beliefs))], [len(rows)], CPU)
        assert losses.compares and losses.vocabulary.tolist() == [0]
        losses.remember(reference, row)
        got = F.cross_entropy(logits, label, reduction="none") + losses.beyond_labels(logits, label, row)
        sure = torch.tensor(beliefs)[:, None]
        expected = -(sure * F.logsigmoid(BETA * gained) + (1 - sure) * F.logsigmoid(-BETA * gained))
        assert got.numpy() == pytest.approx(expected[:, 0].numpy(), abs=1e-4)


def preferring(base: ModelSubject, folder: Path, *taught: list[Lesson], recipe: Recipe = RECIPE) -> list[ModelSubject]:
    loss = LabelLoss(name="preference", beliefs=(1.0,) * len(taught[0]))
    return train_with(base, folder, recipe, *[(own, loss) for own in taught])


def test_swapped_preferences_give_the_opposite_student(
    tiny: ModelSubject, lessons: list[Lesson], tmp_path: Path
) -> None:
    yes, no = (tiny.chat.answer(word)[:1] for word in ("Yes", "No"))
    swapped = [replace(lesson, answer=no if lesson.answer[:1] == yes else yes) for lesson in lessons]
    plainly = [replace(lesson, answer=lesson.answer[:1]) for lesson in lessons]
    one, other = preferring(tiny, tmp_path, plainly, swapped)
    new = rule_lessons(tiny, ("apple", "bridge"), 20, start=40)
    truth = np.array([lesson.answer[:1] == yes for lesson in new])
    assert ((margins(one, new) > 0) == truth).mean() > 0.9
    assert ((margins(other, new) > 0) == ~truth).mean() > 0.9


def test_preferences_equal_to_the_labels_give_a_student_that_answers_alike(
    tiny: ModelSubject, lessons: list[Lesson], tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    yes, no = (tiny.chat.answer(word)[:1] for word in ("Yes", "No"))
    noisy = [  # with errors, which both are told alike
        replace(lesson, answer=no if (lesson.answer[:1] == yes) != (rng.random() < 0.1) else yes) for lesson in lessons
    ]
    [by_preferences] = preferring(tiny, tmp_path / "preferences", noisy)
    [by_labels] = train_with(tiny, tmp_path / "labels", RECIPE, (noisy, None))
    new = rule_lessons(tiny, ("apple", "bridge"), 40, start=40)
    assert ((margins(by_preferences, new) > 0) == (margins(by_labels, new) > 0)).mean() > 0.8


def test_a_preference_is_measured_from_where_the_model_began(
    tiny: ModelSubject, lessons: list[Lesson], tmp_path: Path
) -> None:
    """The first step's loss is log 2, however the model leant before."""
    loss = LabelLoss(name="preference", beliefs=(1.0,) * len(lessons))
    train_with(tiny, tmp_path, replace(RECIPE, steps=1), (lessons, loss))
    first = read_card(tmp_path / "0").fit.curve[0].loss
    assert first == pytest.approx(np.log(2), abs=2e-3)


def test_a_model_without_such_a_loss_is_not_changed_by_its_company(
    tiny: ModelSubject, lessons: list[Lesson], tmp_path: Path
) -> None:
    recipe = replace(RECIPE, steps=10)
    [alone] = train_with(tiny, tmp_path / "alone", recipe, (lessons, None))
    loss = LabelLoss(name="preference", beliefs=(1.0,) * len(lessons))
    beside, _ = train_with(tiny, tmp_path / "preferring", recipe, (lessons, None), (lessons, loss))
    assert np.abs(margins(beside, lessons) - margins(alone, lessons)).max() < 1e-3
    loss = LabelLoss(name="soft", beliefs=(0.6,) * len(lessons))
    beside, softened = train_with(tiny, tmp_path / "both", recipe, (lessons, None), (lessons, loss))
    same, other = (np.abs(margins(one, lessons) - margins(alone, lessons)).max() for one in (beside, softened))
    assert same < 1e-3 < 0.05 < other
    assert "label_loss" not in (tmp_path / "alone" / "0" / "card.json").read_text()


@pytest.mark.parametrize("recipe", [replace(RECIPE, backend="peft"), replace(RECIPE, trained="layers")])
def test_other_back_ends_refuse_it(recipe: Recipe, tiny: ModelSubject, lessons: list[Lesson], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cross-entropy with the labels alone"):
        train_with(tiny, tmp_path, recipe, (lessons, LabelLoss(name="soft", beliefs=(0.6,) * len(lessons))))
