"""Records refuse what they don't know, keep no NaN, and come back from JSON as they were."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from superalign.contracts.errors import PlanError, UnknownName
from superalign.contracts.protocols import AnswerKey, Gate
from superalign.contracts.records import (
    Cost,
    Evidence,
    Interval,
    Judgement,
    Message,
    Question,
    Record,
    Unscored,
    Verdict,
    finite,
)

numbers = st.floats(allow_nan=False, allow_infinity=False)
messages = st.builds(Message, role=st.sampled_from(["system", "user", "assistant"]), content=st.text())
costs = st.builds(Cost, seconds=numbers, tokens=st.integers(0), forward_passes=st.integers(0), human_seconds=numbers)
verdicts = st.builds(
    Verdict,
    score=numbers,
    caveat=st.none() | st.text(),
    evidence=st.lists(
        st.builds(Evidence, prompt=st.lists(messages).map(tuple), answer=st.text(), note=st.text()), max_size=3
    ).map(tuple),
    details=st.dictionaries(st.text(), numbers | st.lists(numbers)),
    cost=costs,
)
judgements = st.builds(Judgement, question_id=st.text(), probability=st.floats(0, 1), cost=costs)


@given(record=verdicts | judgements | st.builds(Unscored, reason=st.text(min_size=1)))
def test_json_and_back(record: Record) -> None:
    assert type(record).model_validate_json(record.model_dump_json()) == record


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_no_record_holds_a_number_that_is_none(number: float) -> None:
    for make in (
        lambda: Verdict(score=number),
        lambda: Verdict(score=0, details={"a": number}),
        lambda: Verdict(score=0, details={"a": [0.0, number]}),
        lambda: Judgement(question_id="a", probability=number),
        lambda: Interval(value=0, low=number, high=1),
        lambda: Cost(seconds=number),
    ):
        with pytest.raises(ValidationError):
            make()
    assert isinstance(finite(number), Unscored) and finite(0.5) == 0.5


def test_unknown_keys_and_changes_are_refused() -> None:
    with pytest.raises(ValidationError, match="scor"):
        Verdict.model_validate({"score": 1, "scor": 1})
    verdict = Verdict(score=1)
    with pytest.raises(ValidationError, match="frozen"):
        verdict.score = 0  # type: ignore[misc]


@pytest.mark.parametrize("probability", [-0.01, 1.01])
def test_a_probability_is_one(probability: float) -> None:
    with pytest.raises(ValidationError):
        Judgement(question_id="a", probability=probability)


def test_a_failure_must_give_its_reason() -> None:
    with pytest.raises(ValidationError):
        Unscored(reason="")


@given(a=costs, b=costs)
def test_costs_add_up(a: Cost, b: Cost) -> None:
    if math.isfinite(a.seconds + b.seconds) and math.isfinite(a.human_seconds + b.human_seconds):
        assert (a + b).tokens == a.tokens + b.tokens and (a + b).seconds == a.seconds + b.seconds
        assert a + Cost() == a


def test_a_gate_passes_within_its_bounds_and_at_them() -> None:
    gate = Gate(name="a", value=0.5, at_least=0.5, at_most=0.7)
    assert gate.passed
    assert not gate.model_copy(update={"value": 0.49}).passed
    assert not gate.model_copy(update={"value": 0.71}).passed


class TestAnswerKey:
    questions = tuple(Question(id=name, prompt=name, level=0, group=name) for name in "abc")
    key = AnswerKey(truth={"a": True, "b": False, "c": True})

    def test_truth_comes_in_the_order_asked(self) -> None:
        assert np.array_equal(self.key.of(self.questions[::-1]), [True, False, True])
        assert self.key.of([]).dtype == bool

    def test_a_part_of_it_holds_no_other(self) -> None:
        part = self.key.only(self.questions[:1])
        assert part.truth == {"a": True}
        with pytest.raises(KeyError):
            part.of(self.questions)


class TestErrors:
    def test_say_what_where_and_what_to_type(self) -> None:
        error = PlanError("It is wrong.", where="plan.yaml", fix="Mend it.")
        assert str(error) == "It is wrong. (plan.yaml) Mend it."
        assert error.exit_code == 2

    def test_offer_the_nearest_name(self) -> None:
        error = UnknownName("task", "citeis", ["cities", "elements"])
        assert error.nearest == "cities" and "Did you mean 'cities'?" in str(error)

    def test_list_what_there_is_when_nothing_is_near(self) -> None:
        assert "Known: cities, elements." in str(UnknownName("task", "x", ["elements", "cities"]))
        assert "Known: none." in str(UnknownName("task", "x", []))
