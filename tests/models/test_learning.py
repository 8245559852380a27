"""The loop behind every back end: what is held out, when it stops, and what happens when memory runs out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from superalign.contracts.errors import InputError
from superalign.contracts.protocols import Taught
from superalign.models.learning import CHECK_EVERY, Fit, Loss, Slot, States, can_join, fit
from superalign.models.lessons import Lesson, Recipe, Watched, batch_order, belonging_together, lessons_from, split
from superalign.models.subject import ModelSubject
from tests.models.conftest import RECIPE, user

WATCHED = replace(RECIPE, patience=CHECK_EVERY, steps=200, learning_rate=0.3)


class Table:
    """Learns the logits of each prompt's first token by heart; lessons of other prompts it knows nothing of."""

    def __init__(
        self, lessons: Sequence[Lesson], *, fits: float = float("inf"), error: Exception | None = None
    ) -> None:
        self.lessons, self.fits, self.error = lessons, fits, error
        self.tried: list[int] = []
        self.parameters: Sequence[nn.Parameter] = [nn.Parameter(torch.zeros(10, 4))]
        self.head = torch.eye(4)

    def parts(self, slots: Sequence[Slot]) -> list[list[Slot]]:
        return [list(slots)]

    def states(self, slots: Sequence[Slot]) -> States:
        self.tried.append(len(slots))
        if len(slots) > self.fits:
            assert self.error is not None
            raise self.error
        table, own = self.parameters[0], [self.lessons[row] for (row,) in slots]
        return States(torch.cat([table[[lesson.prompt[0]] * len(lesson.answer)] for lesson in own]))


def fit_one(table: Table, taught: Sequence[Lesson], recipe: Recipe) -> Fit:
    [done] = fit(table, [taught], recipe, seeds=[0])
    return done


def slots_of(rows: Iterable[int]) -> list[Slot]:
    return [(row,) for row in rows]


