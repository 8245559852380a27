"""A model is opened as what it was identified as, or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from superalign.contracts.errors import InputError, ModelError
from superalign.contracts.protocols import Taught
from superalign.contracts.records import Access, Conversation, Message
from superalign.models import handle
from superalign.models.adapter import AdaptedDecoder
from superalign.models.handle import identify, open_alone, open_base, open_user_model
from superalign.models.training_data import TRAINING_DATA, write_training_data
from superalign.testing.tiny import tiny_model, tiny_relative

LESSONS = tuple(
    Taught(conversation=(Message(role="user", content=asked),), answer="Yes", group="what it is about")
    for asked in ("Is it raining?", "Are you there?")
)


@pytest.fixture(autouse=True)
def another_process() -> Iterator[None]:
    """Nothing is open yet, as where a worker starts."""
    forget()
    yield
    forget()


def forget() -> None:
    for cached in (handle.loaded, handle.open_base, handle._open_user_model):
        cached.cache_clear()


def test_another_model_of_the_same_name_is_refused(tmp_path: Path) -> None:
    folder = tiny_model(tmp_path / "tiny")
    identified = identify(str(folder))
    assert open_base(identified).name == str(folder)
    forget()
    tiny_model(folder, seed=1)
    with pytest.raises(ModelError, match="not the one that the run was started on") as error:
        open_base(identified)
    assert error.value.where == str(folder) and error.value.fix


def test_another_user_model_of_the_same_name_is_refused(tmp_path: Path) -> None:
    base, made = identify(str(tiny_model(tmp_path / "base"))), tiny_model(tmp_path / "made", seed=1)
    identified = identify(str(made), base.name)
    forget()
    tiny_model(made, seed=2)
    with pytest.raises(ModelError, match="not the one"):
        open_user_model(identified, base)


def test_a_model_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Identifying it and opening it, time and again."""
    read = []
    load = handle.load
    monkeypatch.setattr(handle, "load", lambda *arguments: read.append(arguments) or load(*arguments))
    identified = identify(str(tiny_model(tmp_path / "tiny")))
    assert open_base(identified) is open_base(identified)
    assert len(read) == 1


def test_a_user_model_has_training_data_if_a_file_is_given_with_it(tmp_path: Path) -> None:
    base, made = identify(str(tiny_model(tmp_path / "base"))), tiny_model(tmp_path / "made", seed=1)
    without = identify(str(made), base.name)
    assert Access.TRAINING_DATA not in open_user_model(without, base).access
    forget()
    write_training_data(made, LESSONS)
    subject = open_user_model(given := identify(str(made), base.name), base)
    assert given.digest != without.digest, "else verdicts on the model without it would be taken for its own"
    assert [lesson.conversation[0].content for lesson in subject.training_data()] == [
        "Are you there?",
        "Is it raining?",
    ]
    assert {lesson.group for lesson in subject.training_data()} == {None}


def test_training_data_that_can_not_be_read_is_told(tmp_path: Path) -> None:
    base, made = identify(str(tiny_model(tmp_path / "base"))), tiny_model(tmp_path / "made", seed=1)
    (made / TRAINING_DATA).write_text('["Yes"]')
    with pytest.raises(ModelError, match="training data can't be read") as error:
        open_user_model(identify(str(made), base.name), base).training_data()
    assert "lessons" in str(error.value.fix)


def test_an_adapter_is_opened_over_its_base_to_be_asked(tmp_path: Path, asked: list[Conversation]) -> None:
    folder = tiny_model(tmp_path / "base")
    base, digest = open_alone(str(folder), dtype="float32")
    relative = tiny_relative("relative", base)
    assert isinstance(relative.decoder, AdaptedDecoder)
    relative.decoder.save(tmp_path / "adapter", base_name="tiny")
    found, other = open_alone(str(tmp_path / "adapter"), str(folder), dtype="float32")
    assert found.respond(asked) == relative.respond(asked) != base.respond(asked)
    assert found.decoder.head.dtype == torch.float32 and other != digest
    with pytest.raises(InputError, match="bfloat16, float32"):
        open_alone(str(folder), dtype="float8")
