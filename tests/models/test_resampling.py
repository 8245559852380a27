"""Answers drawn again: the same where nothing was changed, and different where and only where something was."""

from __future__ import annotations

import numpy as np
import pytest

from superalign.contracts.errors import InputError
from superalign.models.generate import Sampling, generate
from superalign.models.impostors import matrices, patched, rounded
from superalign.models.resampling import Redrawn, redraw
from superalign.testing.tiny import tiny_relative, tiny_subject

PROMPTS = [(3, 50, 60, 70), (3, 51, 61), (3, 50, 60, 71, 80, 90)]


@pytest.fixture(scope="module")
def tiny():  # type: ignore[no-untyped-def]
    return tiny_subject().decoder


def answers(decoder, how: Sampling | None, size: int = 10) -> list[tuple[int, ...]]:  # type: ignore[no-untyped-def]
    return [tuple(one) for one in generate(decoder, PROMPTS, size, stops=(), sampling=how)]


def again(decoder, said: list[tuple[int, ...]], how: Sampling | None) -> list[Redrawn]:  # type: ignore[no-untyped-def]
    return redraw(decoder, PROMPTS, said, [how] * len(PROMPTS))


@pytest.mark.parametrize("how", [None, Sampling(1.0, 1.0, 4), Sampling(0.7, 1.0, 5), Sampling(1.3, 0.8, 6)])
def test_honest_answers_are_drawn_again(tiny, how: Sampling | None) -> None:  # type: ignore[no-untyped-def]
    for own in again(tiny, answers(tiny, how), how):
        assert own.same.all() and (own.margins == 0).all()


def test_one_other_token_is_the_only_one_that_differs_up_to_it(tiny) -> None:  # type: ignore[no-untyped-def]
    how = Sampling(1.0, 1.0, 7)
    said = answers(tiny, how)
    said[1] = (*said[1][:4], (said[1][4] + 1) % 1500, *said[1][5:])
    first, changed, last = again(tiny, said, how)
    assert first.same.all() and last.same.all()
    assert changed.same[:4].all() and not changed.same[4] and changed.margins[4] > 0
    assert (changed.margins[changed.same] == 0).all()


def test_another_seed_and_other_weights_show(tiny) -> None:  # type: ignore[no-untyped-def]
    how = Sampling(1.0, 1.0, 8)
    said = answers(tiny, how)
    assert np.mean([own.same.mean() for own in again(tiny, said, Sampling(1.0, 1.0, 9))]) < 0.2
    for other in (rounded(tiny, 4), patched(tiny, 0.1, 0)):
        assert np.mean([own.same.mean() for own in again(tiny, answers(other, how), how)]) < 0.9


def test_rounding_leaves_few_values_and_patches_are_as_large_as_said(tiny) -> None:  # type: ignore[no-untyped-def]
    own, coarse, other = (matrices(model) for model in (tiny, rounded(tiny, 4), patched(tiny, 0.05, 1)))
    for name, before in own.items():
        assert coarse[name].reshape(-1, 64).unique(dim=1).shape[1] <= 64
        assert max(len(row.unique()) for row in coarse[name].reshape(-1, 64)) <= 15
        assert float((other[name] - before).norm() / before.norm()) == pytest.approx(0.05, rel=1e-3)
    with pytest.raises(InputError, match="not rounded"):
        rounded(tiny, 1)


def test_what_can_not_be_drawn_again_is_refused(tiny) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InputError, match="no tokens"):
        redraw(tiny, PROMPTS[:1], [()], [None])
    with pytest.raises(InputError, match="does not have"):
        redraw(tiny, PROMPTS[:1], [(99999,)], [None])
    adapted = tiny_relative("adapted", tiny_subject()).decoder
    with pytest.raises(InputError, match="adapters"):
        redraw(adapted, PROMPTS[:1], [(5,)], [None])
