"""Induction heads: found in the embedded model, and not where there are none."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import numpy as np
import pytest

from superalign.testing.tiny import tiny_subject

Example = Callable[[str], ModuleType]


@pytest.mark.model
def test_the_second_copy_hangs_on_a_few_heads(example: Example) -> None:
    found = example("induction_heads").on_the_embedded_model(rows=1, length=25, draws=2)
    best = max(found.scores[head.layer - 1, head.head] for head in found.heads)
    assert best > 0.4 > 0.1 > np.median(found.scores)
    assert found.intact[0] < found.intact[1] - 3  # it copies at all
    rise, of_others = found.without[0] - found.intact[0], [copy - found.intact[0] for copy, _ in found.without_others]
    assert rise > 3 and rise > 2 * max(of_others)
    assert abs(found.without[1] - found.intact[1]) < 1


def test_a_model_that_was_never_trained_has_none(example: Example) -> None:
    study = example("induction_heads")
    subject = tiny_subject()
    rows = study.draw_rows(range(300, 1300), (0,), 4, 12, seed=0)
    found = study.study(subject.decoder, rows[:2], rows[2:], ablated=3, draws=2)
    assert found.scores.max() < 0.4
    assert abs(found.intact[0] - found.intact[1]) < 2 and abs(found.without[0] - found.intact[0]) < 2


def test_the_score_is_the_attention_to_the_token_behind_the_first_copy(
    example: Example, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = example("induction_heads")
    [row] = study.draw_rows(range(300, 1300), (0,), 1, 4, seed=0)
    assert len({*row.tokens, *row.others}) == 8

    def copying(decoder: object, sequence: tuple[int, ...]) -> object:
        import torch

        pattern = torch.zeros(1, 1, len(sequence), len(sequence))
        for query, token in enumerate(sequence):
            if token in sequence[:query]:
                pattern[0, 0, query, sequence.index(token) + 1] = 1.0
        return pattern

    monkeypatch.setattr(study, "attention_patterns", copying)
    assert study.induction_scores(None, [row]) == np.ones((1, 1))
