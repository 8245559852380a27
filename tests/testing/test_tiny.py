"""The tiny model is a model like any other: a folder, a name in a plan, the same each time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from superalign.models import source
from superalign.models.handle import identify
from superalign.tasks.cities import Cities
from superalign.testing.tiny import SYSTEM, tiny_model, tiny_relative, tiny_subject, tiny_tokenizer


def test_loads_by_its_path(tmp_path: Path) -> None:
    loaded = source.load(source.resolve(str(tiny_model(tmp_path / "tiny"))))
    assert loaded.model.dtype is torch.bfloat16 and loaded.model.config.num_hidden_layers == 5
    assert SYSTEM in loaded.tokenizer.apply_chat_template([{"role": "user", "content": "Hello"}], tokenize=False)


def test_the_same_each_time_and_another_for_another_seed(tmp_path: Path) -> None:
    digests = [
        identify(str(tiny_model(tmp_path / name, seed=seed))).digest for name, seed in (("a", 0), ("b", 0), ("c", 1))
    ]
    assert digests[0] == digests[1] != digests[2]


def test_the_tokenizer_writes_back_what_it_read() -> None:
    text = "Is the city of N'Djamena in Côte d'Ivoire? ☂ 東京\n"
    assert tiny_tokenizer().decode(tiny_tokenizer()(text).input_ids) == text


def test_every_question_has_an_answer_of_its_own() -> None:
    asked = [question.asked for question in Cities().load(limit=50)[0]]
    for subject in (tiny_subject(), tiny_relative("relative", tiny_subject())):
        said = subject.yes_logits(asked)
        assert len(np.unique(said)) == len(said) and said.std() > 0.1
