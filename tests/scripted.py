"""Subjects without weights: what they say and hold true is scripted, so that every verdict can be known beforehand."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence

import numpy as np

from superalign.contracts.protocols import AnswerKey, Subject, Taught, Trusted
from superalign.contracts.records import Access, Conversation, Question, Unscored
from superalign.contracts.registry import tasks
from superalign.runs.cost import count
from superalign.tasks.specification import default_specification

WIDTH = 12
DEPTH = 10
Says = Callable[[Conversation], float]
Shows = Callable[[Conversation, int], np.ndarray]


def text_of(conversation: Conversation) -> str:
    """All that the subject is shown."""
    return "\n".join(message.content for message in conversation)


def noise(*seed: object, size: int | None = None) -> np.ndarray:
    """Standard normal numbers that are always the same for the same `seed`."""
    drawn = hashlib.sha256(repr(seed).encode()).digest()
    return np.random.default_rng(int.from_bytes(drawn[:8], "big")).standard_normal(size)


class World:
    """Some cities, their truth, and the question that a conversation asks in whatever context."""

    def __init__(self, groups: int, seed: int = 0) -> None:
        # As in a run: some of all cities. Among few that were drawn as such, each country is as often right as wrong.
        asked, key = tasks.make("cities").load(seed=seed)
        kept = set(list(dict.fromkeys(question.group for question in asked))[:groups])
        self.questions = [question for question in asked if question.group in kept]
        self.key: AnswerKey = key.only(self.questions)
        self._truth = {question.prompt: self.key.truth[question.id] for question in self.questions}

    def asked(self, conversation: Conversation) -> str:
        """The question in a conversation, without what is around it."""
        found = re.search(r"Is the city of [^?]+\?", text_of(conversation))
        assert found, text_of(conversation)
        return found[0]

    def sign(self, conversation: Conversation) -> int:
        """+1 where the true answer is yes, -1 where it is no."""
        return 1 if self._truth[self.asked(conversation)] else -1

    def honest(self, conversation: Conversation) -> float:
        """Margins of one who says the truth, a little surer of some facts and in some contexts than in others."""
        sure = 3 + 0.5 * float(noise("fact", self.asked(conversation)))
        return self.sign(conversation) * sure + 0.2 * float(noise("context", text_of(conversation)))

    def ignorant(self, conversation: Conversation) -> float:
        """Margins of one who tosses a coin for each fact, and stays with it."""
        return float(noise("coin", self.asked(conversation)))

    def knowing(self, first_layer: int = 1, last_layer: int = DEPTH, strength: float = 2.0) -> Shows:
        """Activations in which the truth can be read from `first_layer` to `last_layer`."""

        def shows(conversation: Conversation, layer: int) -> np.ndarray:
            hidden = noise("hidden", self.asked(conversation), layer, size=WIDTH)
            if first_layer <= layer <= last_layer:
                hidden[0] += strength * self.sign(conversation)
            return hidden

        return shows

    def trusted(self, subject: Subject, seed: int = 0) -> Trusted:
        """What a detector is given, with `subject` as the trusted model."""
        return Trusted(subject, tuple(self.questions), self.key, default_specification(), seed)


class ScriptedSubject:
    """Says and shows what the script says. It meets the `Subject` protocol."""

    def __init__(
        self,
        says: Says,
        shows: Shows | None = None,
        *,
        name: str = "scripted",
        access: frozenset[Access] = frozenset(Access),
    ) -> None:
        self.name, self.access, self.layers = name, access, DEPTH
        self._says = says
        self._shows = shows or (lambda conversation, layer: noise("blank", text_of(conversation), layer, size=WIDTH))

    @property
    def base(self) -> Subject | None:
        return None

    def respond(self, conversations: Sequence[Conversation], max_tokens: int = 12) -> list[str | Unscored]:
        return ["Yes" if self._says(conversation) > 0 else "No" for conversation in conversations]

    def yes_logits(self, conversations: Sequence[Conversation]) -> np.ndarray:
        count(forward_passes=len(conversations))
        return np.array([self._says(conversation) for conversation in conversations])

    def activations(self, conversations: Sequence[Conversation], layers: Sequence[int]) -> np.ndarray:
        return np.array([[self._shows(conversation, layer) for layer in layers] for conversation in conversations])

    def training_data(self) -> tuple[Taught, ...]:
        return ()


def one_sided(questions: Sequence[Question], answer: bool = True) -> AnswerKey:
    """A key in which every answer is the same."""
    return AnswerKey(truth={question.id: answer for question in questions})


class TextSubject(ScriptedSubject):
    """Writes what the script says; its probabilities are those of one who is sure of it."""

    def __init__(self, writes: Callable[[Conversation], str]) -> None:
        super().__init__(lambda conversation: {"yes": 3.0, "no": -3.0}.get(writes(conversation).lower(), 0.0))
        self._writes = writes

    def respond(self, conversations: Sequence[Conversation], max_tokens: int = 12) -> list[str | Unscored]:
        return [self._writes(conversation) for conversation in conversations]
