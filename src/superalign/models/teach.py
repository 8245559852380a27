"""The step that makes every trained model here: student, ceiling, controls, organisms and twins, by one recipe."""

from __future__ import annotations

from pathlib import Path

from superalign.contracts.protocols import Taught
from superalign.contracts.records import Question, Record
from superalign.models.adapter import AdaptedDecoder
from superalign.models.handle import ModelIdentity, open_base, open_trained, recipe
from superalign.models.random_body import with_random_body
from superalign.models.subject import ModelSubject
from superalign.models.train import Lesson, continue_training
from superalign.runs.plan import TrainingPlan
from superalign.runs.store import Done

# One lesson in so many teaches the end of the turn too. The others are the prompt alone and one token to predict: what
# the base has read of them serves every model that is taught other answers to the same questions.
ENDED = 16


class TrainedModel(Record):
    """What `teach` left in its folder: adapters in peft's format, to be opened with `models.handle.open_trained`."""

    base: str
    base_digest: str
    lessons: int
    steps: int
    seed: int
    random_body: bool


class Margins(Record):
    """log P(yes) - log P(no) for each question."""

    margins: tuple[float, ...]


def teach(
    folder: Path,
    *,
    model: ModelIdentity,
    lessons: tuple[Taught, ...],
    training: TrainingPlan,
    seed: int,
    start: Done[TrainedModel] | None = None,
    random_body: bool = False,
) -> TrainedModel:
    """Train adapters on `model` to give the lessons' answers, from scratch or on from the adapters of `start`.

    With `random_body` the pretrained weights below the adapters are replaced by random ones: the control for what
    pretraining brings.
    """
    base = body(model, seed if random_body else None)
    plan = recipe(training, base)
    if start is None:
        student = AdaptedDecoder(
            base.decoder,
            first_layer=plan.first_layer,
            rank=plan.rank,
            invocation=base.chat.invocation,
            seed=seed,
        )
    else:
        student = AdaptedDecoder.load(base.decoder, start.folder)
    tokens = [
        Lesson(base.chat.encode(taught.conversation), base.chat.answer(taught.answer, end=i % ENDED == 0))
        for i, taught in enumerate(lessons)
    ]
    continue_training(student, tokens, plan, seed=seed)
    student.save(folder, base_name=model.name)
    return TrainedModel(
        base=model.name,
        base_digest=model.digest,
        lessons=len(lessons),
        steps=training.steps,
        seed=seed,
        random_body=random_body,
    )


def answer(
    folder: Path, *, model: ModelIdentity, questions: tuple[Question, ...], trained: Done[TrainedModel] | None = None
) -> Margins:
    """The margins of `model`, or of what was trained from it, on `questions` asked plainly."""
    subject = open_for_answers(model, trained)
    return Margins(margins=tuple(subject.yes_logits([question.asked for question in questions]).tolist()))


def open_for_answers(model: ModelIdentity, trained: Done[TrainedModel] | None) -> ModelSubject:
    """`model` itself, or what was trained from it."""
    if trained is None:
        return open_base(model)
    base = body(model, trained.value.seed if trained.value.random_body else None)
    return open_trained(base, trained.folder, "trained")


def body(model: ModelIdentity, random_seed: int | None) -> ModelSubject:
    """The base, or a copy of it with random weights."""
    base = open_base(model)
    return base if random_seed is None else with_random_body(base, random_seed)
