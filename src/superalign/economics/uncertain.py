"""Inputs that nobody knows exactly: a number, or a distribution by the ends of an interval."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from pydantic import Field, model_validator
from scipy.special import expit, logit
from scipy.stats import norm

from superalign.contracts.records import Record
from superalign.economics.formulas import Values

SIDE = float(norm.ppf(0.95))  # standard deviations from the middle to each end of an interval of 90 %

HOURS_OF_A_WEEK = 168.0

Positive = Annotated[float, Field(gt=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Within = Annotated[float, Field(gt=0, lt=1)]


class Uncertain(Record):
    """A number, or one distribution by two ends: `{lognormal: [LOW, HIGH]}`. Each input is drawn independently."""

    @model_validator(mode="before")
    @classmethod
    def _number(cls, given: Any) -> Any:
        if isinstance(given, dict):  # what a validator has seen is Python's, where a list is no tuple
            return {name: tuple(ends) if isinstance(ends, list) else ends for name, ends in given.items()}
        return {"value": given} if isinstance(given, int | float) and not isinstance(given, bool) else given

    @model_validator(mode="after")
    def _one_way(self) -> Uncertain:
        said = self.model_dump(exclude_none=True)
        if len(said) != 1:
            raise ValueError("should be a number or one distribution, as in {uniform: [1, 2]}")
        _, given = self.way
        if isinstance(given, tuple) and not given[0] < given[1]:
            raise ValueError("should have two ends, the lower one first")
        return self

    @property
    def way(self) -> tuple[str, Any]:
        """The distribution's name with its ends, or `value` with the number."""
        [(name, given)] = self.model_dump(exclude_none=True).items()
        return name, given

    @property
    def known(self) -> bool:
        """Whether it is a number."""
        return self.way[0] == "value"

    def at(self, share: float | Values) -> Values:
        """Its quantiles. 0.5 is the middle, which stands for it where there can be one number only."""
        name, given = self.way
        share = np.asarray(share, dtype=np.float64)
        if name == "value":
            return np.full_like(share, given)
        low, high = given
        ends = {"lognormal": np.log, "loguniform": np.log, "logitnormal": logit}.get(name, np.asarray)
        back = {"lognormal": np.exp, "loguniform": np.exp, "logitnormal": expit}.get(name, np.asarray)
        middle, half = (ends(low) + ends(high)) / 2, (ends(high) - ends(low)) / 2
        steps = norm.ppf(share) / SIDE if name.endswith("normal") else 2 * share - 1
        return np.asarray(back(middle + half * steps))

    @property
    def range(self) -> tuple[float, float]:
        """From which value to which one might want to try it."""
        name, given = self.way
        return given if name != "value" else (given / 30, given * 30)

    def __str__(self) -> str:
        name, given = self.way
        return f"{given:.4g}" if name == "value" else f"{name} [{given[0]:.4g}, {given[1]:.4g}]"


class Quantity(Uncertain):
    """Any number above 0."""

    value: Positive | None = None
    lognormal: tuple[Positive, Positive] | None = Field(None, description="The interval that holds 90 % of it.")
    loguniform: tuple[Positive, Positive] | None = Field(None, description="The least and the largest it can be.")
    uniform: tuple[Positive, Positive] | None = Field(None, description="The least and the largest it can be.")


class Hours(Quantity):
    """Hours of a week."""

    @model_validator(mode="after")
    def _of_a_week(self) -> Hours:
        if float(self.at(0.999)) > HOURS_OF_A_WEEK:
            raise ValueError("should be no more than the 168 hours of a week")
        return self

    @property
    def range(self) -> tuple[float, float]:
        return 1.0, HOURS_OF_A_WEEK


class Share(Uncertain):
    """A number from 0 to 1."""

    value: Fraction | None = None
    logitnormal: tuple[Within, Within] | None = Field(None, description="The interval that holds 90 % of it.")
    uniform: tuple[Fraction, Fraction] | None = Field(None, description="The least and the largest it can be.")

    @property
    def range(self) -> tuple[float, float]:
        return 0.0, 1.0
