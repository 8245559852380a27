"""Points of both recipes, counted alike, of which `economics gain` makes a gain."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np

from superalign.bench.training import Exam
from superalign.models.subject import ModelSubject
from superalign.testing.tiny import tiny_model, tiny_subject

Example = Callable[[str], ModuleType]


def test_each_recipe_seed_and_budget_is_a_point(example: Example, tmp_path: Path) -> None:
    study = example("gain_of_fast_training")
    tiny_model(tmp_path / "tiny")
    work = replace(study.Study().work, model=str(tmp_path / "tiny"), taught=8, held_out=4, searched=4, batch=4)
    found = list(study.points(study.Study(work=work, seeds=(0, 1), ours=(1, 4), loop=(1, 4))))
    assert [(point.recipe, point.seed) for point in found] == [
        (recipe, seed) for seed in (0, 1) for recipe in ("loop", "ours") for _ in range(2)
    ]
    assert all(point.compute > 0 and np.isfinite(point.loss) for point in found)
    assert len({point.loss for point in found}) > 4


def test_who_is_sure_and_wrong_has_the_larger_loss(example: Example) -> None:
    study, subject = example("gain_of_fast_training"), tiny_subject(decided=True)
    assert isinstance(subject, ModelSubject)
    questions = tuple(study.divide(replace(study.Study().work, held_out=4, searched=1, taught=1))[1].questions)
    said = subject.yes_logits([question.asked for question in questions]) > 0
    losses = [study.loss(subject.decoder, subject.chat, Exam(questions, truth)) for truth in (said, ~said)]
    assert losses[0] < np.log(2) < losses[1]
