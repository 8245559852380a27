"""The bench of weak-to-strong: both sides learn the same labels into the same part of the model, and end alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, Self

import numpy as np
import peft
import pytest
import torch
import transformers

from superalign.bench import w2s, w2s_trainer
from superalign.bench.compare import Settings
from superalign.bench.records import Benchmark
from superalign.bench.w2s import Same, TaskWork, Work
from superalign.contracts import registry
from superalign.contracts.protocols import AnswerKey, Trusted
from superalign.contracts.records import Judgement, Question
from superalign.generalization.weak_to_strong import lessons
from superalign.models.adapter import AdaptedDecoder
from superalign.models.handle import identify
from superalign.models.lessons import Recipe, batch_order, lessons_from
from superalign.models.subject import ModelSubject
from superalign.models.train_adapters import continue_training, new_student
from superalign.runs.training import TrainingPlan
from superalign.testing.tiny import tiny_model, tiny_subject

SETTINGS = Settings(repeats=1)  # the warm-up has the first seed, the repeat the second
RECIPE = Recipe(first_layer=2, rank=4, steps=5, batch=8, learning_rate=1e-2)


class FirstWord:
    """Yes where the question opens with the first of two words."""

    level_names = ("easy", "medium", "hard")
    words = ("river", "stone")

    def load(self, limit: int | None = None, seed: int = 0) -> tuple[list[Question], AnswerKey]:
        asked = [
            Question(id=str(i), prompt=f"{self.words[i % 2]}: is it {i}?", level=i // 2 % 3, group=f"g{i // 2}")
            for i in range(300)
        ]
        return asked, AnswerKey(truth={question.id: i % 2 == 0 for i, question in enumerate(asked)})


class LastWord(FirstWord):
    words = ("green", "yellow")


class Careless:
    """Wrong on every tenth question."""

    def learn(self, given: Trusted) -> Self:
        return self

    def judge(self, questions: Sequence[Question]) -> list[Judgement]:
        right = [question.prompt.split(":")[0] in ("river", "green") for question in questions]
        return [
            Judgement(question_id=q.id, probability=0.9 if says != (i % 10 == 0) else 0.1)
            for i, (q, says) in enumerate(zip(questions, right, strict=True))
        ]


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Work:
    return Work(
        model=str(tiny_model(tmp_path_factory.mktemp("model") / "tiny")),
        tasks=("first-word", "last-word"),
        seeds=2,
        overseer="careless",
        overseer_groups=4,
        train_groups=48,
        test_groups=48,
        training=TrainingPlan(steps=20, batch=16, learning_rate=1e-2),
    )


@pytest.fixture(scope="module", autouse=True)
def registered() -> Any:
    parts = {
        registry.tasks: {"first-word": FirstWord, "last-word": LastWord},
        registry.overseers: {"careless": Careless},
    }
    with pytest.MonkeyPatch.context() as patch:
        for kind, named in parts.items():
            kind.names()
            patch.setattr(kind, "_factories", {**kind._factories, **named})
        yield


@pytest.fixture(scope="module")
def found(work: Work) -> Benchmark:
    return w2s.run(SETTINGS, work)


def test_both_sides_learn_the_rule_and_end_alike(found: Benchmark) -> None:
    assert found.equal.measured <= 0.03, found.equal  # the bound is for thirty times as many answers
    assert found.equal.what.startswith("mean accuracy of 4 of 4 students")
    accuracies = [float(word) for word in found.equal.what.replace(",", "").replace(";", "").split() if "." in word]
    assert len(accuracies) == 6 and min(accuracies) > 0.9


def test_the_record_is_whole(found: Benchmark) -> None:
    assert (found.name, found.goal, found.not_run) == ("w2s", 4, ())
    assert len(found.ours.seconds) == len(found.peer.seconds) == 1
    assert found.ratio.median == pytest.approx(found.peer.median / found.ours.median)
    [whole] = found.figures
    assert whole.value == pytest.approx(found.peer.seconds[0] / found.ours.median)
    assert found.profile is not None and found.profile.distance > 1
    assert "first-word (96 labels, 90% of them right; 96 questions)" in found.notes[0]
    assert set(found.machine.versions) >= {"peft", "accelerate", "transformers"}
    assert Benchmark.model_validate_json(found.model_dump_json()) == found


def test_the_labels_are_the_overseers(work: Work) -> None:
    own = w2s.weakly_labelled(work, "first-word", identify(work.model))
    rights = [("river" in lesson.conversation[-1].content) == (lesson.answer == "Yes") for lesson in own.lessons]
    assert rights == [i % 10 != 0 for i in range(96)] and own.label_accuracy == np.mean(rights)
    assert all(question.level in (0, 1, 2) for question in own.asked)


def test_the_trainer_is_given_the_same_labels_in_the_same_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    monkeypatch.setattr(transformers.Trainer, "train", lambda trainer: seen.append(trainer))
    subject = tiny_subject(dtype=torch.bfloat16)
    questions = FirstWord().load()[0][:20]
    taught = lessons(questions, [i % 3 == 0 for i in range(20)])
    start = adapters_of(subject)
    teach = w2s_trainer.teach_by_trainer(subject.decoder.model, subject.chat, RECIPE)
    teach(taught, start, 3, [question.asked for question in questions])
    order = batch_order(20, RECIPE, seed=3)
    batches = list(seen[0].get_train_dataloader())
    assert len(batches) == RECIPE.steps
    rows = [row for _ in range(RECIPE.steps + 1) for row in next(order)]
    for number, batch in enumerate(batches):
        own = [taught[row] for row in rows[8 * number : 8 * number + 8]]
        assert batch["labels"].tolist() == [int(lesson.answer == "Yes") for lesson in own]
        prompts = [
            tokens[mask == 1].tolist() for tokens, mask in zip(batch["input_ids"], batch["attention_mask"], strict=True)
        ]
        assert prompts == [list(subject.chat.encode(lesson.conversation)) for lesson in own]


def adapters_of(subject: ModelSubject, seed: int = 0) -> AdaptedDecoder:
    """A student that has learnt something: its adapters are all at work."""
    student = AdaptedDecoder(subject.decoder, first_layer=2, rank=4, invocation=subject.chat.invocation, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for tensor in student.adapters().values():
            tensor.copy_(torch.randn(tensor.shape, generator=generator) / 8)
    return student


def test_the_peers_student_is_the_same_function_with_the_same_trained_tensors() -> None:
    """Conversations of different lengths, padded to one batch; and the base is as before when the student is gone."""
    subject = tiny_subject()
    start, chat = adapters_of(subject), subject.chat
    loss, base = (
        w2s_trainer.AnswerLoss(subject.decoder.model, chat),
        w2s_trainer.without_head(tiny_subject().decoder.model),
    )
    questions = [
        question.model_copy(update={"prompt": question.prompt * (1 + i % 3)})
        for i, question in enumerate(FirstWord().load()[0][:9])
    ]
    rows = [w2s_trainer.encoded(chat, question.asked, "No") for question in questions]
    batch = w2s_trainer.padded(rows, pad=chat.tokenizer.pad_token_id)
    labels = batch.pop("labels")

    def logits(model: Any) -> torch.Tensor:
        with torch.no_grad():
            return loss(model(**batch, use_cache=False, logits_to_keep=1).logits[:, -1], labels)[1]

    untrained, student = logits(base), w2s_trainer.with_adapters(base, start)
    ends = [chat.answer(text, end=False)[0] for text in ("No", "Yes")]
    expected = start.final([tuple(row["input_ids"]) for row in rows]) @ subject.decoder.head[ends].T
    assert torch.allclose(logits(student), expected, atol=1e-4)
    assert not torch.allclose(untrained, expected, atol=1e-2)
    trained = {name.replace(".default", ""): p.shape for name, p in student.named_parameters() if p.requires_grad}
    assert trained == {name: tensor.shape for name, tensor in start.adapters().items()}
    student.unload()
    assert torch.equal(logits(base), untrained)


def test_trainer_makes_of_a_student_what_ours_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """In float32 and without ends of turns, which only ours teaches, both come to the same tensors."""
    subject = tiny_subject()
    questions = FirstWord().load()[0][:24]
    taught = lessons(questions, [i % 3 == 0 for i in range(24)])
    start, ours = (new_student(subject, RECIPE, seed=1) for _ in range(2))
    own = [replace(lesson, answer=lesson.answer[:1]) for lesson in lessons_from(subject.chat, taught)]
    continue_training([ours], [own], RECIPE, seeds=[1])
    seen: dict[str, torch.Tensor] = {}

    def keep(trainer: Any, asked: Any) -> Any:
        seen.update({name: tensor.clone() for name, tensor in peft.get_peft_model_state_dict(trainer.model).items()})
        return SimpleNamespace(predictions=np.zeros((len(asked), 2)))

    monkeypatch.setattr(transformers.Trainer, "predict", keep)
    teach = w2s_trainer.teach_by_trainer(subject.decoder.model, subject.chat, RECIPE)
    teach(taught, start, 1, [questions[0].asked])
    assert seen.keys() == ours.adapters().keys()
    before = start.adapters()
    for name, tensor in ours.adapters().items():
        moved = (tensor - before[name]).norm()
        assert moved > 0.01 and (seen[name] - tensor).norm() < 0.02 * moved, name


def test_unequal_students_fail_once_all_were_seen() -> None:
    ours = {("a", 0): 0.8, ("a", 1): 0.7, ("b", 0): 0.6, ("b", 1): 0.5}
    near, far, short = Same(4, 2), Same(4, 2), Same(4, 2)
    assert near(ours, {("a", 0): 0.7, ("b", 0): 0.6}).passed  # not all yet
    last = near(ours, {("a", 1): 0.8, ("b", 1): 0.52})
    assert last.passed and last.measured == pytest.approx(0.005)
    assert "all 0.650 and 0.655, a 0.750 and 0.750, b 0.550 and 0.560" in last.what
    far(ours, {("a", 0): 0.7, ("b", 0): 0.6})
    assert not far(ours, {("a", 1): 0.7, ("b", 1): 0.5}).passed
    short(ours, {("a", 0): 0.8, ("b", 0): 0.6})
    assert not short(ours, {("a", 0): 0.8, ("b", 0): 0.6}).passed  # of one seed nothing is known


def test_nothing_read_in_one_round_helps_the_next(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else only the first would be timed with its readings."""
    work = replace(work, seeds=1, training=work.training.model_copy(update={"steps": 2}))
    model = identify(work.model)
    labelled: dict[str, TaskWork] = {"first-word": w2s.weakly_labelled(work, "first-word", model)}
    seen: list[ModelSubject] = []
    teaching = w2s.taught
    monkeypatch.setattr(
        w2s, "taught", lambda *args, **named: (seen.append(w2s.open_base(model)), teaching(*args, **named))[1]
    )
    rounds = [w2s.our_sweep(work, labelled, model) for _ in range(2)]
    assert rounds[0] == rounds[1] and set(rounds[0]) == {("first-word", 0)}
    assert seen[0].decoder is not seen[1].decoder and seen[0].decoder.model is seen[1].decoder.model
