"""PGR: the number, when there is none, and that its interval means what it says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from superalign.contracts.errors import InputError
from superalign.contracts.generalization import PGR
from superalign.generalization.pgr import METRICS, PairedBootstrap, pgr

GROUPS = 50
TRUTH = np.tile([True, False], GROUPS)
NAMES = [f"g{i // 2}" for i in range(2 * GROUPS)]


def answers(right: int, seed: int = 0, truth: np.ndarray = TRUTH) -> np.ndarray:
    """Margins of which exactly `right` are right, scattered over the questions by `seed`."""
    correct = np.zeros(len(truth), dtype=bool)
    correct[np.random.default_rng(seed).permutation(len(truth))[:right]] = True
    return np.where(correct == truth, 1.0, -1.0)


def measured(weak: int, student: list[int], ceiling: list[int], metric: str = "accuracy") -> PGR:
    """PGR of models with these numbers of right answers out of 100."""
    sides = [
        np.array([answers(n, 10 * side + i) for i, n in enumerate(own)]) for side, own in ((1, student), (2, ceiling))
    ]
    return pgr(answers(weak), *sides, PairedBootstrap(TRUTH, NAMES, resamples=500, seed=0), metric)


@pytest.mark.parametrize(
    ("weak", "student", "ceiling", "expected"),
    [
        (50, [75, 75], [100, 100], 0.5),
        (60, [60, 80], [100, 100], 0.25),  # the mean over seeds: (70 - 60) / 40
        (50, [95, 95], [90, 90], 45 / 40),  # better than the ceiling: above 1
        (60, [50, 50], [100, 100], -0.25),  # worse than the overseer: below 0
        (20, [100, 100], [60, 60], 2.0),
    ],
)
def test_value_is_the_hand_computed_one_and_never_clipped(
    weak: int, student: list[int], ceiling: list[int], expected: float
) -> None:
    found = measured(weak, student, ceiling)
    assert found.defined
    assert found.value == pytest.approx(expected)
    assert found.low is not None and found.high is not None
    assert found.low <= expected <= found.high
    assert found.gap.value == pytest.approx((np.mean(ceiling) - weak) / 100)
    assert found.seeds == len(student)


def test_an_interval_beyond_0_and_1_is_not_clipped_either() -> None:
    above, below = measured(50, [100, 100], [75, 75]), measured(60, [45, 45], [100, 100])
    assert above.high is not None and above.high > 2
    assert below.low is not None and below.low < -0.3


def test_auroc_is_the_hand_computed_one() -> None:
    truth = np.tile([True, True, False, False], 25)
    names = [f"g{i // 4}" for i in range(100)]
    weak = np.tile([1.0, 3.0, 2.0, 4.0], 25)  # of four pairs, only 3 > 2 is in order: 0.25
    student = np.tile([[3.0, 2.0, 2.0, 1.0]], (2, 25))  # three pairs and one tie: 0.875
    ceiling = np.tile([[4.0, 3.0, 2.0, 1.0]], (2, 25))  # 1
    found = pgr(weak, student, ceiling, PairedBootstrap(truth, names, resamples=200, seed=0), "auroc")
    assert found.metric == "auroc"
    assert found.value == pytest.approx((0.875 - 0.25) / 0.75)


def test_no_gap_means_no_number_but_a_reason() -> None:
    found = measured(80, [85, 85], [81, 81])
    assert not found.defined
    assert (found.value, found.low, found.high) == (None, None, None)
    assert found.gap.low <= 0 <= found.gap.high
    assert "includes 0" in found.reason
    assert f"{found.gap.value:.3f}" in found.reason


def test_a_ceiling_below_the_overseer_leaves_nothing_to_recover() -> None:
    """A student as bad as its bad ceiling would otherwise have a PGR of 1."""
    found = measured(95, [50, 50], [50, 50])
    assert found.gap.high < 0
    assert not found.defined
    assert found.value is None
    assert "below" in found.reason


def test_seeds_are_shared_between_student_and_ceiling() -> None:
    """A student that is its ceiling, seed by seed, has recovered all in every resample, whichever seeds were drawn."""
    both = np.array([answers(right, seed) for seed, right in enumerate((70, 80, 90, 100))])
    found = pgr(answers(50, 9), both, both.copy(), PairedBootstrap(TRUTH, NAMES, resamples=500, seed=0))
    assert (found.value, found.low, found.high) == pytest.approx((1, 1, 1))


def test_whole_groups_are_resampled() -> None:
    """Questions of a group stand or fall together: ten copies of each tell no more than one."""
    base = answers(80)
    once = PairedBootstrap(TRUTH, [str(i) for i in range(len(TRUTH))], resamples=2000, seed=0)
    copies = PairedBootstrap(
        np.repeat(TRUTH, 10), [str(i // 10) for i in range(10 * len(TRUTH))], resamples=2000, seed=0
    )
    one, many = once.score(base[None]).accuracy_interval, copies.score(np.repeat(base, 10)[None]).accuracy_interval
    assert many.high - many.low == pytest.approx(one.high - one.low, rel=0.1)


margins = st.lists(st.sampled_from([-3.0, -1.5, -0.5, 0.0, 0.5, 1.5, 3.0]), min_size=12, max_size=12)


@settings(max_examples=40, deadline=None)
@given(weak=margins, student=margins, ceiling=margins, seed=st.integers(0, 5), scale=st.floats(0.1, 10))
def test_only_order_and_sign_of_margins_count(
    weak: list[float], student: list[float], ceiling: list[float], seed: int, scale: float
) -> None:
    truth, names = TRUTH[:12], NAMES[:12]
    order = np.random.default_rng(seed).permutation(12)
    for metric in METRICS:
        plain, scaled = (
            pgr(
                k * np.array(weak), k * np.array([student]), k * np.array([ceiling]),
                PairedBootstrap(truth, names, resamples=100, seed=seed), metric,
            )
            for k in (1.0, scale)
        )  # fmt: skip
        assert plain == scaled
        bootstrap = PairedBootstrap(truth[order], [names[i] for i in order], resamples=100, seed=seed)
        reordered = pgr(
            np.array(weak)[order], np.array([student])[:, order], np.array([ceiling])[:, order], bootstrap, metric
        )
        assert reordered.defined == plain.defined
        assert reordered.value == pytest.approx(plain.value)
        if plain.defined and plain.value is not None:
            assert plain.low is not None and plain.high is not None and plain.low <= plain.high


@settings(max_examples=30, deadline=None)
@given(weak=st.integers(20, 60), ceiling=st.integers(85, 100), seed=st.integers(0, 1000))
def test_ends_of_the_scale(weak: int, ceiling: int, seed: int) -> None:
    below, above = answers(weak, seed), answers(ceiling, seed + 1)
    for student, expected in ((below, 0.0), (above, 1.0)):
        found = pgr(below, student[None], above[None], PairedBootstrap(TRUTH, NAMES, resamples=100, seed=seed))
        assert (found.value, found.low, found.high) == pytest.approx((expected,) * 3)


def right_or_wrong(rng: np.random.Generator, skill: float, difficulty: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Margins of a model whose questions of one group are right more often together than apart."""
    chance = np.clip(skill + difficulty, 0, 1)
    return np.where((rng.random(len(truth)) < chance) == truth, 1.0, -1.0)


