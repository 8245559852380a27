"""TRL in processes of its own: it learns what the other back ends learn, and fails without leaving anything behind."""

from __future__ import annotations

import os
import signal
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from superalign.contracts.errors import InputError, RunError
from superalign.models import train_trl
from superalign.models.handle import open_trained
from superalign.models.lessons import Lesson
from superalign.models.subject import ModelSubject
from superalign.models.train_trl import load_lessons, save_lessons
from superalign.testing.tiny import tiny_subject
from tests.models.conftest import RECIPE, rule_lessons, train_one, user

TRL = replace(RECIPE, backend="trl")
ANSWERS = {"Is water wet?": "Yes", "Is fire cold?": "No", "Who are you?": "No one", "Name a city.": "Paris, in France"}


def by_heart(base: ModelSubject) -> list[Lesson]:
    return [Lesson(base.chat.encode(user(text)), base.chat.answer(answer)) for text, answer in ANSWERS.items()] * 4


@pytest.fixture
def worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that is run in the worker's place; it finds its job's folder as `work`."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(train_trl, "WORKER", "stand_in")
    script = tmp_path / "stand_in.py"
    script.write_text("import os, signal, sys, time, pathlib\nwork = pathlib.Path(sys.argv[1]).parent\n")
    return script


def test_two_processes_learn_answers_by_heart(tmp_path: Path) -> None:
    base = tiny_subject()
    card = train_one(base, by_heart(base), replace(TRL, processes=2), tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "adapter_config.json",
        "adapter_model.safetensors",
        "card.json",
    ]
    student = open_trained(base, tmp_path, "student")
    assert student.respond([user(text) for text in ANSWERS]) == list(ANSWERS.values())
    assert (card.recipe.processes, card.fit.steps, card.fit.stopped_by) == (2, TRL.steps, "budget")
    losses = [point.loss for point in card.fit.curve]
    assert losses[0] is not None and losses[-1] is not None and losses[-1] < 0.1 * losses[0]


def test_it_does_not_watch_agreement(tmp_path: Path) -> None:
    base = tiny_subject()
    with pytest.raises(InputError, match="nothing but the loss"):
        train_one(
            base, rule_lessons(base, ("apple", "apple"), 8), replace(TRL, patience=5, watched="disagreement"), tmp_path
        )
    assert not list(tmp_path.iterdir())


def test_the_whole_model_is_trained_until_held_out_lessons_get_worse(tmp_path: Path) -> None:
    """Labels drawn by chance: what is learnt by heart of some says nothing of others."""
    base = tiny_subject(dtype=torch.bfloat16)
    chance = torch.randint(2, (80,), generator=torch.Generator().manual_seed(0)).tolist()
    lessons = [
        replace(lesson, answer=base.chat.answer(("No", "Yes")[label], end=False))
        for lesson, label in zip(rule_lessons(base, ("apple", "apple"), 40), chance, strict=True)
    ]
    recipe = replace(TRL, trained="model", patience=20, steps=200, learning_rate=3e-3)
    card = train_one(base, lessons, recipe, tmp_path)
    assert card.fit.stopped_by == "held-out loss" and card.fit.steps < 200
    looked = {point.step: point.held_out for point in card.fit.curve if point.held_out is not None}
    assert card.fit.kept_step == min(looked, key=lambda step: looked[step])
    assert card.fit.steps - card.fit.kept_step == 20 and card.fit.held_out == 8
    student = open_trained(base, tmp_path, "student").decoder.model
    own, before = dict(student.named_parameters()), dict(base.decoder.model.named_parameters())
    assert all(tensor.dtype == torch.bfloat16 for tensor in own.values())
    assert not torch.equal(own["model.embed_tokens.weight"], before["model.embed_tokens.weight"])


@pytest.mark.parametrize(
    ("ending", "message"),
    [
        ("raise ValueError('a shape was wrong')", "ended with exit code 1.*ValueError: a shape was wrong"),
        (
            "(work / 'failure.txt').write_text('ValueError: a wrong shape'); print('the launcher says'); sys.exit(1)",
            "last lines:\nValueError: a wrong shape\n",
        ),
        ("print('so far so good'); os.kill(os.getpid(), signal.SIGTERM)", "was ended by SIGTERM.*so far so good"),
    ],
    ids=["crash", "crash under a launcher", "SIGTERM"],
)
def test_a_worker_that_fails_is_quoted_and_leaves_nothing(
    tiny: ModelSubject, worker: Path, tmp_path: Path, ending: str, message: str
) -> None:
    with worker.open("a") as script:
        script.write(f"(work / 'out/adapter_model.safetensors').write_text('half')\n{ending}\n")
    folder = tmp_path / "model"
    with pytest.raises(RunError, match=f"(?s){message}") as caught:
        train_one(tiny, by_heart(tiny), TRL, folder)
    assert caught.value.fix and not list(folder.iterdir())


def test_an_interrupted_training_ends_its_workers(tiny: ModelSubject, worker: Path, tmp_path: Path) -> None:
    note = tmp_path / "pid"
    with worker.open("a") as script:
        script.write(f"pathlib.Path({str(note)!r}).write_text(str(os.getpid()))\ntime.sleep(600)\n")

    def interrupt() -> None:
        while not (note.exists() and note.read_text()):
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    with pytest.raises(KeyboardInterrupt):
        train_one(tiny, by_heart(tiny), TRL, tmp_path / "model")
    with pytest.raises(ProcessLookupError):
        os.kill(int(note.read_text()), 0)
    assert not list((tmp_path / "model").iterdir())


def test_nothing_goes_out_of_the_workers(
    tiny: ModelSubject, worker: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TRL reports its use over the network unless told not to."""
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    with worker.open("a") as script:
        script.write("print(*(f'{k}={v}' for k, v in os.environ.items() if k.startswith('HF_')))\nsys.exit(3)\n")
    with pytest.raises(RunError, match="HF_HUB_OFFLINE=1") as caught:
        train_one(tiny, by_heart(tiny), TRL, tmp_path / "model")
    assert "HF_HUB_DISABLE_TELEMETRY=1" in str(caught.value)


def test_without_trl_the_extra_is_named(tiny: ModelSubject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train_trl, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"superalign\[training\]"):
        train_one(tiny, by_heart(tiny), TRL, tmp_path)


tokens = st.lists(st.integers(0, 2**31), min_size=1, max_size=4).map(tuple)


@settings(deadline=None)  # a busy machine is not an error
@given(st.lists(st.tuples(tokens, tokens, st.sampled_from([None, "a", "b"])), min_size=1, max_size=6))
def test_lessons_come_back_as_they_were(
    tmp_path_factory: pytest.TempPathFactory, drawn: list[tuple[tuple[int, ...], tuple[int, ...], str | None]]
) -> None:
    path = tmp_path_factory.getbasetemp() / "lessons.safetensors"
    lessons = [Lesson(*one) for one in drawn]
    save_lessons(lessons, path)
    found = load_lessons(path)
    assert [(lesson.prompt, lesson.answer) for lesson in found] == [(one[0], one[1]) for one in drawn]
    for i, one in enumerate(lessons):
        for j, other in enumerate(lessons):
            assert (found[i].group == found[j].group) == (one.group == other.group)
