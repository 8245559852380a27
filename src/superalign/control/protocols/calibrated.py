"""An alarm that was fitted and calibrated on trusted runs, as one JSON file: for whoever watches an agent elsewhere."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from superalign.contracts.actions import Action, Score
from superalign.contracts.errors import InputError
from superalign.contracts.records import Record, Unscored
from superalign.control.alarms.readers import UnfamiliarAlarm, scores_of
from superalign.control.protocols.thresholds import suspicious, threshold_for


class Calibrated(Record):
    """What `unfamiliar` has counted in one half of trusted runs, and its scores on the other half. It knows no attack:
    it tells what trusted runs have not shown.
    """

    format: Literal[1] = 1
    words: dict[str, int] = Field(min_length=1)
    pairs: dict[str, dict[str, int]] = Field(description="How often the second word follows the first.")
    benign: tuple[float | Unscored, ...]

    def score(self, action: Action) -> Score:
        return scores_of(self._alarm(), [action.text])[0]

    def threshold(self, rate: float) -> Score:
        """For at most this rate of alarms on further trusted actions."""
        return threshold_for(self.benign, rate)

    def suspects(self, action: Action, rate: float) -> tuple[bool, Score]:
        """Whether the action raises the alarm, and its score. Without a threshold every action does."""
        score = self.score(action)
        return suspicious(score, self.threshold(rate)), score

    def _alarm(self) -> UnfamiliarAlarm:
        alarm = UnfamiliarAlarm()
        alarm.words_ = Counter(self.words)
        alarm.pairs_ = Counter({(a, b): n for a, after in self.pairs.items() for b, n in after.items()})
        alarm.before_ = Counter({a: sum(after.values()) for a, after in self.pairs.items()})
        return alarm


def calibrate(actions: Sequence[Action], seed: int = 0) -> Calibrated:
    """Fit on half of the groups of trusted actions, and score the other half. InputError with fewer than two groups."""
    groups = sorted({action.group for action in actions})
    if len(groups) < 2:
        raise InputError(
            f"The trusted runs hold tool calls of {len(groups)} samples.", fix="Give runs of at least two: of hundreds."
        )
    random.Random(f"calibrate {seed}").shuffle(groups)
    learnt = set(groups[: len(groups) // 2])
    texts = [action.text for action in actions if action.group in learnt]
    alarm = UnfamiliarAlarm().learn(texts, [False] * len(texts))
    pairs: dict[str, dict[str, int]] = {}
    for (first, second), number in alarm.pairs_.items():
        pairs.setdefault(first, {})[second] = number
    benign = scores_of(alarm, [action.text for action in actions if action.group not in learnt])
    return Calibrated(words=dict(alarm.words_), pairs=pairs, benign=tuple(benign))


@lru_cache(maxsize=8)
def read_calibrated(path: Path) -> Calibrated:
    """What `superalign control calibrate` wrote. InputError when it can't be read."""
    fix = "Write it with: superalign control calibrate LOG --out FILE"
    try:
        return Calibrated.model_validate_json(path.read_bytes())
    except OSError as error:
        raise InputError(f"The calibrated alarm can't be read: {error.strerror}.", where=str(path), fix=fix) from None
    except ValidationError:
        raise InputError("This file holds no calibrated alarm.", where=str(path), fix=fix) from None
