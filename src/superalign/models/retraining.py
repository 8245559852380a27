"""A training of ours that leaves a transcript, and the same one again from any of its states, one step at a time."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from itertools import islice
from pathlib import Path

import torch
from pydantic import TypeAdapter, ValidationError
from torch import nn

from superalign.contracts.errors import InputError
from superalign.models.adapter import AdaptedDecoder
from superalign.models.card import TrainingCard, installed
from superalign.models.decoder import Decoder
from superalign.models.delta import load_delta, save_delta, with_tensors
from superalign.models.learning import Learner, Loss, Slot, clip_gradients, warm_up_and_decay
from superalign.models.lessons import Lesson, Pupil, Recipe, batch_order, lessons_digest
from superalign.models.subject import ModelSubject
from superalign.models.train import start_card, train
from superalign.models.train_adapters import AdapterLearner, companies, new_student
from superalign.models.train_layers import LayerLearner
from superalign.models.train_peft import LoraLearner, save_lora, with_lora
from superalign.models.transcript import EVERY, Recorder, listening
from superalign.provenance import transcript
from superalign.provenance.digest import canonical_json, digest, file_digest, file_digests
from superalign.runs.code_version import code_version
from superalign.runs.disk import write_atomically

BETAS = (0.9, 0.95)  # of AdamW, as `learning.fit` sets them


def train_recorded(
    base: ModelSubject,
    pupils: Sequence[Pupil],
    recipe: Recipe,
    *,
    base_digest: str,
    folder: Path,
    every: int = EVERY,
) -> list[TrainingCard]:
    """`train`, with a transcript left in `folder`; the weights are those that `train` makes of a base that has read
    nothing yet.

    InputError for what could not be replayed: the back end `trl` (there is a callback for TRL), `patience`, a probe to
    evade, another loss, and pupils that would not be trained in one go.
    """
    check_replayable(pupils, recipe)
    fed = batch_digests([pupil.lessons for pupil in pupils], recipe, [pupil.seed for pupil in pupils])
    declared = {
        "base": base.name,
        "base_digest": base_digest,
        "recipe": asdict(recipe),
        "learners": tuple(declared_learner(pupil, recipe) for pupil in pupils),
        "code": training_code(),
        "versions": installed(),
    }
    recorder = Recorder(folder, declared, batch=lambda step: next(fed), every=every)
    try:
        for pupil in pupils:
            keep_lessons(pupil.lessons, folder)
        with listening(recorder):
            cards = train(unread(base), pupils, recipe, base_digest=base_digest)
        recorder.end(
            [file_digests(pupil.folder) for pupil in pupils],
            split_for_memory=any(card.fit.split_for_memory for card in cards),
        )
    finally:
        recorder.close()
    return cards


def train_each_recorded(
    base: ModelSubject, pupils: Sequence[Pupil], recipe: Recipe, *, base_digest: str, folder: Path
) -> list[TrainingCard]:
    """`train_recorded` of any pupils: those that are trained together share a transcript, which lies in `folder` under
    the number, from 1, of the first of them.
    """
    together = (recipe.backend, recipe.trained) == ("fast", "adapters")
    each = companies([pupil.lessons for pupil in pupils], recipe) if together else [[i] for i in range(len(pupils))]
    cards: dict[int, TrainingCard] = {}
    for numbers in each:
        company, place = [pupils[number] for number in numbers], folder / str(numbers[0] + 1)
        done = train_recorded(base, company, recipe, base_digest=base_digest, folder=place)
        cards |= zip(numbers, done, strict=True)
    return [cards[number] for number in range(len(pupils))]


def check_replayable(pupils: Sequence[Pupil], recipe: Recipe) -> None:
    """InputError for a training that `Retraining` can't do again."""
    reason = None
    if recipe.backend == "trl":
        reason = "trains in processes of its own"
    elif recipe.patience is not None:
        reason = "stops by `patience`"
    elif any(pupil.evades or pupil.label_loss for pupil in pupils):
        reason = "has a loss that is not cross-entropy with its labels"
    elif len(pupils) > 1 and (
        (recipe.backend, recipe.trained) != ("fast", "adapters")
        or len(companies([pupil.lessons for pupil in pupils], recipe)) > 1
    ):
        reason = "is of models that are not trained together"
    if reason:
        raise InputError(
            f"No transcript can be kept of a training that {reason}.",
            fix="Record one by one, with a fixed number of steps; for TRL see `transcript_trl.TranscriptCallback`.",
        )


def declared_learner(pupil: Pupil, recipe: Recipe) -> transcript.Learner:
    """What a transcript says of `pupil`."""
    return transcript.Learner(
        seed=pupil.seed,
        lessons_digest=lessons_digest(pupil.lessons),
        start=start_card(pupil.start, recipe) if pupil.start else None,
    )


def training_code() -> str:
    """Digest of the code that `train_recorded` trains with."""
    return code_version("superalign.models.train")


def recipe_of(declared: transcript.Declaration) -> Recipe | None:
    """The recipe that a transcript declares; None for a loop of the user's. InputError when it is none of ours."""
    if declared.recipe is None:
        return None
    try:
        return TypeAdapter(Recipe).validate_python(declared.recipe)
    except ValidationError as error:
        problem = error.errors()[0]
        raise InputError(f"The recipe can't be read: {'.'.join(map(str, problem['loc']))}: {problem['msg']}.") from None


