"""Small proofs by modus ponens, with a checker. One line that does not follow, and nothing is proved."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from superalign.contracts.protocols import AnswerKey
from superalign.contracts.records import Question
from superalign.contracts.registry import tasks
from superalign.tasks.versions import LENGTHS, Version, flawed, versioned_questions

SENTENCES = (
    "it rains", "it snows", "it is cold", "it is dark", "it is late", "the bell rings", "the bird sings",
    "the boat sinks", "the bus stops", "the cat sleeps", "the child cries", "the clock stops", "the dog barks",
    "the door opens", "the fire burns", "the king is sad", "the lamp is on", "the milk is hot", "the phone rings",
    "the road is wet", "the shop is closed", "the sun shines", "the train is full", "the wind blows",
)  # fmt: skip
STEP = re.compile(r"If (?P<condition>.+) then (?P<consequence>.+)\. (?P<premise>.+)\. So (?P<conclusion>.+)\.")
ASKED = re.compile(r"(?P<given>.+)\. Does it follow that (?P<goal>.+)\?")


class Step(NamedTuple):
    """If `condition` then `consequence`. `premise`. So `conclusion`."""

    condition: str
    consequence: str
    premise: str
    conclusion: str

    @property
    def line(self) -> str:
        rule = f"If {self.condition} then {self.consequence}."
        return f"{rule} {self.premise.capitalize()}. So {self.conclusion}."

    @property
    def applies(self) -> bool:
        """Its rule leads from its premise to its conclusion."""
        return (self.condition, self.consequence) == (self.premise, self.conclusion)


@tasks.register("proof")
class Proof:
    """It rains. Does it follow that it snows? Evidence: a proof, a step of modus ponens a line. Level by its length.

    The false version has one rule turned round, so that it leads from what is to be shown to what is known: what is
    asked does not follow then, and no other line tells.
    """

    name = "proof"
    level_names = tuple(f"{length} steps" for length in LENGTHS)

    def load(self, limit: int | None = None, seed: int = 0) -> tuple[list[Question], AnswerKey]:
        """Questions on `limit` proofs (all if None), as many from each level, in an order drawn by `seed`."""
        return versioned_questions(self.name, proof, self.level_names, limit, seed)

    def bearing(self, question: Question) -> tuple[int, ...]:
        """A step that follows speaks for yes, one that does not for no.

        Of a proof that is shown in part, a premise may come from a line that is not shown: it counts as given.
        """
        steps = [parsed(line) for line in question.evidence]
        asked = ASKED.fullmatch(question.prompt)
        given = {asked["given"].lower()} if asked else set()
        if len(steps) < LENGTHS[question.level]:
            given |= {step.premise for step in steps if step}
        return tuple(1 if follows else -1 for follows in checked(given, steps))


def proof(level: int, rng: random.Random) -> tuple[Version, Version]:
    """From the first of some sentences to the last, step by step, and the same with a flaw."""
    sentences = rng.sample(SENTENCES, LENGTHS[level] + 1)
    steps = [Step(known, new, known, new) for known, new in pairwise(sentences)]
    place = rng.randrange(len(steps))
    known, new = steps[place].premise, steps[place].conclusion
    prompt = f"{sentences[0].capitalize()}. Does it follow that {sentences[-1]}?"
    return flawed(prompt, [step.line for step in steps], place, Step(new, known, known, new).line)


def parsed(line: str) -> Step | None:
    """The step that a line says; None when it says none."""
    found = STEP.fullmatch(line)
    return Step(**(found.groupdict() | {"premise": found["premise"].lower()})) if found else None


def checked(given: set[str], steps: Sequence[Step | None]) -> list[bool]:
    """Whether each step follows: its rule applies, and its premise is given or concluded in a step before.

    A conclusion may be used even where the step to it does not follow: each step answers for itself. The proof holds
    if all of them follow.
    """
    known = set(given)
    follow = []
    for step in steps:
        follow.append(step is not None and step.applies and step.premise in known)
        known |= {step.conclusion} if step else set()
    return follow
