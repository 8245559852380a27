"""What a model was taught, in a file beside its weights: for whoever is allowed training data, and for nobody else."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from pydantic import ValidationError

from superalign.contracts.errors import ModelError
from superalign.contracts.protocols import Taught
from superalign.contracts.records import Record
from superalign.provenance.digest import canonical_json

TRAINING_DATA = "training_data.json"


class TrainingData(Record):
    """`training_data.json`. A model that somebody else made may come with one, too."""

    lessons: tuple[Taught, ...]


def write_training_data(folder: Path, lessons: Iterable[Taught]) -> None:
    """Leave what a model was taught in `folder`, without what its order and groups would tell."""
    (folder / TRAINING_DATA).write_bytes(canonical_json(TrainingData(lessons=anonymous(lessons))))


def read_training_data(folder: Path) -> tuple[Taught, ...]:
    """The conversations and answers that the file in `folder` lists. ModelError when it can't be read."""
    path = folder / TRAINING_DATA
    try:
        return anonymous(TrainingData.model_validate_json(path.read_bytes()).lessons)
    except (OSError, ValidationError) as error:
        raise ModelError(
            f"The training data can't be read: {str(error).splitlines()[0]}.",
            where=str(path),
            fix='Write it as {"lessons": [{"conversation": [{"role": ..., "content": ...}], "answer": ...}, ...]}.',
        ) from None


def training_data_in(folder: Path | None) -> Callable[[], tuple[Taught, ...]] | None:
    """What reads the training data of the model in `folder`, if there is any."""
    if folder is None or not (folder / TRAINING_DATA).is_file():
        return None
    return partial(read_training_data, folder)


def anonymous(lessons: Iterable[Taught]) -> tuple[Taught, ...]:
    """Conversations and answers in the order of their text: groups, and the order of teaching, tell who made them."""
    return tuple(sorted((lesson.model_copy(update={"group": None}) for lesson in lessons), key=canonical_json))
