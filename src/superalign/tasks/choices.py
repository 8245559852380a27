"""Two questions on one thing asked as one: which of two answers is right?"""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from superalign.contracts.protocols import AnswerKey, Taught
from superalign.contracts.records import Conversation, Message, Question, Unscored

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


def choice_lessons(pairs: Sequence[Choice], key: AnswerKey) -> tuple[Taught, ...]:
    """The right answer of each, in both orders of the two."""
    return tuple(
        Taught(conversation=own.asked, answer=answer, group=question.group)
        for pair in pairs
        for own in (pair, pair.turned)
        for question, answer in zip(own.questions, own.answers, strict=True)
        if key.truth[question.id]
    )
