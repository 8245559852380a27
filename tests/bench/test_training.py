"""The bench of training: equal accuracy is measured on what nobody was taught, and a contestant that learns nothing is
caught.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
import trl
from datasets import Dataset

from superalign.bench import training
from superalign.bench.compare import Settings
from superalign.bench.records import Benchmark
from superalign.bench.training import Budget, Means, Student, Work
from superalign.contracts.protocols import AnswerKey, Taught
from superalign.contracts.records import Question
from superalign.models.lessons import lessons_from
from superalign.models.subject import Chat, ModelSubject
from superalign.tasks.cities import Cities
from superalign.testing.tiny import tiny_model, tiny_subject

LEARNS, LEARNS_NOTHING = Budget(30, 1e-2), Budget(1, 1e-9)


class FirstWord:
    """Yes where the question opens with the first of two words: what a tiny model can learn of cities."""

    name = "first-word"
    level_names = ("all",)

    def load(self, limit: int | None = None, seed: int = 0) -> tuple[list[Question], AnswerKey]:
        questions = Cities().load(limit=limit or 200, seed=seed)[0]
        asked = [
            question.model_copy(update={"id": str(i), "prompt": f"{('river', 'stone')[i % 2]}: {question.prompt}"})
            for i, question in enumerate(questions)
        ]
        return asked, AnswerKey(truth={question.id: i % 2 == 0 for i, question in enumerate(asked)})


@pytest.fixture(scope="module")
def chat() -> Chat:
    return tiny_subject().chat


@pytest.fixture(scope="module")
def taught() -> list[Taught]:
    return list(training.divide(Work(held_out=4, searched=4, taught=4))[0])


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Benchmark:
    """A run in which the loop was sabotaged."""
    model = tiny_model(tmp_path_factory.mktemp("model") / "tiny")
    work = Work(
        model=str(model),
        task=FirstWord(),
        held_out=60,
        searched=0,
        taught=140,
        target=0.9,
        ours=Budget(60, 1e-2),
        trl=LEARNS,
        loop=LEARNS_NOTHING,
    )
    return training.run(Settings(repeats=1), work)


def test_who_learns_passes_and_who_learns_nothing_is_caught(found: Benchmark) -> None:
    assert not found.not_run
    trl_peer, loop = found.peers
    assert (trl_peer.name, trl_peer.goal) == ("TRL SFTTrainer", 6) and loop.goal == 3
    assert trl_peer.equal.passed, trl_peer.equal
    assert not loop.equal.passed and loop.equal.measured > 0.2
    assert not found.all_equal
    assert "2 seeds" in loop.equal.what  # the warm-up's counts too


def test_the_floor_and_the_work_are_told(found: Benchmark) -> None:
    assert found.profile is not None and found.profile.distance > 1
    assert "280 true answers" in found.notes[0] and "asked 120 on 60 others" in found.notes[0]
    assert "TRL 30 steps" in found.notes[1] and "the loop 1 steps" in found.notes[1]


class Graded(Student):
    """Who has taken the exam."""

    def __init__(self, accuracy: float) -> None:
        self.__dict__["accuracy"] = accuracy


@pytest.mark.parametrize(
    ("ours", "peer", "passed"),
    [((0.69, 0.73), (0.72, 0.70), True), ((0.66, 0.70), (0.70, 0.70), False), ((0.8, 0.8), (0.5, 0.9), True)],
)
def test_means_over_all_rounds_decide(ours: tuple[float, ...], peer: tuple[float, ...], passed: bool) -> None:
    equal = Means(target=0.7, rounds=2)
    checks = [equal(Graded(own), Graded(other)) for own, other in zip(ours, peer, strict=True)]
    assert checks[0].passed and checks[1].passed is passed


def test_whoever_misses_the_target_is_not_equal() -> None:
    assert not Means(0.7, 1)(Graded(0.7), Graded(0.68)).passed  # a peer of too few steps would make ours look good
    assert not Means(0.7, 1)(Graded(0.6), Graded(0.6)).passed
    assert not Means(0.7, 1)(Graded(0.68), Graded(0.7)).passed


def test_nobody_is_asked_what_was_taught_or_searched() -> None:
    work = Work()
    lessons, exam = training.divide(work)
    questions, key = work.task.load()
    by_prompt = {question.prompt: question for question in questions}
    own = [by_prompt[lesson.conversation[-1].content] for lesson in lessons]
    taught, asked = {question.group for question in own}, {question.group for question in exam.questions}
    assert (len(taught), len(asked)) == (work.taught, work.held_out) and not taught & asked
    assert [lesson.answer == "Yes" for lesson in lessons] == key.of(own).tolist()
    searched = training.divide(Work(held_out=work.held_out + work.searched, searched=0))[1]
    assert asked < {question.group for question in searched.questions}
    assert not taught & {question.group for question in searched.questions}


def test_the_loop_masks_all_but_answers(chat: Chat, taught: list[Taught]) -> None:
    given = lessons_from(chat, taught)
    batch = training.padded(given, pad=0)
    for row, lesson in enumerate(given):
        length = len(lesson.prompt + lesson.answer)
        assert batch["input_ids"][row, :length].tolist() == list(lesson.prompt + lesson.answer)
        assert batch["attention_mask"][row].sum() == length
        labels = batch["labels"][row]
        assert labels[labels != training.IGNORED].tolist() == list(lesson.answer)
        assert (labels[: len(lesson.prompt)] == training.IGNORED).all()


def test_trl_masks_all_but_answers(chat: Chat, taught: list[Taught], monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    monkeypatch.setattr(trl.SFTTrainer, "train", lambda trainer: seen.append(trainer))
    model = tiny_subject(dtype=torch.bfloat16).decoder.model
    training.train_trl(model, chat, taught, Work(), seed=0)
    data: Dataset = seen[0].train_dataset
    assert len(data) == len(taught)
    batch = seen[0].data_collator(list(data))
    for lesson, own, tokens, labels in zip(taught, data, batch["input_ids"], batch["labels"], strict=True):
        answer = labels[labels != training.IGNORED]
        assert chat.decode(answer) == lesson.answer
        prompt = chat.encode(lesson.conversation)
        assert tuple(own["input_ids"][: len(prompt)]) == prompt
        assert (labels[: len(prompt)] == training.IGNORED).all() and (
            tokens[: len(prompt)] == torch.tensor(prompt)
        ).all()


def test_both_peers_adapt_every_linear_layer_at_rank_16(chat: Chat, taught: list[Taught]) -> None:
    work = Work(loop=LEARNS_NOTHING)
    decoder = training.train_loop(tiny_subject(dtype=torch.bfloat16).decoder.model, chat, taught, work, seed=0)
    trained = {name: tensor for name, tensor in decoder.model.named_parameters() if "lora_" in name}
    assert len(trained) == 2 * 7 * decoder.depth
    assert all(min(tensor.shape) == 16 for tensor in trained.values())
    assert len(ModelSubject("loop", decoder, chat).yes_logits([lesson.conversation for lesson in taught])) == len(
        taught
    )
