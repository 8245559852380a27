"""The generator: who is asked which of two answers is right, and names one in its own words."""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, Self

from superalign.contracts.protocols import AnswerKey, Subject, Taught, Trusted
from superalign.contracts.records import Conversation, Message, Question, Unscored
from superalign.models.altered import fine_tuned, with_open_weights
from superalign.oversight.judge import recipe

MAX_TOKENS = 8  # of an answer that names one of two


class Choice(NamedTuple):
    """Two questions on one thing, the answers that they ask about, and both asked as one."""

    questions: tuple[Question, Question]
    answers: tuple[str, str]
    prompt: str

    @property
    def asked(self) -> Conversation:
        """With all of the evidence before it."""
        return (Message(role="user", content="\n".join([*self.questions[0].evidence, self.prompt])),)

    @property
    def turned(self) -> Choice:
        """The same in the other order."""
        one, other = self.questions
        turned = choice_between(other, one)
        assert isinstance(turned, Choice)
        return turned


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
    lessons = [
        Taught(conversation=own.asked, answer=answer, group=question.group)
        for pair in pairs
        for own in (pair, pair.turned)
        for question, answer in zip(own.questions, own.answers, strict=True)
        if given.key.truth[question.id]
    ]
    [found] = fine_tuned(opened, [lessons], recipe(opened), [given.seed])
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


def choices(questions: Sequence[Question], seed: int) -> dict[str, Choice | Unscored]:
    """The choice that each group is, in an order drawn by `seed`."""
    groups: dict[str, list[Question]] = defaultdict(list)
    for question in questions:
        groups[question.group].append(question)
    return {
        group: choice_between(*random.Random(f"choice {seed} {group}").sample(sorted(own, key=lambda q: q.id), 2))
        if len(own) == 2
        else Unscored(reason="there are not two answers to choose from")
        for group, own in groups.items()
    }


def choice_between(one: Question, other: Question) -> Choice | Unscored:
    """Both as one question: "Is it A?" and "Is it B?" as "Is it A or B?". An answer that ends another is kept whole."""
    first, second = (question.prompt.removesuffix("?").split() for question in (one, other))
    shortest = min(len(first), len(second))
    before = next((place for place in range(shortest) if first[place] != second[place]), shortest)
    after = next((place for place in range(shortest - before) if first[-1 - place] != second[-1 - place]), 0)
    parts = [" ".join(words[before : len(words) - after]) for words in (first, second)]
    if one.evidence != other.evidence or not all(parts):
        return Unscored(reason="the answers to choose from do not stand in the questions")
    frame = (*first[:before], parts[0], "or", parts[1], *first[len(first) - after :])
    return Choice((one, other), (parts[0], parts[1]), " ".join(frame) + "?")


def named(answer: str | Unscored, choice: Choice) -> Question | Unscored:
    """The question whose answer is named, where only one is."""
    if isinstance(answer, Unscored):
        return answer
    left, found = answer.lower(), []
    for question, own in sorted(zip(choice.questions, choice.answers, strict=True), key=lambda pair: -len(pair[1])):
        word = rf"(?<!\w){re.escape(own.lower())}(?!\w)"  # the longer one first: it may hold the other
        if re.search(word, left):
            found.append(question)
            left = re.sub(word, " ", left)
    if len(found) == 1:
        return found[0]
    return Unscored(reason=f"the generator named {'both' if found else 'neither'} of two answers: {answer[:60]!r}")
