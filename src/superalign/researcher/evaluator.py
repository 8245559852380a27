"""The sealed evaluator's process: `python -m superalign.researcher.evaluator`, and the client that asks it.

Only this process reads sealed samples. It runs solutions in sandboxes of its own, as another user, and tells what
`SealedEvaluator` tells. The first line it reads says what it evaluates; then it answers a request a line.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import Field, TypeAdapter

from superalign.contracts.control import Limits
from superalign.contracts.errors import InputError, RunError, SealError, SuperalignError
from superalign.contracts.records import Record
from superalign.contracts.registry import PartCall, problems
from superalign.contracts.research import Problem, Solution
from superalign.control.sandbox import Sandbox
from superalign.researcher.sealed import Feedback, Final, SealedEvaluator
from superalign.runs.supervise import how_it_ended, last_words
from superalign.runs.worker import taken_pipes

Answer = TypeVar("Answer", bound=Record)


class Evaluated(Record):
    """What the process is started for."""

    problem: PartCall
    folder: Path
    work: Path = Field(description="Where models are run that samples are made from.")
    seed: int
    queries: int
    limits: Limits


class Prepare(Record):
    kind: Literal["prepare"] = "prepare"


class Query(Record):
    kind: Literal["query"] = "query"
    asker: str
    solution: Solution


class OpenFinal(Record):
    kind: Literal["final"] = "final"
    run: str
    solutions: dict[str, Solution]


class Check(Record):
    kind: Literal["check"] = "check"
    text: str


class Prepared(Record):
    """Digests of the sealed samples and the final ones: what a run commits to before it looks for anything."""

    digests: dict[str, str]


class Nothing(Record):
    """All is well."""


class Refusal(Record):
    """The evaluator's own error, as it would have been raised here."""

    kind: Literal["seal", "input", "other"]
    what: str
    where: str | None
    fix: str | None

    def error(self) -> SuperalignError:
        of_kind = {"seal": SealError, "input": InputError, "other": RunError}[self.kind]
        return of_kind(self.what, where=self.where, fix=self.fix)


class Said(Record):
    """One line from the process: an answer, or why there is none."""

    answer: dict[str, Any] | None = None
    refusal: Refusal | None = None


Request = Annotated[Prepare | Query | OpenFinal | Check, Field(discriminator="kind")]
REQUEST: TypeAdapter[Prepare | Query | OpenFinal | Check] = TypeAdapter(Request)


class Evaluator:
    """The evaluator of a problem, in a process of its own that ends with the `with` block."""

    def __init__(self, evaluated: Evaluated, log: Path) -> None:
        self.evaluated, self._log = evaluated, log
        self._process: subprocess.Popen[bytes] | None = None

    def prepare(self) -> dict[str, str]:
        return self._asked(Prepare(), Prepared).digests

    def query(self, asker: str, solution: Solution) -> Feedback:
        """SealError when no query is left."""
        return self._asked(Query(asker=asker, solution=solution), Feedback)

    def final(self, run: str, solutions: Mapping[str, Solution]) -> Final:
        """SealError when this run has opened the final samples with other solutions."""
        return self._asked(OpenFinal(run=run, solutions=dict(solutions)), Final)

    def check(self, text: str) -> None:
        """SealError when a text tells that its author has seen sealed samples."""
        self._asked(Check(text=text), Nothing)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._process and self._process.stdin:
            self._process.stdin.close()
            self._process.wait()

    def _asked(self, request: Record, answer: type[Answer]) -> Answer:
        """What the process answers. It keeps its state on disk, so one that died is started again, once."""
        for last in (False, True):
            process = self._running()
            assert process.stdin and process.stdout
            try:
                process.stdin.write(request.model_dump_json().encode() + b"\n")
                process.stdin.flush()
                line = process.stdout.readline()
            except BrokenPipeError:
                line = b""
            if line:
                said = Said.model_validate_json(line)
                if said.refusal:
                    raise said.refusal.error()
                return answer.model_validate(said.answer)
            self._process = None
            process.wait()
            if last:
                raise RunError(
                    f"The evaluator's process {how_it_ended(process)}. {last_words(self._log)}",
                    where=str(self._log),
                    fix="Run the same command again: what was asked is kept.",
                )
        raise AssertionError("unreachable")

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            with self._log.open("ab") as log:
                self._process = subprocess.Popen(
                    [sys.executable, "-m", "superalign.researcher.evaluator"],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
                    start_new_session=True,  # its end takes with it whatever its samples' code has started
                )
            assert self._process.stdin
            self._process.stdin.write(self.evaluated.model_dump_json().encode() + b"\n")
        return self._process


def main() -> None:
    """Answer what comes, until nothing can come any more."""
    replies, lines = taken_pipes()
    evaluated = Evaluated.model_validate_json(lines.get())
    problem: Problem = problems.make(evaluated.problem.name, **evaluated.problem.arguments)
    evaluator = SealedEvaluator(
        problem, evaluated.folder, Sandbox(evaluated.limits), evaluated.seed, queries=evaluated.queries
    )
    while True:
        found = answered(evaluator, lines.get(), evaluated.work)
        said = Said(refusal=found) if isinstance(found, Refusal) else Said(answer=found.model_dump(mode="json"))
        replies.write(said.model_dump_json() + "\n")
        replies.flush()


def answered(evaluator: SealedEvaluator, line: bytes, work: Path) -> Record:
    """The answer to one request; an error of ours goes back as a refusal, and any other ends the process."""
    try:
        match REQUEST.validate_json(line):
            case Prepare():
                return Prepared(digests=evaluator.prepare(work))
            case Query(asker=asker, solution=solution):
                return evaluator.query(asker, solution)
            case OpenFinal(run=run, solutions=solutions):
                return evaluator.final(run, solutions)
            case Check(text=text):
                evaluator.check_for_canary(text)
                return Nothing()
    except SuperalignError as error:
        kind: Literal["seal", "input", "other"] = "other"
        if isinstance(error, SealError):
            kind = "seal"
        elif isinstance(error, InputError):
            kind = "input"
        return Refusal(kind=kind, what=error.what, where=error.where, fix=error.fix)


if __name__ == "__main__":
    main()
