"""Changed copies: changed as asked, always in the same way, and the subject as it was."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from superalign.contracts.protocols import Taught
from superalign.contracts.records import Access
from superalign.models.altered import fine_tuned, with_activation_noise, with_open_weights, with_weight_noise
from superalign.models.audited import AuditedSubject
from superalign.models.lessons import Recipe
from superalign.models.subject import ModelSubject
from superalign.runs.cost import metered
from superalign.testing.invented import comparisons
from superalign.testing.tiny import tiny_relative, tiny_subject

QUESTIONS, KEY = comparisons(20)
ASKED = [question.asked for question in QUESTIONS]
LESSONS = [
    Taught(conversation=question.asked, answer="Yes" if KEY.truth[question.id] else "No", group=question.group)
    for question in QUESTIONS
]
RECIPE = Recipe(first_layer=3, rank=8, steps=60, batch=16, learning_rate=3e-3)


def plain() -> ModelSubject:
    return tiny_subject()


def adapted() -> ModelSubject:
    return tiny_relative("relative", tiny_subject())


def by_weights(subject: ModelSubject, scale: float, seed: int) -> ModelSubject:
    return with_weight_noise(subject, scale, seed)


def by_activations(subject: ModelSubject, scale: float, seed: int) -> ModelSubject:
    return with_activation_noise(subject, scale, seed, ASKED[:4])


@pytest.mark.parametrize("make", [plain, adapted])
@pytest.mark.parametrize("noise", [by_weights, by_activations])
class TestNoise:
    def test_a_copy_is_changed_and_the_subject_is_not(
        self, make: Callable[[], ModelSubject], noise: Callable[[ModelSubject, float, int], ModelSubject]
    ) -> None:
        subject = make()
        before = subject.yes_logits(ASKED)
        first = noise(subject, 0.1, 0).yes_logits(ASKED)
        assert np.array_equal(noise(subject, 0.1, 0).yes_logits(ASKED), first)
        assert not np.allclose(noise(subject, 0.1, 1).yes_logits(ASKED), first, atol=0.01)
        assert not np.allclose(before, first, atol=0.01)
        assert np.array_equal(subject.yes_logits(ASKED), before)

    def test_less_noise_changes_less_and_none_nothing(
        self, make: Callable[[], ModelSubject], noise: Callable[[ModelSubject, float, int], ModelSubject]
    ) -> None:
        subject = make()
        before = subject.yes_logits(ASKED)
        moved = [np.abs(noise(subject, scale, 0).yes_logits(ASKED) - before).mean() for scale in (0, 0.01, 0.1)]
        assert moved[0] < 1e-4 < 2 * moved[1] < moved[2]


@pytest.mark.parametrize("make", [plain, adapted])
def test_copies_learn_their_own_lessons_and_the_subject_learns_nothing(make: Callable[[], ModelSubject]) -> None:
    subject = make()
    before = subject.yes_logits(ASKED)
    other = [lesson.model_copy(update={"answer": "No" if lesson.answer == "Yes" else "Yes"}) for lesson in LESSONS]
    with metered() as meter:
        right, wrong = fine_tuned(subject, [LESSONS, other], RECIPE, [0, 1])
    assert meter.cost().forward_passes == 2 * 60 * 40 / 3  # epochs of 16, 16 and 8 lessons
    truth = KEY.of(QUESTIONS)
    assert ((right.yes_logits(ASKED) > 0) == truth).mean() > 0.75
    assert ((wrong.yes_logits(ASKED) > 0) == truth).mean() < 0.25
    assert np.array_equal(subject.yes_logits(ASKED), before)
    assert not any(tensor.requires_grad for tensor in right.decoder.model.parameters())


def test_no_step_changes_nothing_of_adapters() -> None:
    """Copied as they are, with their scale, and not begun anew."""
    subject = adapted()
    copy = subject.decoder.over(subject.decoder.base)  # type: ignore[attr-defined]
    assert np.array_equal(ModelSubject("copy", copy, subject.chat).yes_logits(ASKED), subject.yes_logits(ASKED))


def test_what_shows_no_weights_can_not_be_changed() -> None:
    subject = plain()
    assert with_open_weights(AuditedSubject(subject, Access.ACTIVATIONS.and_less)) is None
    opened = with_open_weights(AuditedSubject(subject, Access.WEIGHTS.and_less))
    assert opened is not None and opened.decoder is subject.decoder
