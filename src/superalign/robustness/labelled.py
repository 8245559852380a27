"""Answers that people labelled, to hold a judge against: the layout of PyRIT's scorer evaluations."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from superalign.contracts.errors import InputError
from superalign.contracts.records import Conversation, Message
from superalign.robustness.agreement import Agreement, agreement
from superalign.robustness.judge import Judge

ASKED, ANSWERED, LABEL = "objective", "assistant_response", "human_score"
BINARY = {"1": 1.0, "1.0": 1.0, "true": 1.0, "0": 0.0, "0.0": 0.0, "false": 0.0, "": np.nan}


@dataclass(frozen=True)
class Labelled:
    """Conversations that end with the answer, and what each person said of it: 1, 0, or NaN for nothing."""

    conversations: tuple[Conversation, ...]
    labels: Float[np.ndarray, "answers people"]


def read_labelled(path: Path) -> Labelled:
    """A CSV with the columns `objective`, `assistant_response` and `human_score`, or `human_score_1`, `human_score_2`
    and so on; lines that begin with # come before the header. Rows that are no text are left out. InputError for any
    other file, and for labels that are neither 0 nor 1.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines(keepends=True)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise InputError(f"This file can't be read: {reason}.", where=str(path), fix="Give a CSV file.") from None
    while lines and lines[0].startswith("#"):
        del lines[0]
    reader = csv.DictReader(lines, strict=True)
    try:
        rows = [row for row in reader if (row.get("data_type") or "text") == "text"]
    except csv.Error as error:
        raise InputError(f"This CSV can't be read: {error}.", where=str(path), fix="Mend that line.") from None
    columns = reader.fieldnames or ()
    people = [column for column in columns if column.startswith(LABEL)]
    if missing := [name for name in (ASKED, ANSWERED) if name not in columns] + ([] if people else [LABEL]):
        raise InputError(
            f"This CSV has no column {', '.join(missing)}.",
            where=str(path),
            fix=f"Its header must name {ASKED}, {ANSWERED} and {LABEL}.",
        )
    if not rows:
        raise InputError("This CSV holds no answers.", where=str(path), fix="Give one with rows.")
    return Labelled(
        conversations=tuple(
            (Message(role="user", content=row[ASKED] or ""), Message(role="assistant", content=row[ANSWERED] or ""))
            for row in rows
        ),
        labels=np.array([[_label(row[column], path) for column in people] for row in rows]),
    )


def judge_agreement(judge: Judge, labelled: Labelled) -> Agreement:
    """What the judge says beside what people say. InputError as for `agreement`."""
    return agreement(judge.judge(labelled.conversations), labelled.labels)


def _label(text: str | None, path: Path) -> float:
    label = BINARY.get((text or "").strip().lower())
    if label is None:
        raise InputError(
            f"A label is {text!r}, where 0 or 1 is needed.",
            where=str(path),
            fix="Give labels of yes (1) or no (0); graded ones can't be compared with a judge that says yes or no.",
        )
    return label
