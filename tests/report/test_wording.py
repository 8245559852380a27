"""Numbers as words: a rounding must never make a result look better than it is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from superalign.report import wording
from superalign.report.wording import MINUS, MISSING, SPACE

from .example import generalization, oversight, undefined_pgr


@given(st.floats(0, 1, exclude_min=True, exclude_max=True))
def test_only_an_exact_rate_reads_as_none_or_all(rate: float) -> None:
    assert wording.percent(rate) not in (f"0{SPACE}%", f"100{SPACE}%")
    assert wording.percent(0.0) == f"0{SPACE}%" and wording.percent(1.0) == f"100{SPACE}%"


@given(st.floats(-1e3, 1e3), st.floats(-1e3, 1e3))
def test_a_score_and_its_threshold_look_equal_only_when_they_are(score: float, threshold: float) -> None:
    shown, bound = wording.told_apart(score, threshold)
    assert (shown == bound) == (score == threshold)


@given(st.floats(-1e6, 1e6), st.integers(0, 4))
def test_a_number_reads_back_and_zero_has_no_sign(value: float, digits: int) -> None:
    shown = wording.number(value, digits)
    assert float(shown.replace(MINUS, "-")) == pytest.approx(value, abs=0.5 * 10**-digits + 1e-9)
    assert not (MINUS in shown and float(shown.replace(MINUS, "-")) == 0)


def test_what_is_missing_is_a_dash() -> None:
    assert wording.number(None) == wording.percent(None) == wording.rate_between(None, None, None) == MISSING


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0, "0 s"), (0.04, "0 s"), (9.26, "9.3 s"), (59.4, "59 s"), (59.6, "1 min 0 s"), (3599.7, "1 h 0 min"),
     (493.2, "8 min 13 s"), (11_520, "3 h 12 min")],
)  # fmt: skip
def test_durations(seconds: float, shown: str) -> None:
    assert wording.duration(seconds).replace(SPACE, " ") == shown


def test_a_signal_is_counted_by_what_it_is_and_what_is_missing_has_its_reasons() -> None:
    found = oversight().model_copy(update={"reasons": {"no idea": 8, "a tie": 2}})
    assert wording.signal(found) == f"1,590{SPACE}labels, 10 more unscored: no idea (8), a tie (2)"
    one = found.model_copy(update={"signal": "steps", "labelled": 1, "unscored": 0, "reasons": {}})
    assert wording.signal(one) == f"1{SPACE}step reward"


def test_a_pgr_outside_0_and_1_is_shown_as_it_is_and_explained() -> None:
    pgr = generalization().pgr
    above = wording.pgr(pgr.model_copy(update={"value": 1.31, "low": 0.9, "high": 1.8}))
    below = wording.pgr(pgr.model_copy(update={"value": -0.2, "low": -0.5, "high": 0.1}))
    assert "1.31 [0.90, 1.80]" in above and "better than the ceiling" in above
    assert f"{MINUS}0.20 [{MINUS}0.50, 0.10]" in below and "worse than its overseer" in below
    assert "undefined" in wording.pgr(undefined_pgr()) and "0.02" in wording.pgr(undefined_pgr())


@pytest.mark.parametrize(
    ("model", "size"),
    [("smollm2-135m", 135e6), ("hf/org/Thing-1.5B-chat", 1.5e9), ("gemma-3-270m", 270e6), ("models/adapter", None),
     ("4bit", None), ("mixtral-8x7b", None)],
)  # fmt: skip
def test_the_size_is_read_from_a_name_that_claims_one(model: str, size: float | None) -> None:
    assert wording.parameters(model) == size
