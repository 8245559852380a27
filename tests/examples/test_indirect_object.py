"""Indirect objects: patching everything gives the other answer, nothing the same; some heads matter more than most."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import numpy as np
import pytest

from superalign.models.heads import Head
from superalign.testing.tiny import tiny_subject

Example = Callable[[str], ModuleType]
MIDDLE = range(16, 25)


@pytest.fixture(scope="module")
def objects(example: Example) -> ModuleType:
    return example("indirect_object")


def test_patching_is_exact_at_both_ends(objects: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a tiny model: all streams of the other prompt make it the other prompt; its own heads change nothing."""
    subject = tiny_subject()
    words = subject.chat.whole_words()
    monkeypatch.setattr(objects, "NAMES", tuple(words[:6]))
    monkeypatch.setattr(objects, "THINGS", tuple(words[6:10]))
    prompts = objects.draw_prompts(subject.chat, 3, seed=0)
    for prompt in prompts:
        assert prompt.clean[prompt.second] == prompt.wrong != prompt.right == prompt.other_giver[prompt.second]
    run = objects.Run.of(subject.decoder, prompts)
    depth = subject.decoder.depth
    every = [Head(layer, head) for layer in range(1, depth + 1) for head in range(subject.decoder.heads)]
    own = objects.read(subject.decoder, [prompt.clean for prompt in prompts], "heads")
    assert run.with_heads(every, own) == pytest.approx(0, abs=1e-3)
    assert run.with_residual(depth, last=True) == pytest.approx(1, abs=1e-3)
    assert run.with_residual(depth, last=False) == pytest.approx(0, abs=1e-3)
    plain = objects.differences(subject.decoder, run.before[0], prompts)
    assert np.allclose(run.clean, plain, atol=1e-4)


@pytest.mark.model
def test_a_few_heads_of_the_embedded_model_find_whom(objects: ModuleType) -> None:
    found = objects.on_the_embedded_model(prompts=3, layers=MIDDLE, chosen=6, draws=2)
    assert found.solved > 0.7 and found.clean > 0.5 > -0.5 > found.other_giver
    assert found.together > max(*found.others, 0) + 0.2 and abs(found.other_thing) < 0.25
    assert found.at_second[0] > found.at_second[-1] and found.at_last[-1] > found.at_last[0]
