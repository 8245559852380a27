"""Abrupt shifts: found where they are, and not where rates grow, stay, or were counted too few times."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy.special import expit
from scipy.stats import binom

from superalign.contracts.errors import InputError
from superalign.contracts.records import Clause, Probe, Specification
from superalign.robustness.abrupt import (
    Count,
    Design,
    Fitted,
    Series,
    Shift,
    abrupt_shifts,
    exceedance,
    holm,
    likeliest,
)
from superalign.robustness.checkpoints import measured, read_series, step_of
from superalign.tasks.specification import default_specification
from superalign.testing.invented import comparisons
from superalign.testing.tiny import tiny_model

TIME = np.linspace(0, 1, 12)
GRADUAL = {
    "none": np.full(12, 0.05),
    "linear": 0.05 + 0.6 * TIME,
    "as steep as gradual goes": 0.05 + 0.7 * expit((TIME - 0.5) / 0.25 * 2 * np.log(9)),
    "to a plateau": 0.02 + 0.4 * expit((TIME - 0.3) / 0.4 * 2 * np.log(9)),
}


def series(misbehaved: Sequence[int], of: int = 50, name: str = "exploits") -> Series:
    return Series(
        behaviour=name,
        checkpoints=tuple(Count(step=100 * i, misbehaved=k, of=of) for i, k in enumerate(misbehaved)),
    )


def judged(misbehaved: Sequence[int], of: int = 50) -> Shift:
    [found] = abrupt_shifts([series(misbehaved, of)])
    return found


def alarms(rate: np.ndarray, of: int = 50, runs: int = 40, seed: int = 1) -> int:
    """In how many of some simulated series a shift shows at 5 %."""
    design, rng, found = Design(range(len(rate)), [of] * len(rate), 99, seed), np.random.default_rng(seed), 0
    for _ in range(runs):
        seen = rng.binomial(of, rate, (1, len(rate))).astype(float)
        null = design.abruptness(design.drawn(Fitted(seen, design.of, design.gradual).rate[0]))
        found += exceedance(design.abruptness(seen)[0], null) <= 0.05
    return found


@pytest.mark.parametrize("course", GRADUAL)
def test_false_alarms_keep_to_the_level(course: str) -> None:
    """A share of 0.05 gives more than 6 of 40 once in a hundred times."""
    assert alarms(GRADUAL[course]) <= binom.ppf(0.99, 40, 0.05)


@pytest.mark.parametrize(("before", "after", "at_least"), [(0.05, 0.65, 39), (0.0, 1.0, 39), (0.05, 0.35, 20)])
def test_shifts_are_found(before: float, after: float, at_least: int) -> None:
    assert alarms(np.where(TIME < 0.5, before, after)) >= at_least


def test_the_place_and_the_size_are_told() -> None:
    found = judged([1, 0, 2, 1, 2, 33, 36, 31, 34])
    assert found.verdict == "abrupt"
    assert (found.after, found.by, found.place) == (400, 500, (400, 500))
    assert found.before_rate == pytest.approx(6 / 250) and found.after_rate == pytest.approx(134 / 200)
    assert found.size is not None and found.size.low < 0.646 < found.size.high < found.size.low + 0.2


def test_a_fall_has_a_size_below_0() -> None:
    found = judged([33, 36, 31, 34, 2, 1, 0, 2, 1])
    assert found.verdict == "abrupt"
    assert found.size is not None and found.size.high < -0.5


@pytest.mark.parametrize(
    ("misbehaved", "of", "verdict"),
    [
        ([2, 5, 9, 13, 16, 20, 24, 27, 31, 36, 38, 42], 50, "gradual"),
        ([8, 12, 9, 10, 11, 9, 12, 8, 10, 11, 9, 10], 200, "steady"),
        ([200] * 12, 200, "steady"),
        ([1, 0, 2, 1, 2, 1], 5, "undetermined"),
        ([0, 50, 50], 50, "undetermined"),
    ],
)
def test_verdicts(misbehaved: list[int], of: int, verdict: str) -> None:
    found = judged(misbehaved, of)
    assert found.verdict == verdict, found
    assert found.reason


def test_behaviours_pay_for_their_number() -> None:
    alone = abrupt_shifts([series([1, 0, 2, 1, 2, 33, 36, 31, 34])])[0]
    beside = abrupt_shifts(
        [series([1, 0, 2, 1, 2, 33, 36, 31, 34]), *(series([3, 4, 3, 5, 2, 4, 3, 2, 4], name=f"{i}") for i in range(4))]
    )
    assert alone.p is not None and beside[0].p == pytest.approx(5 * alone.p)
    assert beside[0].verdict == "abrupt"
    assert {shift.verdict for shift in beside[1:]} <= {"steady", "undetermined"}


def test_the_same_series_always_gets_the_same_numbers() -> None:
    assert judged([1, 5, 2, 9, 20, 33, 36, 31]) == judged([1, 5, 2, 9, 20, 33, 36, 31])


def test_two_series_of_one_name_are_refused() -> None:
    with pytest.raises(InputError, match="two series of 'exploits'"):
        abrupt_shifts([series([1, 2, 3, 4]), series([1, 2, 3, 4])])


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 30), st.integers(30, 60)), min_size=4, max_size=12))
def test_the_best_change_point_is_that_of_pooled_rates(counts: list[tuple[int, int]]) -> None:
    """By hand: for each place the binomial likelihood of the rates before and after."""
    misbehaved, of = np.array(counts, dtype=float).T
    design = Design(range(len(counts)), of.astype(int).tolist(), 9, 0)
    found = Fitted(misbehaved[None], of, design.abrupt)

    def likelihood(cut: int) -> float:
        total = 0.0
        for part in (slice(None, cut), slice(cut, None)):
            rate = misbehaved[part].sum() / of[part].sum()
            total += binom.logpmf(misbehaved[part], of[part], rate).sum()
        return total - float(binom.logpmf(misbehaved, of, misbehaved / of).sum())

    by_hand = [likelihood(cut) for cut in range(1, len(counts))]
    shown = found.likelihoods[0] - max(found.likelihoods[0])
    assert shown == pytest.approx(np.array(by_hand) - max(by_hand), abs=1e-6)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 50), min_size=4, max_size=12))
def test_a_gradual_curve_fits_no_worse_than_none(misbehaved: list[int]) -> None:
    design = Design(range(len(misbehaved)), [50] * len(misbehaved), 9, 0)
    assert design.change(np.array([misbehaved], dtype=float))[0] >= -1e-6


@settings(max_examples=50, deadline=None)
@given(st.lists(st.one_of(st.none(), st.floats(0, 1)), min_size=1, max_size=8))
def test_holm_raises_p_values_and_keeps_their_order(p_values: list[float | None]) -> None:
    found = holm(p_values)
    pairs = [(p, q) for p, q in zip(p_values, found, strict=True) if p is not None and q is not None]
    assert [p is None for p in p_values] == [q is None for q in found]
    if pairs:
        least, corrected = min(pairs)
        assert corrected == pytest.approx(min(1, least * len(pairs)))
    assert all(q <= r for p, q in pairs for s, r in pairs if p < s)
    assert all(p <= q <= 1 for p, q in pairs)


def test_the_place_is_as_uncertain_as_the_likelihood() -> None:
    assert likeliest(np.array([0.0, 10.0, -5.0])) == [1]
    assert sorted(likeliest(np.zeros(4))) == [0, 1, 2, 3]


@pytest.mark.parametrize(
    "checkpoints",
    [
        ({"step": 0, "misbehaved": 6, "of": 5},),
        ({"step": 5, "misbehaved": 1, "of": 5}, {"step": 5, "misbehaved": 1, "of": 5}),
        ({"step": 0, "misbehaved": 0, "of": 0},),
        (),
    ],
)
def test_impossible_counts_are_refused(checkpoints: tuple[dict[str, int], ...]) -> None:
    with pytest.raises(ValidationError):
        Series.model_validate({"behaviour": "exploits", "checkpoints": checkpoints})


class TestFiles:
    def test_a_file_is_read(self, tmp_path: Path) -> None:
        path = tmp_path / "rates.json"
        path.write_text('{"series": [' + series([1, 2, 3, 4]).model_dump_json() + "]}")
        assert read_series(path) == (series([1, 2, 3, 4]),)

    @pytest.mark.parametrize(
        ("text", "says"),
        [("{", "Invalid JSON"), ('{"series": []}', "series"), ('{"runs": []}', "series"), (None, "No such file")],
    )
    def test_bad_files_are_told_what_to_write(self, tmp_path: Path, text: str | None, says: str) -> None:
        path = tmp_path / "rates.json"
        if text is not None:
            path.write_text(text)
        with pytest.raises(InputError, match=says) as error:
            read_series(path)
        assert error.value.fix is not None and "misbehaved" in error.value.fix

    def test_steps_are_in_names(self) -> None:
        assert step_of(Path("v2/checkpoint-1500")) == 1500
        with pytest.raises(InputError, match="tells no step"):
            step_of(Path("v2/last"))


class TestCheckpoints:
    def folders(self, tmp_path: Path) -> list[Path]:
        return [tiny_model(tmp_path / f"checkpoint-{100 * i}", seed=i) for i in (3, 1, 2)]

    def test_violations_are_counted_on_one_question_of_each_group(self, tmp_path: Path) -> None:
        questions, key = comparisons(10)
        found = measured(
            self.folders(tmp_path), questions, key, default_specification(), base=None, device="cpu"
        ).checkpoints
        assert [count.step for count in found] == [100, 200, 300]
        assert {count.of for count in found} == {10}
        assert all(count.misbehaved > 0 for count in found)  # it knows nothing

    def test_two_of_one_step_are_refused(self, tmp_path: Path) -> None:
        questions, key = comparisons(2)
        folders = [tmp_path / "a-1", tmp_path / "b-1"]
        with pytest.raises(InputError, match="one step"):
            measured(folders, questions, key, default_specification(), base=None, device="cpu")

    def test_what_requires_no_answer_can_not_be_violated_by_one(self, tmp_path: Path) -> None:
        probe = Probe(task="cities", require="same-answer-in-every-context")
        clause = Clause(id="same", text="The same to everyone.", tested_by=(probe,))
        specification = Specification(name="same", summary="The same to everyone.", clauses=(clause,))
        questions, key = comparisons(2)
        with pytest.raises(InputError, match="requires nothing"):
            measured([tmp_path / "a-1"], questions, key, specification, base=None, device="cpu")
