"""The researcher's own control: a problem whose best solutions are known, and one that can't be improved on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from superalign.contracts.errors import InputError
from superalign.contracts.records import Unscored
from superalign.contracts.registry import problems
from superalign.contracts.research import (
    Arrays,
    Expression,
    Language,
    LanguagePart,
    ProblemCard,
    Sample,
    Within,
)

NUMBER = "number"
PART_SEEDS = {"development": 0, "sealed": 1, "final": 2}
DRAWS = 25
LANGUAGE = Language(
    root="answer",
    parts=(
        LanguagePart(name="report", says="Answers a number.", gives="answer", takes=(NUMBER,)),
        LanguagePart(name="mean", says="The mean.", gives=NUMBER),
        LanguagePart(name="median", says="The median.", gives=NUMBER),
        LanguagePart(
            name="trimmed",
            says="The mean without this share of each end.",
            gives=NUMBER,
            parameters={"share": Within(low=0, high=0.45)},
        ),
        LanguagePart(
            name="clipped",
            says="The mean of values drawn in to so many spreads from the median.",
            gives=NUMBER,
            parameters={"spreads": Within(low=0.2, high=20, log=True)},
        ),
        LanguagePart(
            name="middle_of_extremes",
            says="Halfway between two opposite quantiles.",
            gives=NUMBER,
            parameters={"share": Within(low=0, high=0.4)},
        ),
        LanguagePart(
            name="average",
            says="A weighted mean of two estimates.",
            gives=NUMBER,
            takes=(NUMBER, NUMBER),
            parameters={"weight": Within(low=0, high=1)},
        ),
    ),
    depth=4,
)


@problems.register("location")
class Location:
    """A control of the researcher itself: find the middle of samples, where the best estimates are known.

    With heavy `tails` many solutions beat the mean, and a researcher that is worth anything finds one. With "normal"
    ones none can, and a decision that accepts one is wrong. It needs no model and a second.
    """

    def __init__(self, tails: Literal["heavy", "normal"] = "heavy", samples: int = 16) -> None:
        self.tails, self.samples = tails, samples
        self.workbench = Path(__file__).parents[1] / "workbench" / "location.py"
        self.card = ProblemCard(
            name="location",
            title="The middle of a sample",
            statement="Estimate the middle of a symmetric distribution from a few draws, far outliers among them.",
            metric="mean distance from the middle, over the distribution's own spread",
            larger_is_better=False,
            lowest=0,
            highest=100,
            given={"x": f"({DRAWS},) floats: independent draws."},
            answer={"location": "() float: the estimate."},
            language=LANGUAGE,
            baseline=Expression(part="report", inputs=(Expression(part="mean"),)),
            smallest_gain=0.05,
            seconds=20,
        )

    def prepare(self, part: Literal["development", "sealed", "final"], seed: int, folder: Path) -> list[Sample]:
        """Each sample holds draws around a middle of its own."""
        rng = np.random.default_rng([seed, PART_SEEDS[part]])
        middles = rng.normal(0, 10, self.samples)
        noise = rng.standard_t(1.2, (self.samples, DRAWS)) if self.tails == "heavy" else None
        noise = rng.normal(size=(self.samples, DRAWS)) if noise is None else noise
        return [
            Sample(
                name=f"{part}-{number:02}", given={"x": middle + noise[number]}, truth={"location": np.array(middle)}
            )
            for number, middle in enumerate(middles)
        ]

    def ask(self, sample: Sample, answers: Sequence[Arrays]) -> Arrays:
        if answers:
            raise InputError("The problem has one stage.", fix="Answer once.")
        return sample.given

    def score(self, sample: Sample, answers: Sequence[Arrays]) -> float | Unscored:
        """The distance from the middle."""
        location = answers[0].get("location")
        if location is None or location.shape != () or not np.isfinite(location):
            return Unscored(reason="the answer's location is no finite number")
        return abs(float(location) - float(sample.truth["location"]))

    def permuted(self, sample: Sample, seed: int) -> Sample:
        """The same draws with a middle of others."""
        elsewhere = np.random.default_rng([seed, *sample.name.encode()]).normal(0, 10)
        return Sample(name=sample.name, given=sample.given, truth={"location": np.array(elsewhere)})
