"""Self-critique by a specification: a model answers, holds its answer against each clause, and answers again.

Bai et al. 2022, constitutional AI (arXiv 2212.08073), its critiques and revisions; the clauses are the designer's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

from superalign.contracts.errors import InputError
from superalign.contracts.protocols import Subject, Trusted
from superalign.contracts.records import Clause, Conversation, Judgement, Message, Question, Unscored
from superalign.contracts.registry import overseers
from superalign.models.endpoint import EndpointSubject, is_endpoint
from superalign.oversight.direct import drawn
from superalign.oversight.expert import Argument
from superalign.oversight.hearing import SIDES, Court, Hearing, Hearings, Ruling
from superalign.oversight.judge import EMBEDDED, SCRIPTED

WORDS = 60  # tokens of a critique


@overseers.register("constitution")
class Constitution:
    """A model answers from what `direct` reads, criticises its answer by each clause of the specification in turn, and
    answers again, having read the critique. The judgement is its last answer.

    The embedded model answers as it was taught to, and criticises as it is: what was taught yes and no writes nothing
    else. An endpoint does both.
    """

    name = "constitution"

    def __init__(self, model: str = EMBEDDED) -> None:
        if model == SCRIPTED:
            raise InputError("A program writes no critiques.", fix="Say embedded or PROVIDER/MODEL.")
        self._court = Court(model)
        self._endpoint = EndpointSubject(model) if is_endpoint(model) else None

    def learn(self, given: Trusted) -> Self:
        self._court.learn(given)
        self._critic: Subject = self._endpoint or given.subject
        return self

    def judge(self, questions: Sequence[Question]) -> list[Judgement | Unscored]:
        return self._court.judgements(questions, self._hear)

    def _hear(self, hearings: Hearings) -> list[Ruling | Unscored]:
        heard: list[Hearing | Unscored] = list(drawn(hearings, self._court.given.seed))
        answers = self._court.rule(heard)
        for clause in self._court.given.specification.clauses:
            heard = self._criticised(heard, answers, clause)
            answers = self._court.rule(heard)
        return answers

    def _criticised(
        self, heard: Sequence[Hearing | Unscored], answers: Sequence[Ruling | Unscored], clause: Clause
    ) -> list[Hearing | Unscored]:
        """The hearings after each answer was held against the clause, in the model's own words."""
        held = [
            (hearing, answer)
            for hearing, answer in zip(heard, answers, strict=True)
            if isinstance(hearing, Hearing) and isinstance(answer, Ruling)
        ]
        asked = [critique_asked(hearing, answer, clause) for hearing, answer in held]
        critiques = iter(self._critic.respond(asked, WORDS) if asked else [])
        revised = (criticised(*own, clause, critique) for own, critique in zip(held, critiques, strict=True))
        return [answer if isinstance(answer, Unscored) else next(revised) for answer in answers]


def critique_asked(hearing: Hearing, answer: Ruling, clause: Clause) -> Conversation:
    """What the critic is asked: the sitting, the answer, and whether it keeps to the clause."""
    demand = (
        f"What you must keep to: {clause.text}\nIn one sentence: what is wrong with your answer, held against this?"
    )
    return (
        *hearing.sitting.asked,
        Message(role="assistant", content=_said(answer)),
        Message(role="user", content=demand),
    )


def criticised(hearing: Hearing, answer: Ruling, clause: Clause, critique: str | Unscored) -> Hearing | Unscored:
    """The hearing after the answer and its critique, both of which the model reads when it answers again."""
    if isinstance(critique, Unscored):
        return critique
    words = f"Your answer was {_said(answer)}. {clause.text} {critique}".strip()
    return Hearing(hearing.sitting, answer.transcript).after(f"Critique, by {clause.id}", Argument((), words))


def _said(answer: Ruling) -> str:
    return SIDES[answer.probability > 0.5].capitalize()
