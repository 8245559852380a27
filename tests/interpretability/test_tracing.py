"""Restoring everything brings the answer back, restoring nothing does not, and a planted memory is found."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from superalign.contracts.errors import InputError
from superalign.contracts.records import Access, Unscored
from superalign.interpretability.facts import answer_tokens, lay_out
from superalign.interpretability.tracing import CorruptedRuns, EffectMap, Trace, _around, trace
from superalign.models.audited import AuditedSubject
from superalign.models.generate import choice_logprobs
from superalign.models.sites import Site
from superalign.models.subject import ModelSubject
from superalign.testing.tiny import tiny_relative, tiny_subject

from .planted import DEPTH, MEMORY, MOVER, fact, knows_homes, names

DRAWS = 8


@cache
def traced() -> Trace:
    found = trace(knows_homes(), fact(names()[0]), draws=DRAWS, window=1)
    assert isinstance(found, Trace), found
    return found


def mean(of: EffectMap, layer: int, column: int) -> float:
    return of.mean[of.layers.index(layer)][column]


def subject_of(kind: str) -> ModelSubject:
    return tiny_relative("adapted", tiny_subject()) if kind == "adapted" else tiny_subject()


@pytest.mark.parametrize("kind", ["plain", "adapted"])
def test_all_restored_is_clean_and_nothing_restored_is_corrupted(kind: str) -> None:
    """Of any model, also of one whose adapters take over where its answer begins."""
    subject, asked = subject_of(kind), fact(names()[0])
    runs = CorruptedRuns(subject, asked, draws=3, noise=3.0, seed=0)
    tokens, last = runs.laid.tokens, len(runs.laid.tokens) - 1
    [said] = choice_logprobs(subject.decoder, [tokens], [answer_tokens(subject.chat, asked)[:1]]).exp().tolist()
    assert runs.clean == pytest.approx(said[0], rel=1e-3)
    named = list(range(runs.laid.first, runs.laid.last + 1))
    nothing, at_start, at_end, unharmed, everything = runs.probabilities(
        [
            {},
            {Site("residual", 0): named},
            {Site("residual", runs.decoder.depth): [last]},
            {Site("residual", 0): [last]},
            {site: range(len(tokens)) for site in runs.sites},
        ]
    ).T
    for restored in (at_start, at_end, everything):
        np.testing.assert_allclose(restored, runs.clean, rtol=1e-3)
    np.testing.assert_allclose(unharmed, nothing, rtol=1e-5)
    assert np.abs(nothing / runs.clean - 1).max() > 0.01
    assert len(set(nothing.tolist())) == 3, "each draw is another noise"


def test_a_run_does_not_hang_on_its_company() -> None:
    runs = CorruptedRuns(tiny_subject(), fact(names()[0]), draws=2, noise=3.0, seed=0)
    several = [{Site("residual", layer): [runs.laid.last]} for layer in range(4)]
    alone = np.concatenate([runs.probabilities([each]) for each in several], axis=1)
    np.testing.assert_allclose(runs.probabilities(several), alone, rtol=1e-4)


def test_a_planted_memory_is_found() -> None:
    found = traced()
    total = found.clean - found.corrupted.value
    assert found.clean > 0.9 and total > 0.4 and found.subject == 1
    last = len(found.tokens) - 1
    for layer in range(DEPTH + 1):
        before = layer < MOVER
        assert mean(found.residual, layer, 0) == pytest.approx(total if before else 0, abs=0.1)
        assert mean(found.residual, layer, last) == pytest.approx(0 if before else total, abs=0.1)
    for layer in range(1, DEPTH + 1):
        assert mean(found.mlp, layer, 0) == pytest.approx(total if layer == MEMORY else 0, abs=0.1)
    assert found.mlp.strongest() == (MEMORY, 0)


def test_intervals_hold_their_mean() -> None:
    found = traced()
    for of in (found.residual, found.mlp):
        low, middle, high = (np.array(part) for part in (of.low, of.mean, of.high))
        assert (low <= middle).all() and (middle <= high).all()
        assert low.shape == (len(of.layers), len(found.tokens))


@pytest.mark.parametrize(
    ("layer", "window", "layers"),
    [(3, 1, [3]), (3, 2, [2, 3]), (1, 4, [1, 2]), (5, 3, [4, 5]), (3, 10, [1, 2, 3, 4, 5])],
)
def test_a_window_ends_where_the_model_does(layer: int, window: int, layers: list[int]) -> None:
    assert [site.layer for site in _around("mlp", layer, window, 5)] == layers


def test_what_is_not_known_can_not_be_traced() -> None:
    wrong = fact(names()[0], answer="forest")
    assert lay_out(knows_homes().chat, wrong).tokens
    found = trace(knows_homes(), wrong, draws=DRAWS)
    assert isinstance(found, Unscored) and "forget" in found.reason
    shut = AuditedSubject(tiny_subject(), Access.ACTIVATIONS.and_less)
    assert isinstance(trace(shut, wrong), Unscored)
    with pytest.raises(InputError, match="2 draws"):
        trace(knows_homes(), wrong, draws=1)
