"""Probes: never taught by what they score, and worth nothing where there is nothing to read."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, KFold, cross_val_predict
from sklearn.preprocessing import StandardScaler

from superalign.contracts.errors import InputError
from superalign.contracts.protocols import AnswerKey
from superalign.contracts.records import Question
from superalign.interpretability.estimators import MeanDifferenceProbe
from superalign.interpretability.probes import out_of_fold, probe_auroc, shuffled_within_groups, text_baselines
from superalign.tasks.metrics import auroc, point
from superalign.tasks.splits import by_group

from ..scripted import World

WORLD = World(150)
TRUTH = WORLD.key.of(WORLD.questions)
GROUPS = by_group(WORLD.questions)


def test_features_that_name_the_group_tell_nothing() -> None:
    """All answers of a group are the same here. Split by row, the group gives them away; split by group it can't."""
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(60), 5)
    truth = rng.permutation(np.arange(60) % 2 == 0)[groups]
    identity = np.eye(60)[groups] + 0.01 * rng.standard_normal((300, 60))
    by_row = cross_val_predict(
        LogisticRegression(), identity, truth, cv=KFold(5, shuffle=True, random_state=0), method="decision_function"
    )
    assert point(auroc, by_row, truth) > 0.95
    assert probe_auroc(identity, truth, [str(group) for group in groups]) < 0.6


def test_a_group_is_scored_as_if_its_answers_were_unknown() -> None:
    """Changing the answers of one group changes no score of that group."""
    features = np.random.default_rng(1).standard_normal((len(TRUTH), 8)) + TRUTH[:, None]
    own = np.array(GROUPS) == GROUPS[0]
    changed = np.where(own, ~TRUTH, TRUTH)
    before, after = out_of_fold(features, TRUTH, GROUPS), out_of_fold(features, changed, GROUPS)
    assert (before[own] == after[own]).all()
    assert not np.allclose(before[~own], after[~own])


def test_unless_told_otherwise_the_probe_is_strongly_regularized_logistic_regression() -> None:
    """To the last bit: what `knowledge` scores hangs on it."""
    features = (np.random.default_rng(5).standard_normal((len(TRUTH), 8)) + TRUTH[:, None]).astype(np.float32)
    expected = np.zeros(len(TRUTH))
    for train, test in GroupKFold(5).split(features, TRUTH, GROUPS):
        scaler = StandardScaler().fit(features[train])
        fitted = LogisticRegression(C=1e-3, max_iter=500).fit(scaler.transform(features[train]), TRUTH[train])
        direction = fitted.coef_[0] / scaler.scale_
        expected[test] = features[test] @ direction + float(fitted.intercept_[0] - direction @ scaler.mean_)
    assert (out_of_fold(features, TRUTH, GROUPS) == expected).all()
    other = out_of_fold(features, TRUTH, GROUPS, MeanDifferenceProbe())
    assert np.corrcoef(other, expected)[0, 1] > 0.9 and (other != expected).all()


def test_reads_what_is_there_and_nothing_else() -> None:
    rng = np.random.default_rng(2)
    blank = rng.standard_normal((len(TRUTH), 30))
    told = blank.copy()
    told[:, 4] += 4 * TRUTH
    assert probe_auroc(told, TRUTH, GROUPS) > 0.9
    assert probe_auroc(blank, TRUTH, GROUPS) == pytest.approx(0.5, abs=0.1)


def test_shuffled_labels_can_not_be_read() -> None:
    features = np.random.default_rng(3).standard_normal((len(TRUTH), 10))
    features[:, 0] += 3 * TRUTH
    shuffled = [shuffled_within_groups(TRUTH, GROUPS, seed) for seed in range(8)]
    assert np.mean([probe_auroc(features, labels, GROUPS) for labels in shuffled]) == pytest.approx(0.5, abs=0.05)


def test_shuffling_keeps_each_groups_balance_and_depends_on_the_seed() -> None:
    groups = [str(i // 5) for i in range(300)]
    truth = np.random.default_rng(4).random(300) < 0.3
    first, again, other = (shuffled_within_groups(truth, groups, seed) for seed in (0, 0, 1))
    assert (first == again).all()
    assert (first != other).any() and (first != truth).any()
    assert (first.reshape(60, 5).sum(axis=1) == truth.reshape(60, 5).sum(axis=1)).all()


def test_text_tells_nothing_of_cities() -> None:
    found = text_baselines(WORLD.questions, TRUTH, GROUPS)
    assert set(found) == {"length", "bag of words"}
    for name, value in found.items():
        assert value == pytest.approx(0.5, abs=0.1), name


def test_text_baselines_see_a_task_that_gives_itself_away() -> None:
    """A word, or the length, that goes with the answer."""
    questions = tuple(
        Question(id=f"{i}", prompt=f"Is it so, number {i}{' indeed' if i % 2 else ''}?", level=0, group=str(i // 2))
        for i in range(80)
    )
    truth = np.arange(80) % 2 == 1
    found = text_baselines(questions, truth, by_group(questions))
    assert found["bag of words"] > 0.95
    assert found["length"] > 0.95


def test_one_answer_only_is_refused_rather_than_scored() -> None:
    key = AnswerKey(truth={question.id: True for question in WORLD.questions})
    with pytest.raises(InputError, match="class"):
        probe_auroc(np.zeros((len(TRUTH), 2)), key.of(WORLD.questions), GROUPS)
