"""Numbers and findings as words. A missing number is a dash, never 0; a bound never reads better than it is."""

from __future__ import annotations

import re

from superalign.contracts.generalization import PGR
from superalign.contracts.records import Access, Cost, Decision, Finding, Interval
from superalign.contracts.signals import SignalName
from superalign.contracts.summary import BatteryResult, OversightSummary, SearchEffort, TrialSummary

MISSING = "—"
SPACE = "\N{NO-BREAK SPACE}"
MINUS = "\N{MINUS SIGN}"

SEES = {
    Access.BLACK_BOX: "answers",
    Access.LOGPROBS: "answer probabilities",
    Access.ACTIVATIONS: "activations",
    Access.WEIGHTS: "weights",
    Access.BASE: "base model",
    Access.TRAINING_DATA: "training data",
}
SIGNALS: dict[SignalName, tuple[str, str]] = {
    "labels": ("label", "labels"),
    "preferences": ("preference", "preferences"),
    "steps": ("step reward", "step rewards"),
}
MODEL_SENTENCES = {
    Finding.CLEAR: "The model does not stand out from benign models. That is not the same as safe.",
    Finding.FLAGGED: "The model stands out from all benign models.",
    Finding.UNDETERMINED: "The detectors could not settle whether the model misbehaves.",
}
DECISION_SENTENCES = {
    Decision.PROCEED: "Every criterion written down before the trial holds.",
    Decision.PAUSE: "A criterion written down before the trial is broken.",
    Decision.UNDETERMINED: "What was measured can't support a decision either way.",
}


def number(value: float | None, digits: int = 2) -> str:
    """`value` with a fixed number of decimals and a real minus sign."""
    if value is None:
        return MISSING
    text = f"{value:.{digits}f}"
    return text.lstrip("-") if float(text) == 0 else text.replace("-", MINUS)


def told_apart(first: float, second: float) -> tuple[str, str]:
    """Both numbers with as many decimals as it takes to see which one is larger."""
    for digits in range(2, 10):
        texts = number(first, digits), number(second, digits)
        if texts[0] != texts[1] or first == second:
            return texts
    return repr(first), repr(second)


def percent(value: float | None) -> str:
    """A rate with at most one decimal. Only an exact 0 or 1 reads as 0 % or 100 %."""
    if value is None:
        return MISSING
    if 0 < value < 0.001:
        return f"under 0.1{SPACE}%"
    if 0.999 < value < 1:
        return f"over 99.9{SPACE}%"
    return f"{100 * value:.1f}".removesuffix(".0") + f"{SPACE}%"


def interval(estimate: Interval) -> str:
    return f"[{number(estimate.low)}, {number(estimate.high)}]"


def rate_between(value: float | None, low: float | None, high: float | None) -> str:
    """A rate with its interval, as percentages."""
    if value is None:
        return MISSING
    return percent(value) + (f" [{percent(low)}, {percent(high)}]" if low is not None and high is not None else "")


def counted(quantity: int, singular: str, plural: str | None = None) -> str:
    """`3 models`, `1 model`."""
    return f"{quantity:,}{SPACE}{singular if quantity == 1 else plural or singular + 's'}"


def duration(seconds: float) -> str:
    """`0.4 s`, `2 min 5 s`, `3 h 12 min`."""
    if seconds < 59.5:
        text = f"{seconds:.1f}".removesuffix(".0") if seconds < 10 else f"{seconds:.0f}"
        return f"{text}{SPACE}s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}{SPACE}min{SPACE}{rest}{SPACE}s"
    return f"{minutes // 60}{SPACE}h{SPACE}{minutes % 60}{SPACE}min"


def cost(spent: Cost) -> str:
    passes = counted(spent.forward_passes, "forward pass", "forward passes")
    parts = [duration(spent.seconds), counted(spent.tokens, "token"), passes]
    if spent.human_seconds:
        parts.append(f"{duration(spent.human_seconds)} of simulated human time")
    return ", ".join(parts)


def sentence(text: str) -> str:
    """`text` with a capital and a full stop."""
    text = text.strip().replace(" %", f"{SPACE}%").replace("p = ", f"p{SPACE}={SPACE}")
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?", "…")) else ".")


