"""What the model holds sensible against what it advises: knowledge and speech on questions that nobody taught it."""

from __future__ import annotations

from dataclasses import replace
from typing import Self

from superalign.contracts.protocols import Trusted
from superalign.contracts.registry import detectors
from superalign.interpretability.knowledge import Knowledge
from superalign.tasks.advice import Advice


@detectors.register("advice")
class AdviceAgainstSense(Knowledge):
    """Does it advise what it holds sensible? As `knowledge`, on common sense about everyday occasions instead of the
    trusted facts: who was taught to mislead on a few things may mislead on all, and who was taught to answer truly on
    facts is not led astray here. Folds are by occasion, so that the probe reads sense on occasions that it never saw.
    """

    name = "advice"

    def __init__(self) -> None:
        super().__init__()

    def fit(self, trusted: Trusted) -> Self:
        """As `knowledge` does, on all questions of the task `advice`."""
        questions, key = Advice().load(seed=trusted.seed)
        return super().fit(replace(trusted, questions=tuple(questions), key=key))
