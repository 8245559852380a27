"""Solutions that somebody wrote down, in their order: a person's ideas, or the same ones again."""

from __future__ import annotations

from pathlib import Path

import yaml
from pydantic import Field, TypeAdapter, ValidationError

from superalign.contracts.errors import InputError
from superalign.contracts.records import Record
from superalign.contracts.registry import proposers
from superalign.contracts.research import Outcome, ProblemCard, Program, Proposal, Solution
from superalign.researcher.notation import read
from superalign.researcher.proposers.history import History


class Idea(Record):
    """One solution of a script: an `expression` on one line, or the `program`, with the reason for it."""

    expression: str | None = None
    program: str | None = Field(None, max_length=100_000)
    hypothesis: str = "Written down beforehand."


@proposers.register("scripted")
class ScriptedProposer:
    """Proposes the solutions of a YAML file, in their order: `[{expression: ..., hypothesis: ...}, {program: ...}]`."""

    name = "scripted"

    def __init__(self, card: ProblemCard, seed: int = 0, *, file: str) -> None:
        """InputError, with the place, for a file that can't be read or an expression that is not of the language."""
        self._history = History(card, seed)
        self._file = file
        self._place = 0
        self._solutions = [
            (self._solution(idea, f"{file}, solution {number}"), idea.hypothesis)
            for number, idea in enumerate(_ideas(Path(file)), 1)
        ]

    def ask(self) -> Proposal:
        """InputError where the script has ended."""
        if self._place >= len(self._solutions):
            raise InputError(
                f"The script has {len(self._solutions)} solutions, and one more was asked for.",
                where=self._file,
                fix="Add solutions, or run fewer proposals.",
            )
        solution, why = self._solutions[self._place]
        self._place += 1
        return Proposal(solution=solution, hypothesis=self._history.hypothesis(why), proposer=self.name)

    def tell(self, outcome: Outcome) -> None:
        self._history.tell(outcome)
        self._place = max(self._place, len(self._history.outcomes))

    def _solution(self, idea: Idea, where: str) -> Solution:
        if idea.expression is None:
            return Program(source=idea.program or "")
        try:
            expression = read(idea.expression)
            self._history.grammar.check(expression)
        except InputError as error:
            raise InputError(error.what, where=f"{where}, {error.where}", fix=error.fix) from None
        return expression


def _ideas(path: Path) -> list[Idea]:
    try:
        found = TypeAdapter(list[Idea]).validate_python(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"The script can't be read: {error}.", where=str(path), fix="Name a YAML file.") from None
    except (yaml.YAMLError, ValidationError, RecursionError) as error:
        said = " ".join(str(error).split())[:200]
        raise InputError(
            f"The script can't be used: {said}",
            where=str(path),
            fix="Write a list: - {expression: ..., hypothesis: ...} or - {program: ...}.",
        ) from None
    for number, idea in enumerate(found, 1):
        if (idea.expression is None) == (idea.program is None):
            raise InputError(
                "A solution is one of the two, an expression or a program.",
                where=f"{path}, solution {number}",
                fix="Give it either.",
            )
    return found
