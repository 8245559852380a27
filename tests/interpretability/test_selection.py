"""What is chosen is chosen without what it is scored on, and noise is not taken for a finding."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, kstest
from sklearn.model_selection import GroupKFold

from superalign.contracts.errors import InputError
from superalign.interpretability.estimators import RidgeProbe
from superalign.interpretability.probes import FOLDS, folds_of, within_folds
from superalign.interpretability.selection import (
    INNER_FOLDS,
    STRENGTHS,
    auroc_within,
    null_labellings,
    p_value,
    select,
)
from superalign.tasks.metrics import auroc, point

SIMULATIONS, SHUFFLES = 120, 19


def blank(seed: int, groups: int = 20, layers: int = 4, width: int = 3) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Activations that tell nothing; in each group one true and one false."""
    rng = np.random.default_rng(seed)
    truth = np.concatenate([rng.permutation([True, False]) for _ in range(groups)])
    return rng.standard_normal((2 * groups, layers, width)), truth, [str(i // 2) for i in range(2 * groups)]


@pytest.fixture(scope="module")
def simulated() -> dict[str, np.ndarray]:
    """The nested AUROC, the best layer's, and both p-values, where there is nothing to read."""
    found = []
    for seed in range(SIMULATIONS):
        read, truth, groups = blank(seed)
        shuffled, _ = null_labellings(truth, groups, SHUFFLES, seed)
        selected = select(read, np.concatenate([truth[None], shuffled]), groups, (1e-4, 1e-2))
        nested, best = selected.nested_auroc, selected.by_layer_auroc.max(1)
        found.append((nested[0], best[0], p_value(nested[0], nested[1:]), p_value(best[0], best[1:])))
    return dict(zip(("nested", "best", "nested p", "best p"), np.array(found).T, strict=True))


def test_where_there_is_nothing_the_nested_choice_is_at_chance_and_the_best_layer_above(
    simulated: dict[str, np.ndarray],
) -> None:
    nested, best = simulated["nested"], simulated["best"]
    assert abs(nested.mean() - 0.5) < 3.5 * nested.std() / np.sqrt(SIMULATIONS)
    assert best.mean() - 0.5 > 10 * best.std() / np.sqrt(SIMULATIONS)


@pytest.mark.parametrize("name", ["nested p", "best p"])
def test_where_there_is_nothing_p_values_are_uniform(simulated: dict[str, np.ndarray], name: str) -> None:
    """As uniform as 19 shuffles allow: the values are multiples of 1 / 20, and ties only make them larger."""
    found = simulated[name]
    for level in (0.05, 0.1, 0.2, 0.5):
        assert (found <= level + 1e-9).sum() <= binom.ppf(0.999, SIMULATIONS, level)
    spread = found - np.random.default_rng(0).random(SIMULATIONS) / (SHUFFLES + 1)
    assert kstest(spread, "uniform").pvalue > 1e-3


def test_a_layer_that_tells_the_truth_is_chosen_and_significant() -> None:
    read, truth, groups = blank(0, groups=40)
    read[:, 2, 0] += 3 * truth
    shuffled, _ = null_labellings(truth, groups, 39, 0)
    found = select(read, np.concatenate([truth[None], shuffled]), groups)
    assert {layer for layer, _ in found.chosen} == {2}
    assert found.nested_auroc[0] > 0.9 and found.by_layer_auroc[0].argmax() == 2
    assert p_value(found.nested_auroc[0], found.nested_auroc[1:]) == 1 / 40
    assert (found.nested[0] == found.by_layer[0, 2]).all()


def test_it_is_the_loop_that_one_would_write() -> None:
    read, truth, groups = blank(3, groups=30, layers=2)
    read[:, 1] += 0.7 * truth[:, None]
    found = select(read, truth[None], groups)
    names = np.array(groups)
    for fold, (train, test) in enumerate(GroupKFold(FOLDS).split(truth, truth, names)):
        promised = {}
        for layer in range(read.shape[1]):
            for strength in STRENGTHS:
                scores, inner_of = np.zeros(len(train)), np.zeros(len(train), int)
                for inner, (known, asked) in enumerate(GroupKFold(INNER_FOLDS).split(train, train, names[train])):
                    probe = RidgeProbe(strength).fit(read[train[known], layer], truth[train[known]])
                    scores[asked], inner_of[asked] = probe.decision_function(read[train[asked], layer]), inner
                promised[layer, strength] = point(within_folds(inner_of), scores, truth[train])
        assert promised[found.chosen[fold]] == pytest.approx(max(promised.values()))
        layer, strength = found.chosen[fold]
        expected = RidgeProbe(strength).fit(read[train, layer], truth[train]).decision_function(read[test, layer])
        assert found.nested[0, test] == pytest.approx(expected, rel=1e-4, abs=1e-5)


@given(st.integers(0, 10**6))
@settings(max_examples=10, deadline=None)
def test_a_fold_is_scored_as_if_its_answers_were_unknown(seed: int) -> None:
    """Neither probe nor choice of layer and strength hangs on the labels of what is scored."""
    read, truth, groups = blank(seed)
    own = folds_of(truth, groups) == 0
    flipped = np.where(own, ~truth, truth)
    before, after = (select(read, labels[None], groups) for labels in (truth, flipped))
    assert (before.nested[0, own] == after.nested[0, own]).all()
    assert before.chosen[0] == after.chosen[0]
    assert (before.nested[0, ~own] != after.nested[0, ~own]).any()


@given(st.integers(0, 10**6))
@settings(max_examples=20, deadline=None)
def test_auroc_within_folds_is_that_of_the_metric(seed: int) -> None:
    rng = np.random.default_rng(seed)
    labellings = rng.random((3, 30)) < 0.4
    scores, fold_of = rng.integers(0, 6, (2, 3, 30)).astype(float), rng.integers(0, 4, 30)
    found = auroc_within(scores, labellings, fold_of)
    for kind in range(2):
        for which in range(3):
            expected = point(within_folds(fold_of), scores[kind, which], labellings[which])
            assert found[kind, which] == pytest.approx(expected)


def test_scores_of_different_folds_are_not_compared() -> None:
    """Two folds, each ordered rightly, on scales that are far apart."""
    truth, fold_of = np.array([True, False, True, False]), np.array([0, 0, 1, 1])
    scores = np.array([2.0, 1.0, -1.0, -2.0])
    assert point(auroc, scores, truth) == 0.75
    assert point(within_folds(fold_of), scores, truth) == 1


def test_shuffling_keeps_the_balance_that_there_is() -> None:
    groups = [str(i // 4) for i in range(80)]
    mixed = np.arange(80) % 2 == 0
    found, how = null_labellings(mixed, groups, 5, 0)
    assert how == "within groups" and (found.reshape(5, 20, 4).sum(2) == 2).all()
    assert len({tuple(labels) for labels in found.tolist()}) == 5
    whole = np.arange(80) // 4 % 2 == 0
    found, how = null_labellings(whole, groups, 5, 0)
    assert how == "whole groups" and set(found.reshape(5, 20, 4).sum(2).ravel().tolist()) == {0, 4}
    assert (found.sum(1) == whole.sum()).all() and (found != whole).any(1).all()


def test_p_values_are_never_0() -> None:
    assert p_value(0.9, np.full(9, 0.5)) == 0.1
    assert p_value(0.5, np.full(9, 0.5)) == 1


def test_too_little_to_choose_by_is_refused() -> None:
    read, truth, groups = blank(0, groups=3)
    with pytest.raises(InputError, match="3 groups"):
        select(read, truth[None], groups)
    read, truth, groups = blank(0)
    with pytest.raises(InputError, match="one class"):
        select(read, np.ones_like(truth)[None], groups)
    alternating = np.arange(len(truth)) // 2 % 2 == 0  # five groups, each of one class, each a fold
    with pytest.raises(InputError, match="Each fold"):
        select(read[:10], alternating[None, :10], groups[:10])
