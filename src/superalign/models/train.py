"""One way to train a model, whichever back end does it: lessons in; safetensors and a card with digests out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from superalign.contracts.errors import InputError
from superalign.models.adapter import AdaptedDecoder
from superalign.models.card import CARD, TrainingCard, digests_beside_card, installed, read_card
from superalign.models.decoder import Decoder
from superalign.models.delta import load_delta, with_tensors
from superalign.models.integrity import DELTA, is_activated
from superalign.models.learning import Fit
from superalign.models.lessons import Backend, Lesson, Pupil, Recipe, Trained, lessons_digest
from superalign.models.subject import ModelSubject
from superalign.models.train_adapters import train_adapters
from superalign.models.train_layers import train_layers
from superalign.models.train_peft import load_lora, train_lora
from superalign.models.train_trl import train_with_trl
from superalign.provenance.digest import digest, file_digest
from superalign.provenance.model_signature import check_if_signed

# What of a recipe must stay the same for a model to be trained further.
SHAPE = ("backend", "trained", "first_layer", "rank", "targets")
# A back end: trains `base` for each pupil and leaves safetensors in its folder.
Trainer = Callable[[ModelSubject, Sequence[Pupil], Recipe], list[Fit]]


def one_by_one(trainer: Callable[[ModelSubject, Pupil, Recipe], Fit]) -> Trainer:
    """A back end from one that trains a single model."""
    return lambda base, pupils, recipe: [trainer(base, pupil, recipe) for pupil in pupils]


TRAINERS: dict[tuple[Backend, Trained], Trainer] = {
    ("fast", "adapters"): train_adapters,
    ("fast", "layers"): one_by_one(train_layers),
    ("peft", "adapters"): one_by_one(train_lora),
    ("trl", "adapters"): one_by_one(train_with_trl),
    ("trl", "model"): one_by_one(train_with_trl),
}


def train(base: ModelSubject, pupils: Sequence[Pupil], recipe: Recipe, *, base_digest: str) -> list[TrainingCard]:
    """Train a model from `base` for each of the pupils, to give the answers of its lessons; leave what changed, and
    `card.json`, in its folder, which must be empty. Where the back end can, all are trained together.

    `base_digest` names the base's weights in the cards. There is no way to hand in an answer key or a second set of
    labels: when training stops, and which weights are kept, hangs on the lessons alone, those held out with the labels
    they came with.

    InputError for a recipe that no back end can follow, or without lessons; RunError when a process of `trl` fails.
    """
    trainer = TRAINERS.get((recipe.backend, recipe.trained))
    if trainer is None:
        can = " or ".join(repr(trained) for backend, trained in TRAINERS if backend == recipe.backend)
        raise InputError(
            f"The back end {recipe.backend!r} does not train {recipe.trained!r}.",
            fix=f"It trains {can}; or choose another `backend`.",
        )
    if recipe.processes > 1 and recipe.backend != "trl":
        raise InputError(f"The back end {recipe.backend!r} runs in one process.", fix="Choose `trl` for several.")
    if recipe.watched != "loss" and recipe.backend == "trl":
        raise InputError(
            "The back end 'trl' watches nothing but the loss on held-out lessons.",
            fix="Choose the back end `fast` or `peft`, or leave out `watched`.",
        )
    if not pupils or not all(all_given(pupil.lessons) for pupil in pupils):
        raise InputError("There is nothing to teach.", fix="Give lessons, each with a prompt and an answer.")
    if recipe.backend != "fast" and any(pupil.evades for pupil in pupils):
        raise InputError(
            f"The back end {recipe.backend!r} trains no model to evade a probe.", fix="Choose the back end `fast`."
        )
    if (recipe.backend, recipe.trained) != ("fast", "adapters") and any(pupil.label_loss for pupil in pupils):
        raise InputError(
            f"The back end {recipe.backend!r} trains {recipe.trained!r} by cross-entropy with the labels alone.",
            fix="Choose the back end `fast` and train `adapters` for another loss.",
        )
    starts = [start_card(pupil.start, recipe) if pupil.start else None for pupil in pupils]
    for pupil in pupils:
        pupil.folder.mkdir(parents=True, exist_ok=True)
        if any(pupil.folder.iterdir()):
            where = str(pupil.folder)
            raise InputError("The folder for the model holds something.", where=where, fix="Name a new one.")
    fits = trainer(base, pupils, recipe)
    cards = []
    for pupil, start, done in zip(pupils, starts, fits, strict=True):
        card = TrainingCard(
            base=base.name,
            base_digest=base_digest,
            start=start,
            recipe=recipe,
            seed=pupil.seed,
            lessons=len(pupil.lessons),
            lessons_digest=lessons_digest(pupil.lessons),
            evades=digest(pupil.evades.probe) if pupil.evades else None,
            label_loss=pupil.label_loss.name if pupil.label_loss else None,
            beliefs_digest=digest(pupil.label_loss.beliefs) if pupil.label_loss else None,
            fit=done,
            device=str(base.decoder.device),
            versions=installed(),
            files=digests_beside_card(pupil.folder),
        )
        card.write(pupil.folder)
        cards.append(card)
    return cards


def all_given(lessons: Sequence[Lesson]) -> bool:
    return bool(lessons) and all(lesson.prompt and lesson.answer for lesson in lessons)


def start_card(start: Path, recipe: Recipe) -> str:
    """sha256 of the card in `start`. InputError when it is of a kind that this recipe can't go on from."""
    before, after = asdict(read_card(start).recipe), asdict(recipe)
    if differing := [name for name in SHAPE if before[name] != after[name]]:
        raise InputError(
            "The model can't be trained further by another recipe: "
            + ", ".join(f"{name} was {before[name]!r} and is {after[name]!r}" for name in differing)
            + ".",
            where=str(start),
            fix="Set the same for both.",
        )
    return file_digest(start / CARD)


def trained_decoder(base: Decoder, folder: Path) -> Decoder:
    """What `train` left in `folder`, with its card or without, on `base`, with which it shares all that was not
    trained. ModelError when a file is not the one that the card names or a signature covers, when the signer is not
    trusted, or when it does not fit the base.
    """
    check_if_signed(folder)
    if (folder / CARD).is_file():
        read_card(folder)
    if (folder / DELTA).is_file():
        return with_tensors(base, load_delta(base.model, folder))
    return AdaptedDecoder.load(base, folder) if is_activated(folder) else load_lora(base, folder)
