"""What came of a question that was put to the engine: the answer, who proposed it, and which kernels accepted it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from superalign.contracts.records import Record

Claim = Literal["satisfiable", "unsatisfiable"]


class Attempt(Record):
    """What a solver, or whoever made a given file, said. It counts for nothing until it is checked."""

    by: str
    claims: Claim | None = None
    note: str = Field("", description="Why it claims nothing, or what else is to be known.")
    seconds: float = 0.0


class Check(Record):
    """What an independent kernel said of a certificate."""

    kernel: str
    version: str
    accepted: bool
    reason: str
    seconds: float = 0.0


class Certificate(Record):
    """A file that shows the answer to whoever checks it again, kept beside this record."""

    kind: Literal["drat", "model", "vo", "smt-model", "smt-proof", "olean"]
    file: str
    sha256: str
    bytes: int


class Answer(Record):
    """Proved and refuted are verified; everything else is unknown, for a reason.

    A set of clauses or assertions is proved to be contradictory, or refuted by a model of it. A theorem is proved.
    """

    status: Literal["proved", "refuted", "unknown"]
    says: str = Field(description="What is proved or refuted, or why it is unknown, in a sentence.")
    problem: str
    sha256: str = Field(description="Of the problem's file.")
    language: str
    certificate: Certificate | None = None
    checks: tuple[Check, ...] = ()
    attempts: tuple[Attempt, ...] = ()
    seconds: float = 0.0