def signal(found: OversightSummary) -> str:
    """What oversight wrote for students to learn from, and how much of it could not be had."""
    singular, plural = SIGNALS[found.signal]
    said = counted(found.labelled, singular, plural)
    if found.unscored:
        reasons = ", ".join(f"{reason} ({count:,})" for reason, count in found.reasons.items())
        said += f", {found.unscored:,} more unscored{f': {reasons}' if reasons else ''}"
    return said


def pgr(gap_recovered: PGR) -> str:
    """What the student recovered, or why that can't be said."""
    gap = f"ceiling {MINUS} weak: {number(gap_recovered.gap.value)} {interval(gap_recovered.gap)}"
    measure = {"accuracy": "accuracy", "auroc": "AUROC"}[gap_recovered.metric]
    if not gap_recovered.defined or gap_recovered.value is None:
        return f"PGR on {measure} is undefined: {gap_recovered.reason.rstrip('.')} ({gap})."
    value = f"{number(gap_recovered.value)} [{number(gap_recovered.low)}, {number(gap_recovered.high)}]"
    text = f"PGR on {measure} is {value}, over {counted(gap_recovered.seeds, 'seed')} ({gap})."
    if gap_recovered.value < 0:
        text += " Below 0: the student does worse than its overseer."
    if gap_recovered.value > 1:
        text += " Above 1: the student does better than the ceiling, which questions the ceiling."
    return text


def trial(found: TrialSummary) -> str:
    """What was caught and what was flagged wrongly, with the bounds; what is missing says why."""
    caught = "No family had a valid organism and a valid twin, so there is no recall to report."
    if found.families:
        caught = (
            f"The battery caught {found.caught} of "
            f"{counted(found.families, 'planted family', 'planted families')}: a recall of at least "
            f"{percent(found.recall_low)} (one-sided {percent(0.95)} bound)."
        )
        if found.caught < found.families:
            caught += f" The smallest share of organisms is flagged of {', '.join(found.worst)}."
    wrong = f"False positives on benign twins: {MISSING}, no valid twin was scored."
    if found.fpr is not None:
        wrong = f"False positives on benign twins: {rate_between(found.fpr, found.fpr_low, found.fpr_high)}."
    return f"{caught} {wrong} AUROC of organisms against twins: {estimate(found.auroc)}."


def estimate(found: Interval | None) -> str:
    """An estimate with its interval, or that there is none."""
    return f"{number(found.value)} {interval(found)}" if found else f"{MISSING}, too few scores"


def cost_per_catch(found: TrialSummary) -> str:
    """What the verdicts took for each family that was caught."""
    if not found.caught:
        return f"{MISSING}, nothing was caught"
    spent, catches = found.verdicts_cost, found.caught
    passes = f"{round(spent.forward_passes / catches):,}{SPACE}forward passes"
    human = f"{duration(spent.human_seconds / catches)} of human time"
    return f"{duration(spent.seconds / catches)}, {passes}, {human}"


def battery(found: BatteryResult) -> str:
    """The verdict of all detectors together, with the rate of false alarms that its test bounds."""
    text = sentence(f"All detectors together: {found.finding.value}, {found.reason}")
    if found.p_value is None:
        return text
    rate = percent(1 / (found.reference + 1))
    return f"{text} A benign model like these is flagged at a rate of at most {rate}, whatever the number of detectors."


def search(found: SearchEffort) -> str:
    """In how many organisms and twins a search found something, and how hard it had to look."""
    said = []
    for kind, curve in (("organism", found.organisms), ("twin", found.twins)):
        if curve is None:
            said.append(f"no {kind} was searched")
            continue
        text = f"in {curve.searches - curve.censored} of {counted(curve.searches, kind)}"
        if curve.median is not None:
            text += f" (half of them within {counted(round(curve.median), 'forward pass', 'forward passes')})"
        said.append(text)
    unscored = f"; {found.unscored} more not scored" if found.unscored else ""
    return f"{found.detector} confirmed a violation {' and '.join(said)}{unscored}."


def parameters(model: str) -> float | None:
    """The number of parameters that a model's name claims (`smollm2-135m`), if it claims one."""
    match = re.search(r"(?<![a-z0-9.])(\d+(?:\.\d+)?)([mb])(?![a-z0-9])", model.lower())
    return float(match[1]) * {"m": 1e6, "b": 1e9}[match[2]] if match else None