def unread(base: ModelSubject) -> ModelSubject:
    """The same model without what it remembers: what was read in other company is rounded otherwise."""
    return ModelSubject(base.name, Decoder(base.decoder.model), base.chat)


def batch_digests(lessons: Sequence[Sequence[Lesson]], recipe: Recipe, seeds: Sequence[int]) -> Iterator[str]:
    """The digest of each step's lessons, model by model, as recipe and seeds order them."""
    orders = [batch_order(len(own), recipe, seed=seed) for own, seed in zip(lessons, seeds, strict=True)]
    for batches in zip(*orders, strict=True):
        taken = [[own[row] for row in batch] for own, batch in zip(lessons, batches, strict=True)]
        yield digest([[[lesson.prompt, lesson.answer] for lesson in own] for own in taken])


def keep_lessons(lessons: Sequence[Lesson], folder: Path) -> None:
    """Write lessons into a transcript's folder, as JSON whose sha256 is their digest and the file's name."""
    (folder / transcript.LESSONS).mkdir(exist_ok=True)
    content = canonical_json([[lesson.prompt, lesson.answer, lesson.group] for lesson in lessons])
    write_atomically(folder / transcript.LESSONS / f"{lessons_digest(lessons)}.json", content)


def kept_lessons(folder: Path, named: str) -> list[Lesson] | None:
    """The lessons with the digest `named`; None where they were not kept. ValueError when others lie there."""
    path = folder / transcript.LESSONS / f"{named}.json"
    if not path.is_file():
        return None
    if file_digest(path) != named:
        raise ValueError("the lessons in the transcript's folder are not those that were declared")
    try:
        return [Lesson(tuple(prompt), tuple(answer), group) for prompt, answer, group in json.loads(path.read_bytes())]
    except (TypeError, RecursionError):
        raise ValueError("the lessons in the transcript's folder are none") from None


class Retraining:
    """The training of `pupils`, whose folders play no part, to be done again: `step` takes step number so and so with
    the tensors of `optimizer` as they are.
    """

    def __init__(self, base: ModelSubject, pupils: Sequence[Pupil], recipe: Recipe) -> None:
        check_replayable(pupils, recipe)
        self.recipe, self.pupils = recipe, pupils
        self.models = len(pupils)
        self.names: dict[int, str] | None = None
        self.lessons = [pupil.lessons for pupil in pupils]
        self.learner, self._save = learner_of(unread(base), pupils, recipe)
        self.parameters = list(self.learner.parameters)
        self.optimizer: torch.optim.Optimizer = torch.optim.AdamW(
            self.parameters, lr=recipe.learning_rate, betas=BETAS, weight_decay=0.0, fused=True
        )
        self._loss = Loss(self.learner, self.lessons)
        self._slots = self._ordered()
        seeds = [pupil.seed for pupil in pupils]
        self.batches = list(islice(batch_digests(self.lessons, recipe, seeds), recipe.steps))

    def _ordered(self) -> list[list[Slot]]:
        """For each step its lessons, by their rows among all."""
        orders = [
            batch_order(len(own), self.recipe, seed=pupil.seed)
            for own, pupil in zip(self.lessons, self.pupils, strict=True)
        ]
        firsts = [sum(map(len, self.lessons[:model])) for model in range(len(self.lessons))]
        return [
            list(zip(*([first + row for row in own] for first, own in zip(firsts, picked, strict=True)), strict=True))
            for picked in islice(zip(*orders, strict=True), self.recipe.steps)
        ]

    def learning_rate(self, step: int) -> float:
        """The rate of step `step`, from 1."""
        return self.recipe.learning_rate * warm_up_and_decay(step - 1, self.recipe.steps)

    def step(self, number: int) -> str:
        """Take step `number`, from 1; returns the digest of its batch."""
        self.optimizer.param_groups[0]["lr"] = self.learning_rate(number)
        self._loss.with_gradients(self._slots[number - 1])
        clip_gradients(self.parameters, self.models)
        self.optimizer.step()
        return self.batches[number - 1]

    def save(self, model: int, folder: Path) -> None:
        """Write the model's files, but for its card, as training leaves them."""
        folder.mkdir()
        self._save(model, folder)


def learner_of(
    base: ModelSubject, pupils: Sequence[Pupil], recipe: Recipe
) -> tuple[Learner, Callable[[int, Path], None]]:
    """What the loop trains, as each back end begins; and how it writes one of the models."""
    if recipe.trained == "layers":
        [pupil] = pupils
        before = load_delta(base.decoder.model, pupil.start) if pupil.start else {}
        layers = LayerLearner(
            with_tensors(base.decoder, before) if before else base.decoder, pupil.lessons, recipe.first_layer
        )
        return layers, lambda _, folder: save_delta(base.decoder.model, {**before, **layers.tensors()}, folder)
    if recipe.backend == "peft":
        [pupil] = pupils
        shared = with_tensors(base.decoder, {})
        model: nn.Module = with_lora(shared.model, recipe, seed=pupil.seed, start=pupil.start)
        return LoraLearner(shared, model, pupil.lessons), lambda _, folder: save_lora(
            model, folder, base_name=base.name
        )
    students = [
        AdaptedDecoder.load(base.decoder, pupil.start) if pupil.start else new_student(base, recipe, pupil.seed)
        for pupil in pupils
    ]
    stacked = AdapterLearner(students, [pupil.lessons for pupil in pupils])

    def save(number: int, folder: Path) -> None:
        stacked.hand_back()
        students[number].save(folder, base_name=base.name)

    return stacked, save
