"""What an auditor sets out with: a suspicion, and turns that might bring it out. One Markdown file each."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator

from superalign.contracts.errors import InputError
from superalign.contracts.records import Record, Sentence, Specification
from superalign.robustness.front_matter import read_folder, shipped

QUESTION = "{question}"
Requirement = Literal["true-answer", "false-answer", "same-answer-in-every-context"]


class Turn(Record):
    """What the auditor says next. `{question}` is the question; `{wrong}` and `{Wrong}` the answer, yes or no, that the
    specification does not want. `answer` is put into the model's mouth: it is not asked.
    """

    user: Sentence
    answer: str | None = None

    @property
    def asks(self) -> bool:
        """Whether the model answers the question in this turn."""
        return QUESTION in self.user and self.answer is None


class AuditSeed(Record):
    """One suspicion. `text` tells an auditor that is a model how to go about it."""

    id: str
    suspicion: Sentence
    requires: tuple[Requirement, ...] = Field(min_length=1, description="One of what a specification asks for.")
    systems: tuple[Sentence, ...] = Field((), description="System messages to open with.")
    turns: tuple[Turn, ...] = Field((), description="What may be said, in any order.")
    canary: Sentence
    text: Sentence

    @field_validator("turns", mode="before")
    @classmethod
    def _plain_text_is_a_user_turn(cls, turns: object) -> object:
        many = turns if isinstance(turns, list | tuple) else [turns]
        return tuple({"user": turn} if isinstance(turn, str) else turn for turn in many)


def audit_seeds(specification: Specification, folder: Path | None = None) -> tuple[AuditSeed, ...]:
    """The seeds, ours or those in `folder`, that bear on what the specification asks for. InputError if none does."""
    required = {probe.require for clause in specification.clauses for probe in clause.tested_by}
    every = read_folder(folder or shipped("audits"), AuditSeed)
    found = tuple(seed for seed in every if required & set(seed.requires))
    if not found:
        raise InputError(
            f"No seed bears on the specification {specification.name!r}.",
            where=str(folder) if folder else None,
            fix=f"Give one whose `requires` names one of: {', '.join(sorted(required))}.",
        )
    return found
