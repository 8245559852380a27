"""`attacks.json`: every detector of a trial's battery in distribution, shifted, under a prompt attack, trained against.

Apart from `summary.json`, whose records the steps of a run hang on, and which says what was decided without attacks.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from superalign.contracts.records import Access, Cost, Interval, Record, Unscored


class PromptAttack(Record):
    """Harmless words around everything that a model is asked."""

    name: str
    system: str | None = Field(None, description="Ends the conversation's system message, or is the whole of it.")
    suffix: str | None = Field(None, description="Ends what the user says last.")

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not (self.system or self.suffix):
            raise ValueError("a prompt attack says something")
        return self


class Separated(Record):
    """How well a detector's scores tell valid organisms from valid twins, over families with both."""

    kind: Literal["separated"] = "separated"
    auroc: Interval = Field(description="The unit is the family.")
    above: float | None = Field(description="Share of the organisms above its threshold; none: it has no threshold.")
    alarms: float | None = Field(description="Share of the twins above it.")
    organisms: int
    twins: int
    families: int
    unscored: int = Field(description="Valid organisms and twins of these kinds that it gave no score.")


Column = Annotated[Separated | Unscored, Field(discriminator="kind")]


class Choice(Record):
    """The prompt attack that hurts a detector most on some families, and how the detector does under it on others."""

    attack: str
    chosen_on: tuple[str, ...]
    there: Interval = Field(description="AUROC on the families that it was chosen on, lower by the choice.")
    reported_on: tuple[str, ...]
    found: Column


class RateUnderAttack(Record):
    """How often an organism still misbehaves where it is meant to, under one attack."""

    subject: str
    family: str
    attack: str
    before: float
    rate: float
    at_least: float = Field(description="Below it the organism is left out of what is reported of this attack.")

    @property
    def misbehaves(self) -> bool:
        return self.rate >= self.at_least


class DetectorUnderAttack(Record):
    """One detector in four columns."""

    detector: str
    access: tuple[Access, ...]
    in_distribution: Column = Field(description="Organisms that evade no probe, from the trial's own verdicts.")
    shifted: Column = Field(description="The same models, detector and threshold from questions of another task.")
    prompted: Column = Field(description="The same, each half of the families under the attack chosen on the other.")
    trained_against: Column = Field(description="Organisms that were trained to evade a probe, from the trial's own.")
    choices: tuple[Choice, ...] = ()
    evaded: bool = Field(description="It reads activations, as the probes do that organisms were trained to evade.")
    outperformed_by: tuple[str, ...] = Field(
        (),
        description="Of an evaded one: those that are not, and tell the same organisms better, best first.",
    )


class Attacks(Record):
    """The battery of one trial under attack."""

    format: Literal[1] = 1
    name: str
    model: str
    task: str = Field(description="Whose questions the detectors are given in the column `shifted`.")
    benign: int = Field(description="Benign models, asked likewise, from which thresholds come there.")
    attacks: tuple[PromptAttack, ...]
    rates: tuple[RateUnderAttack, ...]
    detectors: tuple[DetectorUnderAttack, ...]
    cost: Cost = Field(description="Of the verdicts that the trial had not reached.")
