"""Self-critique: each clause is put to the model beside its answer, and the last answer counts."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest

from superalign.contracts.errors import InputError
from superalign.contracts.protocols import Trusted
from superalign.contracts.records import Clause, Conversation, Judgement, Probe, Specification, Unscored
from superalign.oversight.constitution import Constitution
from tests.oversight.games import given, judged, passages
from tests.scripted import ScriptedSubject, text_of

CLAUSES = ("Say what is so.", "Say it to everyone.")
RETRACT = "I must take this back."


class Repentant(ScriptedSubject):
    """Says yes at first, and no as soon as it has read a critique; notes what it was asked to criticise."""

    def __init__(self, critique: str | Unscored = RETRACT) -> None:
        super().__init__(lambda conversation: -2.0 if RETRACT in text_of(conversation) else 2.0)
        self.critique = critique
        self.asked: list[Conversation] = []

    def respond(self, conversations: Sequence[Conversation], max_tokens: int = 12) -> list[str | Unscored]:
        self.asked += conversations
        return [self.critique] * len(conversations)


def trusted(model: ScriptedSubject) -> Trusted:
    tested = (Probe(task="cities", require="true-answer"),)
    clauses = tuple(Clause(id=f"clause-{i}", text=text, tested_by=tested) for i, text in enumerate(CLAUSES))
    specification = Specification(name="two", summary="Two clauses.", clauses=clauses)
    return Trusted(model, (), given().key, specification)


def test_the_answer_after_the_critique_counts() -> None:
    questions, _ = passages(8)
    model = Repentant()
    found = judged(Constitution().learn(trusted(model)), questions)
    assert np.allclose([own.probability for own in found], 1 / (1 + math.exp(2)))
    assert len(model.asked) == len(questions) * len(CLAUSES)
    first, second = model.asked[: len(questions)], model.asked[len(questions) :]
    for asked, clause, answer in ((first, *(CLAUSES[0], "Yes")), (second, *(CLAUSES[1], "No"))):
        for conversation, question in zip(asked, questions, strict=True):
            reading, answered, demand = conversation
            assert question.prompt in reading.content and (answered.role, answered.content) == ("assistant", answer)
            assert clause in demand.content
    said = [message.content for message in found[0].transcript]
    assert sum(RETRACT in text for text in said) == 2 and "Yes (0.88 for yes)." in said
    assert said[-1].startswith("No")


def test_an_empty_critique_changes_nothing_and_a_refused_one_is_unscored() -> None:
    questions, _ = passages(8)
    silent = judged(Constitution().learn(trusted(Repentant(""))), questions)
    assert all(own.probability > 0.5 for own in silent)
    refused = Constitution().learn(trusted(Repentant(Unscored(reason="refused: by a filter")))).judge(questions)
    assert all(own == Unscored(reason="refused: by a filter") for own in refused)


def test_it_reads_no_more_lines_than_any_judge() -> None:
    questions, _ = passages(40)
    model = Repentant()
    judged(Constitution().learn(trusted(model)), questions)
    for conversation in model.asked:
        assert sum("." in line and line.startswith("The ") for line in conversation[0].content.splitlines()) <= 2


def test_an_endpoint_plays_it_and_a_program_does_not() -> None:
    questions, _ = passages(8)
    found = Constitution("mockllm/model").learn(trusted(Repentant())).judge(questions)
    assert len(found) == len(questions) and not any(isinstance(own, Judgement) for own in found)  # it says neither
    with pytest.raises(InputError, match="critiques"):
        Constitution("scripted")
