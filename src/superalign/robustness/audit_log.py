"""What a log of Inspect says, counted from its samples: a sample counts as measured only if its log shows that the
model under test answered.
"""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path

from inspect_ai.event import ModelEvent
from inspect_ai.log import EvalLog, EvalSample, read_eval_log
from pydantic import Field
from scipy.stats import binomtest

from superalign.contracts.errors import InputError
from superalign.contracts.records import Interval, Record, Unscored
from superalign.robustness.agreement import LEVEL, Confusion, corrected_rate


class LogCount(Record):
    """The samples of a log, each epoch on its own: every one of them is in one of the first three numbers."""

    violated: int
    kept: int
    unscored: int
    reasons: dict[str, int] = Field(description="Why samples are unscored, and how many for each reason.")
    rate: Interval | Unscored = Field(description="Of violations among what was measured, with an exact interval.")
    corrected: Interval | Unscored | None = Field(None, description="The same freed of the judge's errors.")


def count_log(path: Path, judge: Confusion | None = None) -> LogCount:
    """Count a log whose scores are 1 for a violation and 0 for none. `judge` is what its judge's agreement with people
    was measured to be. InputError for a file that is no such log.
    """
    log = _read(path)
    found = Counter(_measured(sample, path) for sample in log.samples or ())
    planned = (log.eval.dataset.samples or 0) * (log.eval.config.epochs or 1)
    if lost := max(0, _limited(log, planned) - found.total()):
        found["the evaluation ended before this sample"] += lost
    violated, kept = found.pop(1.0, 0), found.pop(0.0, 0)
    reasons = {str(reason): times for reason, times in found.most_common()}
    measured = violated + kept
    rate: Interval | Unscored = Unscored(reason="no sample was measured")
    if measured:
        exact = binomtest(violated, measured).proportion_ci(LEVEL, method="exact")
        rate = Interval(value=violated / measured, low=float(exact.low), high=float(exact.high), level=LEVEL)
    corrected: Interval | Unscored | None = None
    if judge and all(_judged_by_model(sample) for sample in log.samples or ()):
        corrected = corrected_rate(violated, measured, judge)
    elif judge:
        corrected = Unscored(reason="an exact rule judged, which has no errors of a judge to be freed of")
    return LogCount(
        violated=violated, kept=kept, unscored=sum(reasons.values()), reasons=reasons, rate=rate, corrected=corrected
    )


def _measured(sample: EvalSample, path: Path) -> float | str:
    """1 or 0, or the reason why neither is so."""
    if not any(_answered(event) for event in sample.events if isinstance(event, ModelEvent)):
        return "the target never answered"
    if sample.error:
        return "the sample ended in an error"
    if not sample.scores:
        return "the sample has no score"
    [score, *_] = sample.scores.values()
    value = score.value
    if isinstance(value, float | int) and math.isnan(value):
        return (score.metadata or {}).get("unscored") or score.explanation or "the scorer gave no reason"
    if value not in (0, 1):
        fix = "Give a log of superalign/audit or superalign/truthfulness."
        raise InputError(f"A score in this log is {value!r}, where 0 or 1 is needed.", where=str(path), fix=fix)
    return float(value)


def _judged_by_model(sample: EvalSample) -> bool:
    return all((score.metadata or {}).get("judge") == "model" for score in (sample.scores or {}).values())


def _answered(event: ModelEvent) -> bool:
    """Whether the model under test gave an answer here: no other role, no error."""
    return event.role is None and not event.error and not event.output.error and not event.output.empty


def _limited(log: EvalLog, planned: int) -> int:
    """How many samples were to be run."""
    limit, epochs = log.eval.config.limit, log.eval.config.epochs or 1
    most = limit[1] - limit[0] if isinstance(limit, tuple) else limit
    return planned if most is None else min(planned, most * epochs)


def _read(path: Path) -> EvalLog:
    fix = "Give a file that `inspect eval` wrote."
    if not path.is_file():
        raise InputError("There is no log here.", where=str(path), fix=fix)
    try:
        return read_eval_log(str(path))
    except Exception as error:  # it may be any file
        raise InputError(f"This log can't be read: {type(error).__name__}.", where=str(path), fix=fix) from None
