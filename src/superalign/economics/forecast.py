"""What a scenario comes to: outcomes with intervals, what drives them, and printed figures held against them."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import get_args

import numpy as np
from pydantic import Field
from scipy.stats import rankdata

from superalign.contracts.errors import InputError, UnknownName
from superalign.contracts.records import Record
from superalign.economics.equations import BY_NAME, worked_out
from superalign.economics.formulas import Values, names
from superalign.economics.scenario import HoursReading, Readings, Scenario, TrainingReading
from superalign.economics.uncertain import Uncertain

CLOSE = 0.1  # share by which a printed figure, rounded to a digit or two and worked out from others, may be off
TAILS = (0.05, 0.5, 0.95)


class Outcome(Record):
    """One equation's value: `central` with every input at its middle; the rest over samples."""

    name: str
    unit: str
    says: str
    central: float
    low: float = Field(description="A twentieth of the samples lies below.")
    median: float
    high: float = Field(description="A twentieth of the samples lies above.")
    mean: float
    given: bool = Field(False, description="Taken as given, and not from its equation.")


class Driver(Record):
    """How much of an outcome's spread is an input's."""

    input: str
    rank_correlation: float = Field(description="Spearman's, over samples.")
    share: float = Field(description="Its square: of the spread in ranks, what this input explains by itself.")


class Printed(Record):
    """A figure as its source prints it, and what follows from the source's own inputs."""

    name: str
    unit: str
    printed: float
    follows: float = Field(description="By its equation, under the scenario's readings.")
    agrees: bool = Field(description="Within a tenth, since printed figures are rounded.")
    agrees_under: tuple[Readings, ...] = Field(description="The readings under which it follows.")


class Forecast(Record):
    """A scenario with all that follows from it."""

    scenario: Scenario
    outcomes: tuple[Outcome, ...]
    drives: str = Field(description="The outcome whose drivers these are.")
    drivers: tuple[Driver, ...]
    printed: tuple[Printed, ...]

    def outcome(self, name: str) -> Outcome:
        """The outcome of that name."""
        return next(each for each in self.outcomes if each.name == name)


def forecast(scenario: Scenario, drives: str | None = None) -> Forecast:
    """Work the scenario out. `drives`: the outcome whose drivers are looked for. InputError where there is none."""
    formulas = scenario.formulas()
    drives = drives or ("months_needed" if scenario.race else "labour")
    if drives not in formulas:
        raise UnknownName("outcome of this scenario", drives, formulas)
    drawn_inputs, drawn_given = drawn(scenario)
    _, samples = worked_out(drawn_inputs, drawn_given, formulas)
    follows, central = worked_out(*centre(scenario), formulas)
    for name, values in [*samples.items(), *central.items(), *follows.items()]:
        if not np.isfinite(values).all():
            needs = ", ".join(sorted(set().union(*(upstream(scenario, each) for each in names(formulas[name])))))
            raise InputError(f"{name} is no finite number here.", fix=f"Is one of these 0 or huge: {needs}?")
    rests_on = upstream(scenario, drives)
    uncertain = {
        name: values for name, values in (drawn_inputs | drawn_given).items() if name in rests_on and np.ptp(values) > 0
    }
    return Forecast(
        scenario=scenario,
        outcomes=tuple(_outcome(name, central[name], values, name in drawn_given) for name, values in samples.items()),
        drives=drives,
        drivers=tuple(_drivers(uncertain, samples[drives])),
        printed=tuple(_printed(scenario, name, figure, follows[name]) for name, figure in scenario.printed.items()),
    )


def drawn(scenario: Scenario) -> tuple[dict[str, Values], dict[str, Values]]:
    """Samples of the inputs, and of what is given. Each has a stream of its own, so that another input's
    distribution changes none but its own.
    """

    def samples(name: str, value: Uncertain) -> Values:
        stream = np.random.default_rng([scenario.seed, *name.encode()])
        return value.at(stream.uniform(size=scenario.samples))

    return _by_name(scenario, samples)


def centre(scenario: Scenario) -> tuple[dict[str, Values], dict[str, Values]]:
    """Every input, and all that is given, at its middle: arrays of one."""
    return _by_name(scenario, lambda _, value: value.at(np.array([0.5])))


def _by_name(
    scenario: Scenario, take: Callable[[str, Uncertain], Values]
) -> tuple[dict[str, Values], dict[str, Values]]:
    inputs = {name: take(name, value) for name, value, _ in scenario.inputs()}
    given = {name: take(name, value) for name, value in scenario.given if value is not None}
    return inputs, given


def _outcome(name: str, central: Values, samples: Values, given: bool) -> Outcome:
    equation = BY_NAME[name]
    low, median, high = np.quantile(samples, TAILS)
    return Outcome(
        name=name,
        unit=equation.unit,
        says=equation.says,
        central=float(central[0]),
        low=low,
        median=median,
        high=high,
        mean=float(samples.mean()),
        given=given,
    )


def _drivers(uncertain: dict[str, Values], outcome: Values) -> list[Driver]:
    """Largest first. All equations rise or fall with each input throughout, which is what rank correlation sees."""
    if np.ptp(outcome) == 0:
        return []
    ranks = rankdata(outcome)
    found = {name: float(np.corrcoef(rankdata(values), ranks)[0, 1]) for name, values in uncertain.items()}
    return [
        Driver(input=name, rank_correlation=rho, share=rho**2)
        for name, rho in sorted(found.items(), key=lambda pair: -abs(pair[1]))
    ]


def _printed(scenario: Scenario, name: str, figure: float, follows: Values) -> Printed:
    def agrees(value: float) -> bool:
        return abs(value - figure) <= CLOSE * abs(figure)

    choices = product(get_args(TrainingReading), get_args(HoursReading))
    readings = [Readings(training=training, working_hours=hours) for training, hours in choices]
    under = [
        each for each in readings if agrees(float(worked_out(*centre(scenario), scenario.formulas(each))[0][name][0]))
    ]
    return Printed(
        name=name,
        unit=BY_NAME[name].unit,
        printed=figure,
        follows=float(follows[0]),
        agrees=agrees(float(follows[0])),
        agrees_under=tuple(under),
    )


def upstream(scenario: Scenario, name: str) -> set[str]:
    """The inputs that an outcome rests on, and outcomes that are given in place of inputs."""
    formulas, given = scenario.formulas(), {key for key, value in scenario.given if value is not None}
    waiting, found = [name], set[str]()
    while waiting:
        current = waiting.pop()
        if current in formulas and current not in given:
            waiting += names(formulas[current])
        else:
            found.add(current)
    return found
