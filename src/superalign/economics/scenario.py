"""A scenario: one YAML file with every input of the model of research labour, and how it is to be read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Literal

import yaml
from pydantic import Field, model_validator

from superalign.contracts.errors import UnknownName
from superalign.contracts.records import Record
from superalign.economics.equations import EQUATIONS, Equation
from superalign.economics.uncertain import Hours, Quantity, Share, Uncertain
from superalign.runs.plan import override_key, read_mapping
from superalign.runs.plan_errors import validated

TrainingReading = Literal["utilised", "peak"]
HoursReading = Literal["both", "serial-only"]


class Readings(Record):
    """What a published figure can be taken to mean."""

    training: TrainingReading = Field("utilised", description="Training compute at its utilisation, or at the peak.")
    working_hours: HoursReading = Field(
        "both", description="Working hours count in labour and in serial speed, or in serial speed alone."
    )


class Compute(Record):
    """The project's chips, and the training of its model."""

    chips: Quantity = Field(description="FLOP/s of all chips there are, at their peak.")
    share: Share = Field(description="The project's share of them.")
    training_years: Quantity = Field(description="Years that training takes.")
    training_utilisation: Share = Field(description="Share of the peak rate that training gets.")
    inference_utilisation: Share = Field(description="Share of the peak rate that inference gets.")
    tokens_per_parameter: Quantity = Field(Quantity(value=20), description="Training tokens for each parameter.")


class Labour(Record):
    """What tokens are worth in a researcher's time."""

    tokens_per_researcher_second: Quantity = Field(description="Tokens that do a second of a researcher's work.")
    streams: Quantity = Field(description="Streams of tokens in which one researcher thinks.")
    serial_tokens_per_second: Quantity = Field(description="Tokens of one stream each second.")
    working_hours: Hours = Field(Hours(value=56), description="Hours a week that a human works: 56 is 8 on every day.")


class Supervision(Record):
    """The people whose approval each result needs."""

    reviewers: Quantity = Field(description="People who review.")
    review_hours: Hours = Field(description="Hours a week that each of them reviews.")
    hours_per_result: Quantity = Field(description="Hours of a researcher's work behind one result.")
    minutes_per_result: Quantity = Field(description="Minutes that a person takes to approve one.")
    wait_hours: Quantity = Field(description="Hours by the calendar until a result is approved.")


class Race(Record):
    """What has to be done, how long the lead is, and what a thief of the weights has."""

    needed_researcher_years: Quantity = Field(description="Years of one human's work that the job takes.")
    needed_serial_months: Quantity = Field(description="Months of it that have to come one after another.")
    lead_months: Quantity = Field(description="Months until the rival is where we are, without theft.")
    theft_probability: Share = Field(description="Probability that the weights are stolen within the lead.")
    theft_months: Quantity = Field(description="Months until a thief has them at work.")
    rival_compute: Quantity = Field(description="The rival's compute, as a multiple of ours.")
    rival_researchers: Quantity = Field(description="Human researchers whom the rival has.")
    returns: Share = Field(description="Power of labour to which progress grows; 1: none stand in each other's way.")


class Given(Record):
    """Outcomes that are taken as given, in place of what follows from the inputs."""

    training_compute: Quantity | None = Field(None, description="FLOP.")
    parameters: Quantity | None = Field(None, description="Parameters of the model.")
    tokens_per_second: Quantity | None = Field(None, description="Tokens of all copies together.")


class Scenario(Record):
    """The whole of it."""

    name: str = Field(min_length=1, max_length=60, description="For people.")
    source: str = Field("", description="Where the figures are from.")
    seed: int = Field(0, ge=0, description="What uncertain inputs are drawn with.")
    samples: int = Field(10_000, ge=100, le=1_000_000, description="How often they are drawn.")
    readings: Readings = Readings()
    compute: Compute
    labour: Labour
    supervision: Supervision | None = None
    race: Race | None = None
    given: Given = Given()
    printed: dict[str, float] = Field({}, description="Outcomes as the source prints them, to be held against ours.")

    @model_validator(mode="after")
    def _printed_outcomes(self) -> Scenario:
        known = {equation.name for equation in self.equations}
        if unknown := sorted(set(self.printed) - known):
            raise ValueError(f"prints {', '.join(unknown)}, of which the scenario has no equation")
        return self

    @property
    def equations(self) -> list[Equation]:
        """Those whose section there is."""
        return [each for each in EQUATIONS if not each.section or getattr(self, each.section) is not None]

    def inputs(self) -> Iterator[tuple[str, Uncertain, str]]:
        """Name, value and description of each input."""
        for section in (self.compute, self.labour, self.supervision, self.race):
            for name, field in type(section).model_fields.items() if section else ():
                yield name, getattr(section, name), field.description or ""

    def formulas(self, readings: Readings | None = None) -> dict[str, str]:
        """The formula of each outcome under these readings, or else the scenario's own."""
        readings = readings or self.readings
        counted = "supervised" if self.supervision else "unsupervised"
        chosen = {
            "training_compute": readings.training,
            "researchers": readings.working_hours,
            "counted_labour": counted,
            "counted_serial_months": counted,
        }
        return {each.name: each.formulas[chosen.get(each.name, "")] for each in self.equations}


def shipped() -> list[str]:
    """Names of the scenarios that come with the package."""
    return sorted(entry.name.removesuffix(".yaml") for entry in (files(__package__) / "data").iterdir())


def load_scenario(name: str, overrides: Sequence[str] = ()) -> Scenario:
    """A shipped scenario by its name, or a file. `overrides` are `a.b=c` with YAML values, as for plans.

    InputError when there is none or it can't be read, PlanError when it does not say what a scenario says.
    """
    path = Path(name)
    if path.suffix not in (".yaml", ".yml"):
        if name not in shipped():
            raise UnknownName("scenario (a file of one ends in .yaml)", name, shipped())
        path = Path(str(files(__package__) / "data" / f"{name}.yaml"))
    content = read_mapping(path, "scenario")
    for override in overrides:
        override_key(content, override)
    return validated(Scenario, content, path)


def scenario_yaml(scenario: Scenario) -> str:
    """The resolved scenario as a file that `load_scenario` reads back to an equal one."""
    return yaml.safe_dump(scenario.model_dump(mode="json", exclude_none=True), sort_keys=False, allow_unicode=True)
