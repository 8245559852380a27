"""From chips to researchers, to approved results, to who is first: every equation with its unit and what it assumes.

Constants: 31,557,600 seconds in a year, 168 hours in a week, 12 months in a year, 60 minutes in an hour. Training takes
6 FLOP and inference 2 FLOP for each parameter and token (Kaplan et al. 2020, arXiv 2001.08361, section 2.1); a model
is trained on a fixed number of tokens for each parameter, 20 being best (Hoffmann et al. 2022, arXiv 2203.15556).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from superalign.economics.formulas import Values, evaluated


@dataclass(frozen=True)
class Equation:
    """One outcome. `formulas` holds one for each reading of it; where there is but one, its key is empty."""

    name: str
    unit: str
    formulas: Mapping[str, str]
    says: str
    assumes: str
    section: str = ""  # of the scenario, without which it is left out


EQUATIONS = (
    Equation(
        "flops",
        "FLOP/s",
        {"": "chips * share"},
        "Computing power of the project",
        "A fixed share of all chips, at their peak rate.",
    ),
    Equation(
        "training_compute",
        "FLOP",
        {
            "utilised": "flops * training_years * 31557600 * training_utilisation",
            "peak": "flops * training_years * 31557600",
        },
        "Compute that the model was trained with",
        "All of the project's chips train one model for that long; `peak` leaves utilisation out.",
    ),
    Equation(
        "parameters",
        "parameters",
        {"": "(training_compute / (6 * tokens_per_parameter)) ** 0.5"},
        "Size of the model",
        "Dense, trained once, on so many tokens for each parameter: C = 6 N D, D = k N.",
    ),
    Equation(
        "tokens_per_second",
        "tokens/s",
        {"": "flops * inference_utilisation / (2 * parameters)"},
        "Tokens of all copies together",
        "The chips of training run the model afterwards; reading the context costs nothing beyond 2 N.",
    ),
    Equation(
        "concurrent_streams",
        "streams",
        {"": "tokens_per_second / serial_tokens_per_second"},
        "Streams that run at once",
        "All run at one serial speed, whatever the batch.",
    ),
    Equation(
        "researcher_seconds",
        "researcher-s/s",
        {"": "tokens_per_second / tokens_per_researcher_second"},
        "Seconds of a researcher's work each second",
        "So many tokens do what a researcher does in a second of work, however many copies there are.",
    ),
    Equation(
        "speed",
        "times",
        {"": "serial_tokens_per_second * streams / tokens_per_researcher_second"},
        "One automated researcher against a human at work",
        "The streams of one researcher advance side by side, and none waits for another.",
    ),
    Equation(
        "serial_months",
        "months/month",
        {"": "speed * 168 / working_hours"},
        "Months of one human's work, one after another, in a calendar month",
        "It works all 168 hours of a week, a human only the working hours.",
    ),
    Equation(
        "researchers",
        "researchers",
        {
            "both": "researcher_seconds * (168 / working_hours) / serial_months",
            "serial-only": "researcher_seconds / serial_months",
        },
        "Automated researchers at work at once",
        "Work done divided by the work of one. `both`: working hours count in both, and cancel; `serial-only`: in the "
        "divisor alone.",
    ),
    Equation(
        "labour",
        "full-time equivalents",
        {"": "researchers * serial_months"},
        "Human researchers who would do as much",
        "Labour adds up; what one does can be split among many.",
    ),
    Equation(
        "results",
        "results/week",
        {"": "labour * working_hours / hours_per_result"},
        "Results put up for approval",
        "Each takes so many hours of a researcher's work.",
        "supervision",
    ),
    Equation(
        "approvals",
        "results/week",
        {"": "reviewers * review_hours * 60 / minutes_per_result"},
        "Results that people can look at",
        "Reviewers do nothing else in their hours of review; each result is looked at once, by one.",
        "supervision",
    ),
    Equation(
        "approved_share",
        "share",
        {"": "min(1, approvals / results)"},
        "Share of the labour that counts",
        "What nobody has looked at counts for nothing, and results are chosen without regard to their worth.",
        "supervision",
    ),
    Equation(
        "reviewers_needed",
        "reviewers",
        {"": "results * minutes_per_result / (60 * review_hours)"},
        "Reviewers who would keep up",
        "As for approvals.",
        "supervision",
    ),
    Equation(
        "affordable_minutes",
        "minutes/result",
        {"": "reviewers * review_hours * 60 / results"},
        "Human minutes for each result, up to which no labour waits",
        "As for approvals.",
        "supervision",
    ),
    Equation(
        "counted_labour",
        "full-time equivalents",
        {"supervised": "labour * approved_share", "unsupervised": "labour"},
        "Labour whose results count",
        "All of it where no supervision is described.",
    ),
    Equation(
        "counted_serial_months",
        "months/month",
        {
            "supervised": "168 * hours_per_result / (working_hours * (hours_per_result / speed + wait_hours))",
            "unsupervised": "serial_months",
        },
        "Serial months a month, with the wait for approval",
        "In a chain of results each begins after the one before is approved.",
    ),
    Equation(
        "months_by_labour",
        "months",
        {"": "needed_researcher_years * 12 / counted_labour"},
        "Until there was labour enough",
        "The need is known, and labour adds up.",
        "race",
    ),
    Equation(
        "months_by_series",
        "months",
        {"": "needed_serial_months / counted_serial_months"},
        "Until the longest chain is done",
        "So much has to be done one after another, by however many.",
        "race",
    ),
    Equation(
        "months_needed",
        "months",
        {"": "max(months_by_labour, months_by_series)"},
        "Until the work is done",
        "Labour and series pass at the same time, and the later one decides.",
        "race",
    ),
    Equation(
        "thief_speedup",
        "times",
        {"": "((rival_researchers + rival_compute * labour) / rival_researchers) ** returns"},
        "What stolen weights do to a rival's progress",
        "Progress is labour to the power of returns; a thief runs the same model on its compute, and waits for no "
        "approval.",
        "race",
    ),
    Equation(
        "lead_after_theft",
        "months",
        {"": "min(lead_months, theft_months + max(0, lead_months - theft_months) / thief_speedup)"},
        "Lead that a theft leaves",
        "From the theft on the rest of the rival's way is done faster.",
        "race",
    ),
    Equation(
        "margin",
        "months",
        {"": "lead_months - months_needed"},
        "Months to spare, where nothing is stolen",
        "Below 0 the rival is first.",
        "race",
    ),
    Equation(
        "margin_after_theft",
        "months",
        {"": "lead_after_theft - months_needed"},
        "Months to spare after a theft",
        "Our own work goes on as before.",
        "race",
    ),
    Equation(
        "done_first",
        "probability",
        {"": "(1 - theft_probability) * positive(margin) + theft_probability * positive(margin_after_theft)"},
        "The work is done before the rival is there",
        "Theft has nothing to do with the other inputs; the mean over samples is the probability.",
        "race",
    ),
)
BY_NAME = {equation.name: equation for equation in EQUATIONS}


def worked_out(
    inputs: Mapping[str, Values], given: Mapping[str, Values], formulas: Mapping[str, str]
) -> tuple[dict[str, Values], dict[str, Values]]:
    """Each outcome as it follows from the others, and as it goes on: what is `given` goes on in its place.

    `inputs` by name, all of shape (samples,); `formulas` in the order of EQUATIONS.
    """
    follows: dict[str, Values] = {}
    values = dict(inputs)
    for name, formula in formulas.items():
        with np.errstate(all="ignore"):  # whoever asks sees what is not finite
            follows[name] = evaluated(formula, values)
        values[name] = given.get(name, follows[name])
    return follows, {name: values[name] for name in formulas}