def lessons(labels: Sequence[int], prompts: Sequence[int]) -> list[Lesson]:
    return [Lesson((prompt, i), (label,)) for i, (prompt, label) in enumerate(zip(prompts, labels, strict=True))]


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 5), st.sampled_from([None, "a", "b", "c"])), min_size=1, max_size=30),
    st.integers(1, 4),
    st.integers(0, 3),
)
def test_no_group_prompt_or_bundle_is_on_both_sides(
    drawn: list[tuple[int, str | None]], bundle: int, seed: int
) -> None:
    taught = [Lesson((prompt,), (1,), group) for prompt, group in drawn]
    recipe = replace(RECIPE, patience=1, bundle=bundle)
    groups = belonging_together(taught, bundle)
    assert sorted(row for rows in groups for row in rows) == list(range(len(taught)))
    if len(groups) == 1:
        with pytest.raises(InputError, match="one group"):
            split(taught, recipe, seed=seed)
        return
    train, held_out = split(taught, recipe, seed=seed)
    assert sorted(train + held_out) == list(range(len(taught))) and train and held_out
    assert (train, held_out) == split(taught, recipe, seed=seed)
    for mark in (lambda i: taught[i].prompt, lambda i: taught[i].group or f"none {i}", lambda i: i // bundle):
        assert not {mark(i) for i in train} & {mark(i) for i in held_out}


def test_lessons_that_share_nothing_are_groups_of_their_own() -> None:
    taught = lessons([0, 1, 0], [0, 0, 0])
    assert belonging_together(taught, 1) == [[0], [1], [2]]


def test_nothing_is_held_out_unless_asked_for() -> None:
    taught = lessons([0, 1] * 20, [0, 1] * 20)
    table = Table(taught)
    done = fit_one(table, taught, replace(RECIPE, steps=7))
    assert (done.held_out, done.steps, done.kept_step, done.stopped_by) == (0, 7, 7, "budget")
    assert all(point.held_out is None for point in done.curve)


def test_it_stops_when_held_out_lessons_get_worse_and_keeps_the_best_weights() -> None:
    """Answers drawn by chance: whatever is learnt of some is wrong for others."""
    labels = torch.randint(2, (60,), generator=torch.Generator().manual_seed(3)).tolist()
    taught = [replace(lesson, prompt=(i % 6, i)) for i, lesson in enumerate(lessons(labels, [0] * 60))]
    table = Table(taught)
    done = fit_one(table, taught, WATCHED)
    assert done.stopped_by == "held-out loss" and done.steps < WATCHED.steps
    looked = {point.step: point.held_out for point in done.curve if point.held_out is not None}
    assert looked[done.kept_step] == min(looked.values())
    assert done.steps - done.kept_step == CHECK_EVERY
    _, held_out = split(taught, WATCHED, seed=0)
    assert Loss(table, [taught]).measured(slots_of(held_out)) == pytest.approx(looked[done.kept_step])


def test_it_stops_when_agreement_with_held_out_labels_rises_no_more_and_keeps_the_first_that_agrees_most() -> None:
    """Three of ten labels are drawn against the rule. The rule is learnt within a few steps; from then on agreement
    stays, while the loss goes on to fall.
    """
    wrong = (torch.rand(200, generator=torch.Generator().manual_seed(1)) < 0.3).tolist()
    taught = lessons([(i % 2) ^ flipped for i, flipped in enumerate(wrong)], [i % 2 for i in range(200)])
    recipe = replace(WATCHED, learning_rate=0.02)
    agreeing, by_loss = Table(taught), fit_one(Table(taught), taught, recipe)
    done = fit_one(agreeing, taught, replace(recipe, watched="disagreement"))
    looked = {point.step: point.held_out for point in done.curve if point.held_out is not None}
    rows = split(taught, recipe, seed=0)[1]
    assert looked[0] == sum(taught[row].answer[0] != 0 for row in rows) / len(rows)  # all alike: the first answer
    assert min(looked.values()) == sum(wrong[row] for row in rows) / len(rows) < looked[0]
    assert done.stopped_by == "held-out disagreement" and done.kept_step == min(looked, key=lambda step: looked[step])
    assert done.steps - done.kept_step == CHECK_EVERY and done.kept_step < by_loss.kept_step
    assert Loss(agreeing, [taught]).disagreement(slots_of(rows)) == looked[done.kept_step]


def test_disagreement_is_counted_by_first_tokens_whatever_fits_into_memory() -> None:
    """Answers of one token and of two; the table says 0 to the first half of the prompts and 2 to the others."""
    taught = [Lesson((i, i), (label, *((1,) if i % 3 else ()))) for i, label in enumerate([0, 2, 0, 0, 2, 2, 0, 2])]
    for fits in (8, 3, 1):
        table = Table(taught, fits=fits, error=torch.OutOfMemoryError("CUDA out of memory."))
        with torch.no_grad():
            table.parameters[0][:4, 0] = 1
            table.parameters[0][4:, 2] = 1
            table.parameters[0][:, 3] = 5  # an answer that is not in use
        assert Loss(table, [taught]).disagreement(slots_of(range(8))) == 2 / 8
        assert Loss(table, [taught]).disagreement(slots_of([6])) == 1


def test_it_goes_on_while_held_out_lessons_get_better() -> None:
    taught = lessons([0, 1] * 30, [0, 1] * 30)
    done = fit_one(Table(taught), taught, WATCHED)
    assert done.stopped_by == "budget" and done.kept_step == done.steps == WATCHED.steps


@pytest.mark.parametrize("watched", get_args(Watched))
def test_held_out_lessons_count_with_the_labels_that_were_given(watched: Watched) -> None:
    """A student of a wrong overseer is stopped by what the overseer says: with all labels turned round, as wrong as can
    be, training takes the same course.
    """
    labels = torch.randint(2, (60,), generator=torch.Generator().manual_seed(5)).tolist()
    prompts = [i % 6 for i in range(60)]
    courses, recipe = [], replace(WATCHED, watched=watched)
    for given_labels in (labels, [1 - label for label in labels]):
        taught = lessons(given_labels, prompts)
        courses.append(fit_one(Table(taught), taught, recipe))
    assert courses[0].steps == courses[1].steps and courses[0].kept_step == courses[1].kept_step
    # Before the first step the table says the first answer to everything, whichever labels it will be taught.
    for one, other in list(zip(courses[0].curve, courses[1].curve, strict=True))[watched == "disagreement" :]:
        assert one.held_out == pytest.approx(other.held_out, rel=1e-5)


OUT_OF_MEMORY = (
    torch.OutOfMemoryError("CUDA out of memory."),
    RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes."),
    MemoryError(),
)


@pytest.mark.parametrize("error", OUT_OF_MEMORY, ids=["cuda", "cpu", "python"])
def test_out_of_memory_splits_the_batch_and_learns_the_same(error: Exception) -> None:
    taught = [Lesson((i % 10, i), (i % 3, *((2,) if i % 4 else ()))) for i in range(40)]
    recipe = replace(RECIPE, steps=20)
    plain, tight = Table(taught), Table(taught, fits=5, error=error)
    whole, parts = fit_one(plain, taught, recipe), fit_one(tight, taught, recipe)
    assert torch.allclose(plain.parameters[0], tight.parameters[0], atol=1e-5)
    assert plain.parameters[0].abs().max() > 0.01
    assert [point.loss for point in whole.curve] == pytest.approx([point.loss for point in parts.curve], rel=1e-5)
    assert parts.split_for_memory and not whole.split_for_memory
    assert sum(rows > 5 for rows in tight.tried) <= 3  # it is not tried at that size over and over


def test_gradients_of_a_part_that_fails_half_way_are_not_kept() -> None:
    taught = lessons([0, 1, 2, 3] * 4, list(range(8)) * 2)
    table, failing = Table(taught), Table(taught)
    Loss(table, [taught]).with_gradients(slots_of(range(16)))

    def explode(gradient: Tensor) -> Tensor:
        if failing.tried[-1] > 4:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return gradient

    failing.parameters[0].register_hook(explode)
    Loss(failing, [taught]).with_gradients(slots_of(range(16)))
    assert table.parameters[0].grad is not None and failing.parameters[0].grad is not None
    assert torch.allclose(table.parameters[0].grad, failing.parameters[0].grad, atol=1e-7)


def test_a_single_lesson_that_does_not_fit_is_an_error_that_says_so() -> None:
    taught = lessons([0, 1] * 8, [0, 1] * 8)
    with pytest.raises(InputError, match="does not fit in memory"):
        fit_one(Table(taught, fits=0, error=torch.OutOfMemoryError("CUDA out of memory.")), taught, RECIPE)


def test_other_errors_are_not_taken_for_a_lack_of_memory() -> None:
    taught = lessons([0, 1] * 8, [0, 1] * 8)
    table = Table(taught, fits=0, error=RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    with pytest.raises(RuntimeError, match="mat1"):
        fit_one(table, taught, RECIPE)
    assert len(table.tried) == 1


def test_models_that_can_not_be_joined_are_refused() -> None:
    taught = lessons([0, 1] * 8, [0, 1] * 8)
    fewer, cut_short = (taught[1:], RECIPE), (taught, replace(RECIPE, bundle=3))
    for others, recipe in (fewer, cut_short, (taught, WATCHED)):
        with pytest.raises(InputError, match="together"):
            fit(Table(taught), [taught, others], recipe, seeds=[0, 1])


@settings(deadline=None)
@given(st.integers(1, 40), st.integers(1, 4), st.integers(1, 9), st.integers(0, 3))
def test_batches_of_models_that_can_be_joined_are_as_large(bundles: int, bundle: int, batch: int, seed: int) -> None:
    recipe = replace(RECIPE, batch=batch, bundle=bundle)
    taught = [Lesson((i,), (0,)) for i in range(bundles * bundle)]
    assert can_join([taught, taught], recipe)
    orders = [batch_order(len(taught), recipe, seed=number) for number in (seed, seed + 1)]
    for _ in range(2 * bundles):
        one, other = map(next, orders)
        assert len(one) == len(other)


def test_the_end_of_a_turn_is_taught_for_long_answers_and_for_both_halves_of_a_bundle(tiny: ModelSubject) -> None:
    taught = [Taught(conversation=user(f"Question {i}?"), answer="Yes") for i in range(100)]
    end = tiny.chat.tokenizer.eos_token_id
    ended = [i for i, lesson in enumerate(lessons_from(tiny.chat, taught)) if lesson.answer[-1] == end]
    assert 4 <= len(ended) <= 8
    assert {i % 2 for i in ended} == {0, 1}
    long = [lesson.model_copy(update={"answer": "a longer answer"}) for lesson in taught]
    assert all(lesson.answer[-1] == end for lesson in lessons_from(tiny.chat, long))
