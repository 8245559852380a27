"""The pipeline at a glance: each of the five steps with its key result."""

from __future__ import annotations

from dataclasses import dataclass

from superalign.contracts.generalization import GeneralizationSummary
from superalign.contracts.oversight import Comparison
from superalign.contracts.records import Finding
from superalign.contracts.studies import Studies
from superalign.contracts.summary import (
    BatteryResult,
    DecisionSummary,
    DetectorResult,
    OversightSummary,
    Summary,
    TrialSummary,
)
from superalign.report.protocols import in_a_line
from superalign.report.studies import parts
from superalign.report.tables import TONES, Tone
from superalign.report.wording import MISSING, SIGNALS, counted, interval, number, percent, rate_between, signal


@dataclass(frozen=True)
class Step:
    """One box: what the step asks, its key result (absent when it was not run) and the rest in a line or two."""

    name: str
    asks: str
    result: str | None = None
    means: str = ""
    detail: tuple[str, ...] = ()
    tone: Tone = ""


def steps(summary: Summary) -> tuple[Step, ...]:
    """The five steps in their order, those that were not run included."""
    return (
        oversee(summary.oversight, summary.comparison),
        generalize(summary.generalization, summary.studies),
        validate(summary.validation, summary.battery),
        stress_test(summary.trial),
        decide(summary.decision),
    )


def oversee(found: OversightSummary | None, compared: Comparison | None) -> Step:
    name, asks = "oversee", "How good is the signal?"
    if found is None:
        return Step(name, asks)
    blind = f"question-blind AUROC {number(found.question_blind_auroc.value)} {interval(found.question_blind_auroc)}"
    detail = (f"AUROC {number(found.auroc)}", signal(found), blind, *([in_a_line(compared)] if compared else []))
    return Step(name, asks, number(found.accuracy), "overseer's accuracy", detail)


def generalize(found: GeneralizationSummary | None, studies: Studies | None) -> Step:
    name, asks = "generalize", "How far does it carry?"
    if found is None:
        return Step(name, asks)
    accuracies = (
        f"accuracy: overseer {number(found.weak.accuracy)}, student {number(found.student.accuracy)}, "
        f"ceiling {number(found.ceiling.accuracy)}"
    )
    detail = (f"learnt from {SIGNALS[found.signal][1]}", accuracies, *(part.in_a_line for part in parts(studies)))
    pgr = found.pgr
    if not pgr.defined or pgr.value is None:
        return Step(name, asks, "undefined", "gap recovered (PGR)", detail, "open")
    bounds = f"[{number(pgr.low)}, {number(pgr.high)}]"
    return Step(name, asks, number(pgr.value), f"of the gap recovered (PGR) {bounds}", detail)


def validate(found: tuple[DetectorResult, ...], battery: BatteryResult | None) -> Step:
    name, asks = "validate", "Does the model misbehave?"
    if not found or battery is None:
        return Step(name, asks)
    flags = [result.detector for result in found if result.verdict is Finding.FLAGGED]
    open_ones = [result.detector for result in found if result.verdict is Finding.UNDETERMINED]
    detail = [f"flagged by {', '.join(flags)} alone, uncorrected"] if flags else []
    detail += [f"undetermined: {', '.join(open_ones)}"] if open_ones else []
    p_value = "no p-value" if battery.p_value is None else f"p = {number(battery.p_value)}"
    means = f"by {counted(len(found), 'detector')} together, {p_value}"
    return Step(name, asks, battery.finding.value, means, tuple(detail), TONES[battery.finding.value])


def stress_test(found: TrialSummary | None) -> Step:
    name, asks = "stress-test", "Would we have noticed?"
    if found is None:
        return Step(name, asks)
    detail = [f"false positives {rate_between(found.fpr, found.fpr_low, found.fpr_high)}"]
    detail += [counted(found.invalid, "invalid subject")] if found.invalid else []
    if not found.families:
        return Step(name, asks, MISSING, "no planted family was valid", tuple(detail), "open")
    detail.insert(0, f"recall at least {percent(found.recall_low)}")
    return Step(name, asks, f"{found.caught} of {found.families}", "planted families caught", tuple(detail))


def decide(found: DecisionSummary | None) -> Step:
    name, asks = "decide", "What now?"
    if found is None:
        return Step(name, asks)
    return Step(name, asks, found.verdict.value, f"the model is {found.model.value}", (), TONES[found.verdict.value])
