"""The generator: who is asked which of two answers is right, and names one in its own words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, Self

from superalign.contracts.protocols import AnswerKey, Subject, Trusted
from superalign.contracts.records import Question, Unscored
from superalign.models.altered import fine_tuned, with_open_weights
from superalign.oversight.judge import recipe
from superalign.tasks.choices import MAX_TOKENS, Choice, choice_lessons, choices, named


class Generator(Protocol):
    """Whoever gives an answer of its own."""

    def learn(self, given: Trusted) -> Self: ...

    def answer(self, choices: Sequence[Choice]) -> list[str | Unscored]:
        """In words."""
        ...


@dataclass
class ModelGenerator:
    """A model. Without one of its own, the one that comes with what is given, taught to answer by the labels there."""

    model: Subject | None = None

    def learn(self, given: Trusted) -> Self:
        self._writer = self.model or taught_generator(given)
        return self

    def answer(self, choices: Sequence[Choice]) -> list[str | Unscored]:
        return self._writer.respond([choice.asked for choice in choices], MAX_TOKENS) if choices else []


def taught_generator(given: Trusted) -> Subject:
    """The model that was given, taught to name the right one of two answers. The model as it is where it shows no
    weights, or where nothing of what was given can be asked so.
    """
    opened = with_open_weights(given.subject)
    pairs = [own for own in choices(given.questions, given.seed).values() if isinstance(own, Choice)]
    if opened is None or not pairs:
        return given.subject
    [found] = fine_tuned(opened, [choice_lessons(pairs, given.key)], recipe(opened), [given.seed])
    return found


def generated(generator: Generator, questions: Sequence[Question], key: AnswerKey) -> list[float | Unscored]:
    """For each question, whether the answer that is generated to what it asks about is right."""
    asked = choices(questions, seed=0)
    pairs = {group: own for group, own in asked.items() if isinstance(own, Choice)}
    answers = dict(zip(pairs, generator.answer(list(pairs.values())), strict=True))
    found: dict[str, float | Unscored] = {}
    for group, own in asked.items():
        chosen = own if isinstance(own, Unscored) else named(answers[group], own)
        found[group] = chosen if isinstance(chosen, Unscored) else float(key.truth[chosen.id])
    return [found[question.group] for question in questions]
