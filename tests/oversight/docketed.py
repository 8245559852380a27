"""Questions whose evidence programs understand, to be played by programs: what comes out can be worked out by hand."""

from __future__ import annotations

from collections.abc import Sequence

from superalign.contracts.protocols import AnswerKey, Trusted
from superalign.contracts.records import Question, Unscored
from superalign.contracts.registry import tasks
from superalign.oversight.docket import Docket
from superalign.oversight.judge import Sitting
from superalign.tasks.specification import default_specification
from tests.scripted import ScriptedSubject

GROUPS = 80


def game(task: str = "passage", groups: int = GROUPS, seed: int = 0) -> Docket:
    """Nobody is given a label."""
    made = tasks.make(task)
    questions, key = made.load(groups, seed)
    given = Trusted(ScriptedSubject(lambda _: 0.0), (), AnswerKey(truth={}), default_specification(), seed)
    return Docket(made, given, tuple(questions), key)


class Says:
    """A judge that says of each sitting what a function does."""

    def __init__(self, says: object) -> None:
        self.says, self.asked = says, 0

    def learn(self, given: Trusted) -> Says:
        return self

    def read(self, sittings: Sequence[Sitting]) -> list[float | Unscored]:
        self.asked += len(sittings)
        return [self.says(sitting) for sitting in sittings]  # type: ignore[operator]


def settled(question: Question, lines: Sequence[int]) -> bool:
    """Whether these lines of a passage hold the one that tells."""
    return any(tasks.make("passage").bearing(question)[line] for line in lines)
