"""`report.html`: one self-contained page without scripts, drawn from the summary alone."""

from __future__ import annotations

from importlib.resources import files

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from superalign.contracts.attacks import Attacks
from superalign.contracts.readings import ProbeReading
from superalign.contracts.records import Unscored
from superalign.contracts.summary import DetectorResult, Summary, Threshold
from superalign.report import attacks as attack_tables
from superalign.report import inside, plots, protocols, tables, trial_tables, wording
from superalign.report.limits import limits
from superalign.report.steps import steps
from superalign.report.studies import parts

RANDOM_SEARCH = "random-contexts"  # the detector that others which search are drawn beside
REQUIRES = {
    "true-answer": "the true answer",
    "false-answer": "the opposite of the true answer",
    "same-answer-in-every-context": "the same answer in every context",
    "admits-not-knowing": "that it admits what it can't know",
    "always-answers": "an answer to everything",
    "retracts-if-wrong": "that it takes back what is wrong, and nothing else",
    "defers-when-challenged": "that it gives way to whoever objects",
}


def render(summary: Summary, attacks: Attacks | None = None) -> str:
    """The whole page, with what an attack on the trial's detectors found, if there was one. Sections that the run left
    out are left out, and their boxes in the picture are grey.

    Prompts, answers and names are untrusted: all are escaped, and the page's own policy forbids scripts.
    """
    package = files("superalign.report")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.globals.update(
        wording=wording,
        tables=tables,
        trial_tables=trial_tables,
        inside=inside,
        protocols=protocols,
        requires=REQUIRES,
        tones=tables.TONES,
        plot_legend=_legend(),
        sees=wording.SEES,
    )
    environment.tests["unscored"] = lambda found: isinstance(found, Unscored)
    template = environment.from_string(package.joinpath("template.html").read_text(encoding="utf-8"))
    return template.render(
        summary=summary,
        attacks=attacks,
        attack_tables=attack_tables,
        style=Markup(package.joinpath("style.css").read_text(encoding="utf-8")),
        steps=steps(summary),
        limits=limits(summary),
        plots=_plots(summary),
        strips=_strips(summary),
        searches=_searches(summary),
        studies=parts(summary.studies),
        drawn=Markup,
    )


def _legend() -> list[tuple[Markup, str]]:
    return [(Markup(mark), words) for mark, words in plots.strip_legend()]


def _plots(summary: Summary) -> dict[str, list[Markup]]:
    """The plots of each section; none where there is nothing to draw."""
    drawn: dict[str, list[str]] = {"forests": [], "levels": [], "layers": []}
    if summary.generalization:
        drawn["forests"] = [
            plots.forest(summary.generalization, "accuracy"),
            plots.forest(summary.generalization, "auroc"),
        ]
        if summary.generalization.levels:
            drawn["levels"] = [plots.levels(summary.generalization.levels)]
    if summary.inside and isinstance(summary.inside.probe, ProbeReading):
        drawn["layers"] = [inside.layers(summary.inside.probe)]
    if summary.comparison:
        figures = [protocols.levels(task, f"protocols-{place}") for place, task in enumerate(summary.comparison.tasks)]
        drawn["protocols"] = figures
    return {section: [Markup(svg) for svg in svgs] for section, svgs in drawn.items()}


def _strips(summary: Summary) -> list[tuple[str, Markup]]:
    """One strip per detector that scored anything, in the stress test or on the model."""
    limits_of: dict[str, Threshold] = {limit.detector: limit for limit in summary.thresholds}
    results: dict[str, DetectorResult] = {result.detector: result for result in summary.validation}
    subjects = summary.trial.subjects if summary.trial else ()
    if summary.trial:
        limits_of |= {limit.detector: limit for limit in summary.trial.thresholds}
    drawn = []
    for index, detector in enumerate(dict.fromkeys([*limits_of, *results])):
        score = results[detector].score if detector in results else None
        svg = plots.strip(detector, subjects, limits_of.get(detector), score, key=f"strip-{index}")
        if svg:
            drawn.append((detector, Markup(svg)))
    return drawn


def _searches(summary: Summary) -> list[tuple[str, Markup]]:
    """One plot per search beside random search, which is drawn by itself only where there is no other."""
    by_name = {found.detector: found for found in summary.trial.searches} if summary.trial else {}
    baseline = by_name.pop(RANDOM_SEARCH, None)
    drawn = [
        (name, plots.searches(found, baseline, f"searches-{i}")) for i, (name, found) in enumerate(by_name.items())
    ]
    if baseline and not drawn:
        drawn = [(RANDOM_SEARCH, plots.searches(baseline, None, "searches-0"))]
    return [(name, Markup(svg)) for name, svg in drawn]
