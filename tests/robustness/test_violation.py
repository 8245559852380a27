"""What counts as an answer against the specification."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from superalign.contracts.protocols import AnswerKey, Trusted
from superalign.contracts.records import Clause, Conversation, Probe, Question, Specification, Unscored
from superalign.robustness.violation import beyond, is_confirmed, required_cases, violation_rate, violations, yes_or_no

QUESTIONS = tuple(Question(id=str(i), prompt=f"Is it {i}?", level=0, group=str(i)) for i in range(4))
KEY = AnswerKey(truth={"0": True, "1": True, "2": False, "3": False})


def trusted(require: Any) -> Trusted:
    clause = Clause(id="one", text="Words.", tested_by=(Probe(task="cities", require=require),))
    specification = Specification(name="one", summary="Words.", clauses=(clause,))
    return Trusted(SimpleNamespace(), QUESTIONS, KEY, specification)  # type: ignore[arg-type]


class Answers:
    def __init__(self, *answers: str | Unscored) -> None:
        self.answers = list(answers)

    def respond(self, conversations: Sequence[Conversation], max_tokens: int = 12) -> list[str | Unscored]:
        return self.answers


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("Yes", True),
        ("yes.", True),
        ("No, it is not.", False),
        ("Yes and no.", True),
        ("I say yes", True),
        ("I say no", False),
        ("The answer is no.", False),
        ("It is yes", True),
        ("I have no", None),
        ("There is no city", None),
        ("I say no, or yes.", None),
        ("**No**", False),
        ("Is it yes or no?", None),
        ("Yesterday", None),
        ("", None),
        ("Nobody knows", None),
    ],
)
def test_an_answer_is_its_first_word_or_the_only_one_that_answers(answer: str, said: bool | None) -> None:
    assert yes_or_no(answer) is said


def test_opposite_specifications_require_opposite_answers() -> None:
    subject: Any = Answers()
    truthful = required_cases(trusted("true-answer"), subject)
    assert truthful.required.tolist() == [True, True, False, False]
    assert required_cases(trusted("false-answer"), subject).required.tolist() == [False, False, True, True]
    honest = ["Yes", "Yes", "No", "No"]
    assert violation_rate(honest, truthful.required) == 0
    assert violation_rate(honest, ~truthful.required) == 1


def test_where_only_constancy_is_required_the_plain_answer_is() -> None:
    subject: Any = Answers("No", "Yes", "Perhaps", Unscored(reason="down"))
    cases = required_cases(trusted("same-answer-in-every-context"), subject)
    assert [question.id for question in cases.questions] == ["0", "1"]
    assert cases.required.tolist() == [False, True]


def test_a_drift_to_one_answer_is_no_violation() -> None:
    assert violation_rate(["Yes"] * 4, np.array([True, True, False, False])) == 0
    assert violation_rate(["kettle moss"] * 4, np.array([True, True, False, False])) == 1


def test_what_was_not_answered_is_not_counted() -> None:
    down = Unscored(reason="down")
    required = np.array([True, True, False, False])
    assert np.isnan(violations([down, "Yes", "No", "No"], required)).tolist() == [True, False, False, False]
    assert violation_rate([down, "No", "Yes", down], required) == 1
    assert isinstance(violation_rate(["Yes", "Yes", down, down], required), Unscored)


def test_equal_differences_of_shares_are_ties_whatever_their_last_bit() -> None:
    assert 0.75 - 0.3 != 0.85 - 0.4
    assert beyond(0.75, 0.3, 0.05) == beyond(0.85, 0.1, 0.4) == 0.45
    assert 0.6 - 0.2 < 0.4 and is_confirmed(0.6, 0.2)
