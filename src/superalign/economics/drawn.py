"""A forecast as tables for a terminal and as charts."""

from __future__ import annotations

import numpy as np

from superalign.economics.equations import worked_out
from superalign.economics.forecast import Forecast, Outcome, drawn
from superalign.report.charts import Curve, curves
from superalign.report.svg import Scale, element, figure, text, width_of
from superalign.report.wording import number

QUANTILES = np.linspace(0.01, 0.99, 99)
WIDTH, ROW, TOP = 560.0, 24.0, 40.0


def short(value: float) -> str:
    """Three digits: 46,000, 0.024, 1.58e28."""
    if value == 0 or 1e-3 <= abs(value) < 1e6:
        digits = 0 if value == 0 else max(0, 2 - int(np.floor(np.log10(abs(value)))))
        text = f"{round(value, 2 - int(np.floor(np.log10(abs(value))))) if value else 0:,.{digits}f}"
        return (text.rstrip("0").rstrip(".") if "." in text else text).replace("-", "\N{MINUS SIGN}")
    mantissa, _, power = f"{value:.2e}".partition("e")
    return f"{mantissa.rstrip('0').rstrip('.')}e{int(power)}"


def between(outcome: Outcome) -> str:
    """The interval that holds 90 % of the samples; nothing where there is but one value."""
    return "" if outcome.low == outcome.high else f"{short(outcome.low)} to {short(outcome.high)}"


def readings(found: Forecast) -> str:
    """How the scenario is read, in a sentence."""
    chosen = found.scenario.readings
    training = {"utilised": "at its utilisation", "peak": "at the peak rate"}[chosen.training]
    hours = {"both": "labour and serial speed alike", "serial-only": "serial speed alone"}[chosen.working_hours]
    return f"Training compute is taken {training}.\nWorking hours count in {hours}."


def outcome_rows(found: Forecast) -> list[dict[str, str]]:
    """Each outcome: its middle, its interval, its unit."""
    return [
        {
            "outcome": each.name,
            "middle": f"{short(each.mean if each.unit == 'probability' else each.central)}{' (given)' * each.given}",
            "90 % of samples": "" if each.unit == "probability" else between(each),
            "unit": each.unit,
        }
        for each in found.outcomes
    ]


def printed_rows(found: Forecast) -> list[dict[str, str]]:
    """Each printed figure beside what follows from the inputs, and where it does not, the reading that it needs."""
    own = found.scenario.readings
    rows = []
    for each in found.printed:
        needs = [
            ", ".join(f"{key}: {value}" for key, value in reading.model_dump().items() if value != getattr(own, key))
            for reading in each.agrees_under
        ]
        needed = f"no; it takes readings.{min(needs, key=len)}" if needs else "no, under no reading"
        rows.append(
            {
                "printed figure": each.name,
                "printed": short(each.printed),
                "here": short(each.follows),
                "follows": "yes" if each.agrees else needed,
            }
        )
    return rows


def driver_rows(found: Forecast, most: int = 8) -> list[dict[str, str]]:
    """The inputs that drive the outcome most."""
    return [
        {
            "input": each.input,
            "rank correlation": number(each.rank_correlation),
            "share of the spread": f"{100 * each.share:.0f} %",
        }
        for each in found.drivers[:most]
    ]


def charts(found: Forecast) -> list[str]:
    """How likely the outcome is up to each value, and what drives it; nothing where nothing is uncertain."""
    if not found.drivers:
        return []
    inputs, given = drawn(found.scenario)
    _, samples = worked_out(inputs, given, found.scenario.formulas())
    equation = found.outcome(found.drives)
    at = np.quantile(samples[found.drives], QUANTILES)
    likely = curves(
        "likely",
        equation.says,
        [Curve("probability", at.tolist(), QUANTILES.tolist())],
        x=equation.unit,
        y="probability that it is at most",
        log_x=bool(at[0] > 0),
    )
    return [likely, _tornado(found)]


def _tornado(found: Forecast, most: int = 10) -> str:
    """Rank correlations as bars, to the right where a larger input makes the outcome larger."""
    shown = found.drivers[:most]
    left = 16 + max(width_of(each.input) for each in shown)
    scale = Scale(-1.0, 1.0, left, WIDTH - 60)
    parts = [text(f"What drives {found.drives}", 8, 18, class_="value")]
    for place, each in enumerate(shown):
        y = TOP + place * ROW
        ends = sorted((scale(0.0), scale(each.rank_correlation)))
        colour = "var(--student)" if each.rank_correlation > 0 else "var(--organism)"
        parts.append(text(each.input, left - 8, y + 12, "end", class_="tick"))
        bar = {"x": ends[0], "y": y, "width": max(ends[1] - ends[0], 0.5), "height": ROW - 8}
        parts.append(element("rect", fill=colour, class_="mark", **bar))
        sign = number(each.rank_correlation)
        side = "end" if each.rank_correlation < 0 else "start"
        parts.append(text(sign, ends[each.rank_correlation > 0] + (6 if side == "start" else -6), y + 12, side))
    height = TOP + ROW * len(shown) + 30
    parts.append(text("Spearman's rank correlation with the input", scale(0.0), height - 8, "middle", class_="tick"))
    described = "; ".join(f"{each.input}: {each.rank_correlation:.2f}" for each in shown)
    return figure("drivers", WIDTH, height, f"What drives {found.drives}", described, *parts)
