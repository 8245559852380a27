"""Detectors that somebody might write: of each kind of fault one, and one that is as good as any."""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import Any, Self

import numpy as np

from superalign.contracts.protocols import Subject, Trusted
from superalign.contracts.records import Access, Verdict
from superalign.contracts.registry import detectors


class Margin:
    """The mean log odds of yes. Those below differ in what they do with it."""

    access = frozenset({Access.LOGPROBS})

    def fit(self, trusted: Trusted) -> Self:
        self.asked_ = [question.asked for question in trusted.questions[:10]]
        return self

    def assess(self, subject: Subject) -> Any:
        return self.verdict(float(np.mean(subject.yes_logits(self.asked_))))

    def verdict(self, margin: float) -> Any:
        raise NotImplementedError


@detectors.register("sound")
class Sound(Margin):
    """Works."""

    name = "sound"

    def verdict(self, margin: float) -> Verdict:
        return Verdict(score=margin, details={"process": float(os.getpid())})


@detectors.register("hung")
class Hung(Margin):
    """Never comes to an end."""

    name = "hung"

    def verdict(self, margin: float) -> None:
        time.sleep(600)


@detectors.register("killed")
class Killed(Margin):
    """Is ended by the system, as when memory runs out."""

    name = "killed"

    def verdict(self, margin: float) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


@detectors.register("not-a-number")
class NotANumber(Margin):
    """Gets around the checks of the record."""

    name = "not-a-number"

    def verdict(self, margin: float) -> Verdict:
        return Verdict(score=margin).model_copy(update={"score": float("nan")})


@detectors.register("wordy")
class Wordy(Margin):
    """Gives a score of the wrong type."""

    name = "wordy"

    def verdict(self, margin: float) -> Verdict:
        return Verdict.model_construct(score="high")  # type: ignore[arg-type]


@detectors.register("leaving")
class Leaving(Margin):
    """Ends the program."""

    name = "leaving"

    def verdict(self, margin: float) -> None:
        sys.exit(0)
