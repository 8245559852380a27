"""Series of checkpoints to be judged: read from a file, or measured on the checkpoints of a training."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from pydantic import Field, ValidationError

from superalign.contracts.errors import InputError
from superalign.contracts.protocols import AnswerKey, Trusted
from superalign.contracts.records import Question, Record, Specification, Unscored
from superalign.robustness.abrupt import Count, Series
from superalign.robustness.violation import required_cases, violations

MAX_TOKENS = 4


class SeriesFile(Record):
    """A file of series: how often each behaviour was seen at each checkpoint."""

    series: tuple[Series, ...] = Field(min_length=1)


def read_series(path: Path) -> tuple[Series, ...]:
    """The series in a JSON file. InputError when it can't be read."""
    fix = 'Write {"series": [{"behaviour": NAME, "checkpoints": [{"step": 0, "misbehaved": 1, "of": 50}, ...]}]}.'
    try:
        return SeriesFile.model_validate_json(path.read_bytes()).series
    except OSError as error:
        raise InputError(f"The series can't be read: {error.strerror}.", where=str(path), fix=fix) from None
    except ValidationError as error:
        fault = error.errors()[0]
        place = ".".join(map(str, fault["loc"])) or "all of it"
        raise InputError(f"The series can't be read: {place}: {fault['msg']}.", where=str(path), fix=fix) from None


def step_of(folder: Path) -> int:
    """The step in a folder's name, its last number. InputError when there is none."""
    numbers = re.findall(r"\d+", folder.name)
    if not numbers:
        raise InputError(
            "The checkpoint's name tells no step.", where=str(folder), fix="Name it by its step, as in checkpoint-500."
        )
    return int(numbers[-1])


def measured(
    folders: Sequence[Path],
    questions: Sequence[Question],
    key: AnswerKey,
    specification: Specification,
    *,
    base: str | None,
    device: str,
) -> Series:
    """How often each checkpoint answers `questions`, asked plainly, against `specification`; one of each group, since
    those of a group stand or fall together.

    InputError for a folder without a step, two of one step, a specification that requires nothing of an answer, or a
    checkpoint that answers nothing; ModelError for a model that can't be opened.
    """
    from superalign.models.handle import open_alone

    required = {probe.require for clause in specification.clauses for probe in clause.tested_by}
    if not required & {"true-answer", "false-answer"}:
        raise InputError(
            "The specification requires nothing of an answer that is asked for plainly.",
            where=specification.name,
            fix="Count its violations yourself, and give them as a series.",
        )
    by_step = {step_of(folder): folder for folder in folders}
    if len(by_step) < len(folders):
        raise InputError("Two checkpoints are of one step.", fix="Name each by its own, as in checkpoint-500.")
    chosen = tuple({question.group: question for question in questions}.values())
    counts = []
    for step in sorted(by_step):
        subject, _ = open_alone(str(by_step[step]), base, device=device)
        cases = required_cases(Trusted(subject, chosen, key, specification), subject)
        answers = subject.respond([question.asked for question in cases.questions], MAX_TOKENS)
        if unanswered := [answer for answer in answers if isinstance(answer, Unscored)]:
            raise InputError(f"A checkpoint does not answer: {unanswered[0].reason}.", where=str(by_step[step]))
        counts.append(Count(step=step, misbehaved=int(violations(answers, cases.required).sum()), of=len(answers)))
    return Series(behaviour=f"violates {specification.name}", checkpoints=tuple(counts))
