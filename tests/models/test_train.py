"""Adapters on the fast path: the same for the same seed, only what is to be trained, and it learns."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from superalign.contracts.records import Conversation, Message
from superalign.models.adapter import AdaptedDecoder
from superalign.models.learning import Loss, warm_up_and_decay
from superalign.models.lessons import Lesson, Recipe, batch_order
from superalign.models.random_body import with_random_body
from superalign.models.subject import ModelSubject, adapted_subject
from superalign.models.train_adapters import AdapterLearner, companies, continue_training
from superalign.testing.tiny import tiny_subject
from tests.models.conftest import RECIPE, rule_lessons, user

WORDS = ("apple", "bridge")


@pytest.fixture(scope="module")
def lessons(tiny: ModelSubject) -> list[Lesson]:
    return rule_lessons(tiny, WORDS, 40)


@pytest.fixture(scope="module")
def student(tiny: ModelSubject, lessons: list[Lesson]) -> AdaptedDecoder:
    return train(tiny, lessons, RECIPE, seed=0)


def train(base: ModelSubject, lessons: list[Lesson], recipe: Recipe, *, seed: int) -> AdaptedDecoder:
    student = AdaptedDecoder(
        base.decoder, first_layer=recipe.first_layer, rank=recipe.rank, invocation=base.chat.invocation, seed=seed
    )
    continue_training([student], [lessons], recipe, seeds=[seed])
    return student


def weights(student: AdaptedDecoder) -> torch.Tensor:
    return torch.cat([tensor.detach().flatten() for tensor in student.adapters().values()])


def loss_on_all(student: AdaptedDecoder, lessons: list[Lesson]) -> float:
    return Loss(AdapterLearner([student], [lessons]), [lessons]).measured([(row,) for row in range(len(lessons))])


def test_the_same_seed_gives_the_same_bits(tiny: ModelSubject, lessons: list[Lesson], student: AdaptedDecoder) -> None:
    assert torch.equal(weights(train(tiny, lessons, RECIPE, seed=0)), weights(student))
    assert not torch.equal(weights(train(tiny, lessons, RECIPE, seed=1)), weights(student))


def test_the_same_bits_from_a_base_that_never_trained_before(lessons: list[Lesson], student: AdaptedDecoder) -> None:
    """A resumed run opens the model anew: what an earlier student left behind must play no part."""
    assert torch.equal(weights(train(tiny_subject(), lessons, RECIPE, seed=0)), weights(student))


def test_the_global_random_state_plays_no_part(
    tiny: ModelSubject, lessons: list[Lesson], student: AdaptedDecoder
) -> None:
    torch.manual_seed(123)
    before = torch.get_rng_state()
    assert torch.equal(weights(train(tiny, lessons, RECIPE, seed=0)), weights(student))
    assert torch.equal(torch.get_rng_state(), before)


def test_it_learns_the_rule_and_not_the_examples(tiny: ModelSubject, student: AdaptedDecoder) -> None:
    held_out = rule_lessons(tiny, WORDS, 20, start=40)
    subject = adapted_subject("student", tiny, student)
    states = subject.decoder.final([lesson.prompt for lesson in held_out])
    answers = (states @ subject.decoder.head.T).argmax(1).tolist()
    right = np.mean([answer == lesson.answer[0] for answer, lesson in zip(answers, held_out, strict=True)])
    assert right >= 0.95


def test_the_loss_falls(tiny: ModelSubject, lessons: list[Lesson], student: AdaptedDecoder) -> None:
    untrained = AdaptedDecoder(tiny.decoder, first_layer=2, rank=4, invocation=tiny.chat.invocation)
    assert loss_on_all(student, lessons) < 0.3 * loss_on_all(untrained, lessons)


def test_answers_of_several_tokens_are_learnt_to_the_end(tiny: ModelSubject) -> None:
    prompts = [tiny.chat.encode(user(text)) for text in ("Is water wet?", "Who are you?")]
    answers = ["Yes, water is wet", "No one"]
    taught = [Lesson(p, tiny.chat.answer(a)) for p, a in zip(prompts, answers, strict=True)]
    subject = adapted_subject("student", tiny, train(tiny, taught, replace(RECIPE, steps=120), seed=0))
    assert subject.respond([user("Is water wet?"), user("Who are you?")]) == answers


def test_a_conversation_that_opens_like_no_other_is_learnt_too(tiny: ModelSubject) -> None:
    """All but its last tokens would be a prefix of its own: the tokens of the answer must stay out of it."""
    conversation = (Message(role="system", content="Be brief."), *user("Is water wet?"))
    taught = [Lesson(tiny.chat.encode(conversation), tiny.chat.answer("Yes, water is wet"))]
    subject = adapted_subject("student", tiny, train(tiny, taught, RECIPE, seed=0))
    assert subject.respond([conversation]) == ["Yes, water is wet"]


def test_frozen_tensors_stay_and_get_no_gradient(lessons: list[Lesson]) -> None:
    base = tiny_subject()
    before = {name: tensor.clone() for name, tensor in base.decoder.model.state_dict().items()}
    student = train(base, lessons, replace(RECIPE, steps=3), seed=0)
    assert all(torch.equal(tensor, before[name]) for name, tensor in base.decoder.model.state_dict().items())
    assert all(parameter.grad is None for parameter in base.decoder.model.parameters())
    assert not any(parameter.requires_grad for parameter in student.model.parameters())


def test_two_students_of_one_base_leave_it_and_each_other_alone(
    tiny: ModelSubject, lessons: list[Lesson], asked: list[Conversation]
) -> None:
    plain = tiny.yes_logits(asked)
    first = adapted_subject("first", tiny, train(tiny, lessons, replace(RECIPE, steps=5), seed=0))
    said = first.yes_logits(asked)
    second = adapted_subject("second", tiny, train(tiny, lessons[::2], replace(RECIPE, steps=5), seed=1))
    assert np.array_equal(first.yes_logits(asked), said)
    assert np.array_equal(tiny.yes_logits(asked), plain)
    assert not np.allclose(second.yes_logits(asked), said, atol=1e-3)


def test_training_goes_on_from_where_it_was(tiny: ModelSubject, lessons: list[Lesson]) -> None:
    student = train(tiny, lessons, replace(RECIPE, steps=10), seed=0)
    before = loss_on_all(student, lessons)
    continue_training([student], [lessons], replace(RECIPE, steps=20), seeds=[1])
    assert loss_on_all(student, lessons) < before


def test_models_are_trained_together_where_none_pays_for_anothers_length() -> None:
    short, long = [Lesson((1, 2), (3,))] * 4, [*[Lesson((1, 2), (3,))] * 3, Lesson((1, 2), (3, 4, 5))]
    assert companies([short, long, short, short[:2], long], RECIPE) == [[0, 2], [1, 4], [3]]
    assert companies([short, short], replace(RECIPE, patience=5)) == [[0], [1]]


@pytest.mark.parametrize(("bundle", "spare"), [(1, 0), (2, 0), (2, 1), (3, 0)])
def test_bundles_stay_in_one_batch_and_every_epoch_has_all(bundle: int, spare: int) -> None:
    recipe = replace(RECIPE, batch=6 * bundle + spare, bundle=bundle)
    order = batch_order(41, recipe, seed=0)
    for _ in range(2):
        seen: list[int] = []
        while len(seen) < 41:
            rows = next(order)
            assert len(rows) <= 6 * bundle + spare
            whole = {row - row % bundle for row in rows}
            assert sorted(rows) == [r for start in sorted(whole) for r in range(start, min(start + bundle, 41))]
            seen += rows
        assert sorted(seen) == list(range(41))


def test_models_trained_together_are_those_trained_alone(tiny: ModelSubject, lessons: list[Lesson]) -> None:
    """Other labels, seeds and starts; an answer of two tokens; choices that only one of them has in use."""
    flipped = [replace(lesson, answer=(9, *lesson.answer[1:])) for lesson in lessons]
    taught = [[replace(own[0], answer=(*own[0].answer, 5)), *own[1:]] for own in (lessons, flipped, lessons[::-1])]
    recipe = replace(RECIPE, steps=8)

    def students() -> list[AdaptedDecoder]:
        found = [
            AdaptedDecoder(tiny.decoder, first_layer=2, rank=4, invocation=tiny.chat.invocation, seed=seed)
            for seed in range(3)
        ]
        with torch.no_grad():
            for number, student in enumerate(found):
                for tensor in student.adapters().values():
                    tensor += 0.01 * number
        return found

    together, alone = students(), students()
    fits = continue_training(together, taught, recipe, seeds=[4, 5, 6])
    for number, student in enumerate(alone):
        [own_fit] = continue_training([student], [taught[number]], recipe, seeds=[4 + number])
        assert torch.allclose(weights(student), weights(together[number]), atol=1e-4)
        losses = [point.loss for point in fits[number].curve]
        assert losses == pytest.approx([point.loss for point in own_fit.curve], rel=1e-3)
    assert not torch.allclose(weights(together[0]), weights(together[1]), atol=1e-2)


def test_the_schedule_warms_up_and_ends_near_nothing() -> None:
    rates = [warm_up_and_decay(step, 60) for step in range(60)]
    assert max(rates) == rates[5] == 1 and all(rate > 0 for rate in rates) and rates[-1] < 0.02
    assert rates[:6] == sorted(rates[:6]) and rates[6:] == sorted(rates[6:], reverse=True)


class TestRandomBody:
    def test_knows_nothing_of_its_base(self, asked: list[Conversation]) -> None:
        base = tiny_subject(dtype=torch.bfloat16)
        before = torch.get_rng_state()
        random = with_random_body(base, 0)
        assert torch.equal(torch.get_rng_state(), before)
        assert random.base is None and random.layers == base.layers
        own = dict(random.decoder.model.named_parameters())
        for name, tensor in base.decoder.model.named_parameters():
            assert "norm" in name or not torch.equal(own[name], tensor), name
        assert not np.allclose(random.yes_logits(asked), base.yes_logits(asked), atol=0.01)

    def test_is_drawn_by_its_seed(self, asked: list[Conversation]) -> None:
        base = tiny_subject(dtype=torch.bfloat16)
        first = with_random_body(base, 0).yes_logits(asked)
        assert not np.array_equal(with_random_body(base, 1).yes_logits(asked), first)
        assert np.array_equal(with_random_body(base, 0).yes_logits(asked), first)