def test_interval_covers_the_truth_at_its_rate() -> None:
    """200 experiments with a known PGR: groups that are hard for all models, seeds that are better or worse."""
    repetitions, groups, covered, known = 200, 100, 0, 0.5
    truth, names = np.tile([True, False], groups), [str(i // 2) for i in range(2 * groups)]
    for repetition in range(repetitions):
        rng = np.random.default_rng(repetition)
        hard = np.repeat(rng.uniform(-0.1, 0.1, groups), 2)
        luck = rng.normal(0, 0.01, 5)
        weak = right_or_wrong(rng, 0.55, hard, truth)
        student = np.array([right_or_wrong(rng, 0.7 + own, hard, truth) for own in luck])
        ceiling = np.array([right_or_wrong(rng, 0.85 + own, hard, truth) for own in luck])
        found = pgr(weak, student, ceiling, PairedBootstrap(truth, names, resamples=300, seed=repetition))
        assert found.defined and found.low is not None and found.high is not None
        covered += found.low <= known <= found.high
    error = 3 * np.sqrt(0.95 * 0.05 / repetitions)
    assert abs(covered / repetitions - 0.95) < error


def defined(repetition: int, weak_skill: float, ceiling_skill: float) -> bool:
    """Whether one experiment with such an overseer and ceilings has a PGR."""
    groups = 100
    truth, names = np.tile([True, False], groups), [str(i // 2) for i in range(2 * groups)]
    rng = np.random.default_rng(repetition)
    hard = np.repeat(rng.uniform(-0.1, 0.1, groups), 2)
    weak = right_or_wrong(rng, weak_skill, hard, truth)
    ceiling = np.array([right_or_wrong(rng, ceiling_skill + own, hard, truth) for own in rng.normal(0, 0.01, 5)])
    return pgr(weak, ceiling, ceiling, PairedBootstrap(truth, names, resamples=300, seed=repetition)).defined


def test_the_guard_fires_at_its_rate_where_there_is_no_gap_and_seldom_where_there_is_one() -> None:
    """Of 200 experiments without a gap, one in forty shows one; a gap of 0.15 is seen nearly always."""
    repetitions = 200
    seen = sum(defined(repetition, 0.7, 0.7) for repetition in range(repetitions))
    assert seen <= repetitions * (0.025 + 3 * np.sqrt(0.025 * 0.975 / repetitions))
    assert sum(defined(repetition, 0.7, 0.85) for repetition in range(100)) >= 90
    assert not any(defined(repetition, 0.85, 0.7) for repetition in range(20))


def test_answers_that_do_not_fit_are_refused() -> None:
    bootstrap = PairedBootstrap(TRUTH, NAMES, resamples=100, seed=0)
    fine = answers(80)
    for weak, student, ceiling, whose in (
        (fine[:-1], fine[None], fine[None], "weak"),
        (fine, fine, fine[None], "student"),
        (fine, fine[None], np.where(np.arange(100) == 3, np.nan, fine)[None], "ceiling"),
    ):
        with pytest.raises(InputError, match=whose):
            pgr(weak, student, ceiling, bootstrap)
    for truth, names in ((TRUTH, NAMES[:-1]), (np.ones(100, dtype=bool), NAMES)):
        with pytest.raises(InputError, match="no test"):
            PairedBootstrap(truth, names)


def test_the_example_of_the_docs_works(capsys: pytest.CaptureFixture[str]) -> None:
    page = (Path(__file__).parents[2] / "docs" / "concepts" / "generalization.md").read_text(encoding="utf-8")
    exec(page.split("```python\n")[1].split("```")[0], {})
    assert capsys.readouterr().out.startswith("True 0.")


def test_shuffled_truth_leaves_no_gap() -> None:
    """With truth that says nothing weak and ceiling are alike; a gap is seen about as rarely as its level allows."""
    rng = np.random.default_rng(0)
    weak, ceiling = answers(60, 1), np.array([answers(95, 2), answers(95, 3)])
    undefined = 0
    for _ in range(100):
        bootstrap = PairedBootstrap(rng.permutation(TRUTH), NAMES, resamples=200, seed=0)
        undefined += not pgr(weak, ceiling, ceiling, bootstrap).defined
    assert undefined >= 88


def test_a_student_that_learnt_nothing_recovers_nothing() -> None:
    rng = np.random.default_rng(1)
    ceiling = np.array([answers(95, seed) for seed in range(3)])
    included = 0
    for repetition in range(100):
        weak, *student = (np.where((rng.random(100) < 0.6) == TRUTH, 1.0, -1.0) for _ in range(4))
        found = pgr(weak, np.array(student), ceiling, PairedBootstrap(TRUTH, NAMES, resamples=200, seed=repetition))
        assert found.low is not None and found.high is not None
        included += found.low <= 0 <= found.high
    assert included >= 85
