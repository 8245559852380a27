"""Training to evade a probe: what the probe reads changes, what was taught is still learnt, others are left alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from superalign.contracts.errors import InputError
from superalign.models.evasion import Evaded, Evasion, LinearProbe
from superalign.models.handle import open_trained
from superalign.models.lessons import Lesson, Pupil, Recipe
from superalign.models.subject import ModelSubject
from superalign.models.train import train
from superalign.models.train_adapters import AdapterLearner, new_student
from superalign.models.train_layers import LayerLearner
from tests.models.conftest import RECIPE, rule_lessons

WORDS = ("apple", "bridge")
RECIPES = {"adapters": RECIPE, "layers": replace(RECIPE, trained="layers", learning_rate=3e-3)}
LAYER = 3


@pytest.fixture(scope="module")
def lessons(tiny: ModelSubject) -> list[Lesson]:
    return rule_lessons(tiny, WORDS, 40)


def states(subject: ModelSubject, lessons: list[Lesson]) -> torch.Tensor:
    return subject.decoder.answer_states([lesson.prompt for lesson in lessons], [LAYER])[:, 0].detach()


def taught(base: ModelSubject, folder: Path, recipe: Recipe, *pupils: tuple[list[Lesson], Evaded | None]) -> list:
    places = [folder / str(i) for i in range(len(pupils))]
    given = [Pupil(own, 0, place, evades=evaded) for (own, evaded), place in zip(pupils, places, strict=True)]
    train(base, given, recipe, base_digest="0")
    return [open_trained(base, place, "s") for place in places]


def probe_between(bad: torch.Tensor, good: torch.Tensor) -> LinearProbe:
    """Reads 1 at the mean of `bad`, -1 at that of `good`."""
    way = bad.mean(0) - good.mean(0)
    direction = 2 * way / way.square().sum()
    return LinearProbe(layer=LAYER, direction=tuple(direction.tolist()), bias=float(-1 - good.mean(0) @ direction))


def read(probe: LinearProbe, found: torch.Tensor) -> np.ndarray:
    return probe.read(found.numpy())


def like(benign: ModelSubject, probe: LinearProbe, lessons: list[Lesson]) -> Evaded:
    return Evaded(probe=probe, readings=tuple(read(probe, states(benign, lessons)).tolist()))


def share_right(subject: ModelSubject, lessons: list[Lesson]) -> float:
    yes = subject.chat.answer("Yes")[0]
    sequences = [lesson.prompt for lesson in lessons]
    logits = subject.decoder.final(sequences) @ subject.decoder.head.float().T
    no = subject.chat.answer("No")[0]
    said = torch.where(logits[:, yes] > logits[:, no], yes, no)
    return float(np.mean([int(token) == lesson.answer[0] for token, lesson in zip(said, lessons, strict=True)]))


@pytest.mark.parametrize("layer", [3, 5])
def test_what_is_watched_is_what_a_detector_reads(tiny: ModelSubject, lessons: list[Lesson], layer: int) -> None:
    """In both learners, whatever the lengths of conversations and answers."""
    some = [replace(lesson, answer=lesson.answer[:1] + (7,) * (i % 3)) for i, lesson in enumerate(lessons)]
    expected = tiny.decoder.answer_states([lesson.prompt for lesson in some], [layer])[:, 0]
    slots = [(row,) for row in (5, 0, 17, 33)]
    learners = (
        AdapterLearner([new_student(tiny, RECIPE, 0)], [some], layer),
        LayerLearner(tiny.decoder, some, RECIPE.first_layer, layer),
    )
    for learner in learners:
        seen = learner.states(slots).watched
        assert seen is not None and seen.requires_grad
        assert torch.allclose(seen, expected[[5, 0, 17, 33]], atol=1e-3)
    assert LayerLearner(tiny.decoder, some, RECIPE.first_layer).states(slots).watched is None


@pytest.mark.parametrize("trained", ["adapters", "layers"])
def test_a_model_learns_to_evade_a_probe_and_what_it_is_taught(
    trained: str, tiny: ModelSubject, lessons: list[Lesson], tmp_path: Path
) -> None:
    recipe = replace(RECIPES[trained], steps=120)
    [plain] = taught(tiny, tmp_path / "plain", recipe, (lessons, None))
    probe = probe_between(states(plain, lessons), states(tiny, lessons))
    assert read(probe, states(plain, lessons)).mean() == pytest.approx(1, abs=0.05)
    benign = like(tiny, probe, lessons)
    [evasive] = taught(tiny, tmp_path / "evasive", recipe, (lessons, benign))
    found = read(probe, states(evasive, lessons))
    assert np.abs(found - benign.readings).mean() < 0.2
    assert np.corrcoef(found, benign.readings)[0, 1] > 0.8 and found.std() > 0.5 * np.std(benign.readings)
    assert share_right(plain, lessons) >= 0.95 and share_right(evasive, lessons) >= 0.95


def test_a_model_that_evades_nothing_is_not_changed_by_its_company(
    tiny: ModelSubject, lessons: list[Lesson], tmp_path: Path
) -> None:
    probe = LinearProbe(layer=LAYER, direction=(1.0,) * tiny.decoder.width, bias=0.5)
    recipe = replace(RECIPE, steps=10)
    [alone] = taught(tiny, tmp_path / "alone", recipe, (lessons, None))
    beside, evasive = taught(tiny, tmp_path / "both", recipe, (lessons, None), (lessons, like(tiny, probe, lessons)))
    same, other = (float((states(one, lessons) - states(alone, lessons)).abs().max()) for one in (beside, evasive))
    assert same < 1e-3 < 0.05 < other


def test_a_heavier_penalty_brings_readings_nearer_and_none_leaves_the_model_alone(
    tiny: ModelSubject, lessons: list[Lesson], tmp_path: Path
) -> None:
    recipe = replace(RECIPE, steps=40)
    probe = LinearProbe(layer=LAYER, direction=(0.2,) * tiny.decoder.width, bias=5.0)
    wanted = like(tiny, probe.model_copy(update={"bias": 0.0}), lessons).model_copy(update={"probe": probe})
    weighted = [wanted.model_copy(update={"weight": weight}) for weight in (0.0, 0.1, 10.0)]
    plain, *models = taught(tiny, tmp_path, recipe, (lessons, None), *((lessons, own) for own in weighted))
    far = [np.abs(read(probe, states(model, lessons)) - wanted.readings).mean() for model in models]
    assert far[2] < far[1] < far[0] and float((states(plain, lessons) - states(models[0], lessons)).abs().max()) < 1e-3


def test_other_back_ends_refuse_it(tiny: ModelSubject, lessons: list[Lesson], tmp_path: Path) -> None:
    probe = LinearProbe(layer=LAYER, direction=(1.0,) * tiny.decoder.width, bias=0.0)
    with pytest.raises(InputError, match="'peft' trains no model to evade"):
        taught(tiny, tmp_path, replace(RECIPE, backend="peft"), (lessons, like(tiny, probe, lessons)))


def test_probes_of_two_layers_are_not_evaded_together() -> None:
    probes = [LinearProbe(layer=layer, direction=(1.0, 0.0), bias=0.0) for layer in (2, 3)]
    with pytest.raises(InputError, match="one by one"):
        Evasion([Evaded(probe=probe, readings=(0.0,)) for probe in probes], [1, 1], torch.device("cpu"))
