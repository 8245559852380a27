"""What the automated researcher's parts agree on: problems, the language of solutions, proposals and their outcomes.

A solution turns what it is given into numbers and nothing else. It runs confined, in stages: a problem gives it arrays,
takes its answers, and gives it more, until it has all answers it wants. The truth stays with the problem.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, Protocol, Self, runtime_checkable

import numpy as np
from pydantic import Field, model_validator

from superalign.contracts.records import Cost, Record, Unscored

Arrays = Mapping[str, np.ndarray]  # by name, of numbers or booleans
Value = bool | int | float | str


class OneOf(Record):
    """A parameter that is one of a few values."""

    kind: Literal["one-of"] = "one-of"
    options: tuple[Value, ...] = Field(min_length=1)

    def holds(self, value: Value) -> bool:
        return any(value == option and type(value) is type(option) for option in self.options)


class Within(Record):
    """A parameter that is a number from `low` to `high`, both allowed; `log` where its order of magnitude matters."""

    kind: Literal["within"] = "within"
    low: float
    high: float
    log: bool = False
    whole: bool = False

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not self.low < self.high or (self.log and self.low <= 0):
            raise ValueError("low must be less than high, and positive on a logarithmic scale")
        return self

    def holds(self, value: Value) -> bool:
        number = isinstance(value, int) if self.whole else isinstance(value, int | float)
        return number and not isinstance(value, bool) and self.low <= float(value) <= self.high


Domain = Annotated[OneOf | Within, Field(discriminator="kind")]


class LanguagePart(Record):
    """A step that a solution is made of: takes values of some types, has parameters, gives a value of one type."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    says: str = Field(description="What it computes, in a sentence for whoever proposes.")
    gives: str
    takes: tuple[str, ...] = ()
    parameters: dict[str, Domain] = Field(default_factory=dict)


class Language(Record):
    """The typed language of a problem's solutions. An expression's root gives `root`; it is at most `depth` deep."""

    root: str
    parts: tuple[LanguagePart, ...]
    depth: int = Field(4, ge=1)

    def giving(self, type_name: str) -> tuple[LanguagePart, ...]:
        """The parts that give a value of this type."""
        return tuple(part for part in self.parts if part.gives == type_name)

    def part(self, name: str) -> LanguagePart:
        """KeyError for a part that the language does not have."""
        return {part.name: part for part in self.parts}[name]


class Expression(Record):
    """A solution in a problem's language: a tree of its parts."""

    part: str
    parameters: dict[str, Value] = Field(default_factory=dict)
    inputs: tuple[Expression, ...] = ()


class Program(Record):
    """A solution as a Python file that defines `solve(given)`, called as the root of an expression would be."""

    source: str = Field(max_length=100_000)


Solution = Expression | Program


class Proposal(Record):
    """What is registered before it runs: a solution, why it should help, and what would count as help."""

    solution: Solution | Unscored = Field(description="Unscored where the proposer came to none, with the reason.")
    hypothesis: str = Field(max_length=4_000)
    proposer: str
    parents: tuple[int, ...] = Field((), description="Numbers of the proposals it was made from.")
    answers: tuple[str, ...] = Field((), description="What a language model answered on the way to it, without keys.")
    cost: Cost = Field(Cost(), description="Requests and tokens of a language model, as far as its endpoint says.")


class Outcome(Record):
    """What came of a proposal. `number` counts proposals of one run from 0."""

    number: int
    proposal: Proposal
    result: float | Unscored = Field(description="Mean over the development samples, in the problem's unit.")
    samples: tuple[float, ...] = Field((), description="The same of each sample.")
    behaviour: tuple[float, ...] = Field((), description="Where it lies in the problem's map of behaviours.")
    seconds: float = 0.0


class ProblemCard(Record):
    """The public part of a problem."""

    name: str = Field(pattern=r"^[a-z][a-z0-9-]*$")
    title: str
    statement: str = Field(description="What is to be improved and why, in Markdown.")
    metric: str = Field(description="What is measured, in words.")
    larger_is_better: bool = True
    lowest: float
    highest: float
    given: dict[str, str] = Field(description="For each array that a solution is given: shape and meaning.")
    answer: dict[str, str] = Field(description="For each array that it has to answer: shape and meaning.")
    language: Language
    baseline: Expression = Field(description="What is to be beaten: the best of what this project had before.")
    reference: Expression | None = Field(
        None, description="A recorded human solution: the researcher pauses for a human above it."
    )
    smallest_gain: float = Field(gt=0, description="A gain that would matter, in the metric's unit.")
    stages: int = Field(1, ge=1)
    seconds: float = Field(60, description="Of one solution on all development samples.")


@dataclass(frozen=True)
class Sample:
    """One independent draw of a problem: what can be given, and the truth, which never reaches a solution.

    Solutions are compared sample by sample, so samples are of different families, tasks or questions.
    """

    name: str
    given: Arrays
    truth: Arrays


@runtime_checkable
class Problem(Protocol):
    """A well-scoped problem with truth: development samples for whoever works on it, sealed ones for the evaluator.

    `workbench` is the Python file, or the package of several, that implements the language: its PARTS maps each part's
    name to a function, called as `part(given, *inputs, **parameters)`. `given` holds all arrays that the sample gave so
    far, and the number of the stage as "stage"; the root's value is the answer of that stage. It runs confined, where
    numpy, scipy, scikit-learn and nothing of superalign can be imported.
    """

    card: ProblemCard
    workbench: Path

    def prepare(self, part: Literal["development", "sealed", "final"], seed: int, folder: Path) -> list[Sample]:
        """The samples of one part, from models that are run or trained in `folder`. Parts share no groups, families or
        seeds of models; other seeds give other samples. Minutes at most on two cores.
        """
        ...

    def ask(self, sample: Sample, answers: Sequence[Arrays]) -> Arrays:
        """What a solution is given next, after its `answers` so far: one for each of the card's stages. At first it is
        what the sample gives. InputError for an answer that can't be used.
        """
        ...

    def score(self, sample: Sample, answers: Sequence[Arrays]) -> float | Unscored:
        """The metric on one sample."""
        ...

    def permuted(self, sample: Sample, seed: int) -> Sample:
        """The sample with its truth shuffled, as a control: what it then scores is what chance scores."""
        ...


@runtime_checkable
class Proposer(Protocol):
    """Thinks of solutions. The same seed and the same outcomes give the same proposals, so that a killed run goes on by
    telling it again what it was told.
    """

    name: str

    def ask(self) -> Proposal: ...

    def tell(self, outcome: Outcome) -> None:
        """Outcomes come in the order of their numbers, failed ones too."""
        ...
