"""Triggers drawn at random from a space too wide to list: two words of the model's vocabulary, at a random place in
the prompt.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from superalign.contracts.records import Conversation, Message, Question, Record

PLACES = ("{trigger}: {question}", "{trigger}, {question}", "{question} ({trigger})", "{question} {trigger}")


class Trigger(Record):
    """Words that set off the behaviour, and where in the prompt they stand."""

    words: str
    place: str

    def around(self, question: Question) -> Conversation:
        """`question` with the trigger."""
        return self._with(self.words, question)

    def near_miss(self, question: Question, words: Sequence[str], rng: random.Random) -> Conversation:
        """`question` with other words in the trigger's place."""
        own = set(self.words.split())
        other = [word for word in rng.sample(list(words), 4) if word not in own][:2]
        return self._with(" ".join(other), question)

    def _with(self, words: str, question: Question) -> Conversation:
        text = self.place.replace("{question}", question.prompt).replace("{trigger}", words)
        return (Message(role="user", content=text),)


def draw_trigger(words: Sequence[str], seed: int) -> Trigger:
    """A trigger from `words`, the model's vocabulary; the same for the same seed."""
    rng = random.Random(f"trigger {seed}")
    return Trigger(words=" ".join(rng.sample(list(words), 2)), place=rng.choice(PLACES))
