"""The judge: what it is shown of a question, and who plays it."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import combinations
from typing import Protocol, Self

import numpy as np

from superalign.contracts.errors import InputError
from superalign.contracts.protocols import EvidenceTask, Subject, Taught, Trusted
from superalign.contracts.records import Access, Conversation, Message, Question, Unscored
from superalign.contracts.registry import tasks
from superalign.models.altered import fine_tuned, with_open_weights
from superalign.models.decoder import Decoder
from superalign.models.endpoint import EndpointSubject, is_endpoint
from superalign.models.lessons import Recipe
from superalign.models.subject import Chat, ModelSubject

ALLOWANCE = 2  # lines of evidence that a judge reads of one question, whatever the protocol
STEPS = 120  # in which the embedded model learns to judge
ERROR_RATE = 0.1  # of a scripted judge
SCRIPTED = "scripted"
EMBEDDED = "embedded"


@dataclass(frozen=True)
class Sitting:
    """What a judge is given: the question, the lines of its evidence that it is shown, and what was said."""

    question: Question
    lines: tuple[int, ...] = ()
    said: tuple[str, ...] = ()

    @property
    def asked(self) -> Conversation:
        """As a model is asked: lines first, then what was said, then the question."""
        shown = [self.question.evidence[line] for line in self.lines]
        return (Message(role="user", content="\n".join([*shown, *self.said, self.question.prompt])),)


class Judge(Protocol):
    """Whoever decides. Reads nothing but sittings."""

    def learn(self, given: Trusted) -> Self: ...

    def read(self, sittings: Sequence[Sitting]) -> list[float | Unscored]:
        """The probability of yes in each."""
        ...


def judge_named(name: str) -> Judge:
    """`embedded`, `scripted`, or an Inspect AI name. InputError for any other."""
    if name == SCRIPTED:
        return ScriptedJudge()
    if name == EMBEDDED:
        return ModelJudge()
    if is_endpoint(name):
        return ModelJudge(EndpointSubject(name))
    raise InputError(f"Nobody named {name!r} plays a role.", fix="Say embedded, scripted, or PROVIDER/MODEL.")


@dataclass
class ModelJudge:
    """A model. Without one of its own, the one that comes with what is given, taught by the few labels there."""

    model: Subject | None = None
    seed: int = 0

    def learn(self, given: Trusted) -> Self:
        self._reader = self.model or taught_judge(given, given.seed + self.seed)
        return self

    def read(self, sittings: Sequence[Sitting]) -> list[float | Unscored]:
        """By log-probabilities where there are any, else by the word that an answer begins with."""
        return probabilities(self._reader, [sitting.asked for sitting in sittings])


@dataclass
class ScriptedJudge:
    """A program that understands each line it is shown, errs about one in ten of them, and knows nothing else: for
    games whose evidence can be checked exactly.
    """

    error_rate: float = ERROR_RATE
    seed: int = field(default=0, init=False)

    def learn(self, given: Trusted) -> Self:
        self.seed = given.seed
        return self

    def read(self, sittings: Sequence[Sitting]) -> list[float | Unscored]:
        return [self._opinion(sitting) for sitting in sittings]

    def _opinion(self, sitting: Sitting) -> float | Unscored:
        """What the lines say together, each misread at the error rate: always alike for the same question and line."""
        bearing = bearing_of(sitting.question)
        if isinstance(bearing, Unscored):
            return bearing
        seen = {self._seen(sitting.question, line, bearing[line]) for line in sitting.lines}
        if -1 in seen:
            return self.error_rate
        return 1 - self.error_rate if 1 in seen else 0.5

    def _seen(self, question: Question, line: int, bearing: int) -> int:
        rng = random.Random(f"{self.seed} {question.id} {line}")
        return rng.choice([-1, 0, 1]) if rng.random() < self.error_rate else bearing


def bearing_of(question: Question) -> tuple[int, ...] | Unscored:
    """What each line of the question's evidence says, as its task reads it."""
    task = tasks.make(question.id.partition("/")[0])
    if not isinstance(task, EvidenceTask):
        return Unscored(reason=f"no program can read the evidence of the task {task.name!r}")
    return task.bearing(question)


def taught_judge(given: Trusted, seed: int) -> Subject:
    """The model that was given, taught to answer the questions that were given from some of their evidence: all that
    may be shown of it, less, or none. The model as it is where it shows no weights.
    """
    opened = with_open_weights(given.subject)
    if opened is None:
        return given.subject
    known = tuple(zip(given.questions, given.key.of(given.questions).tolist(), strict=True))
    return _taught(opened.decoder, opened.chat, known, seed)


@lru_cache(maxsize=4)  # protocols that are compared have the same judge
def _taught(decoder: Decoder, chat: Chat, known: tuple[tuple[Question, bool], ...], seed: int) -> Subject:
    rng = random.Random(seed)
    lessons = [
        Taught(conversation=sitting.asked, answer="Yes" if truth else "No", group=question.group)
        for question, truth in known
        for sitting in partly_shown(question, rng)
    ]
    subject = ModelSubject("open", decoder, chat)
    [found] = fine_tuned(subject, [lessons], recipe(subject), [seed])
    return found


def partly_shown(question: Question, rng: random.Random) -> list[Sitting]:
    """Every choice of the lines that a judge may be shown at once, from as many as are enough to show it all."""
    lines = range(len(question.evidence))
    kept = sorted(rng.sample(lines, min(len(lines), ALLOWANCE)))
    return [Sitting(question, chosen) for size in range(len(kept) + 1) for chosen in combinations(kept, size)]


def recipe(subject: ModelSubject) -> Recipe:
    first = min(subject.layers - 1, round(0.6 * subject.layers))
    return Recipe(first_layer=first, rank=16, steps=STEPS, batch=16, learning_rate=3e-3)


def probabilities(reader: Subject, conversations: Sequence[Conversation]) -> list[float | Unscored]:
    """The reader's probability of yes in each conversation."""
    if not conversations:
        return []
    if Access.LOGPROBS in reader.access:
        return [odds(float(margin)) for margin in reader.yes_logits(conversations)]
    return [meant(answer) for answer in reader.respond(conversations)]


def odds(margin: float) -> float | Unscored:
    """The probability of these log odds."""
    if not np.isfinite(margin):
        return Unscored(reason="the judge gave a number that is not finite")
    return float(1 / (1 + np.exp(-margin)))


def meant(answer: str | Unscored) -> float | Unscored:
    """1 for an answer that begins with yes, 0 for one with no."""
    if isinstance(answer, Unscored):
        return answer
    words = answer.lower().split()
    said = words[0].strip(".,;:!\"'*") if words else ""
    if said not in ("yes", "no"):
        return Unscored(reason=f"the judge said neither yes nor no but {answer[:60]!r}")
    return float(said == "yes")
