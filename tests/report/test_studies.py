"""The part of each study: what it shows of a loss that helped, one that hurt, and of a gap that was none."""

from __future__ import annotations

from superalign.contracts.generalization import PGR, Score
from superalign.contracts.records import Interval, Unscored
from superalign.contracts.studies import Studies
from superalign.contracts.studies.losses import LossResult, LossStudy, Reference, TaskLosses
from superalign.report.html import render
from superalign.report.steps import steps
from superalign.report.studies import parts
from superalign.report.terminal import render as render_terminal
from superalign.report.wording import MINUS

from .example import example


def around(value: float, width: float = 0.05) -> Interval:
    return Interval(value=value, low=value - width, high=value + width)


def score(value: float) -> Score:
    return Score(accuracy=value, auroc=value, accuracy_interval=around(value), auroc_interval=around(value))


def pgr(value: float | None) -> PGR:
    shared = {"metric": "accuracy", "gap": around(0.2), "seeds": 3}
    if value is None:
        return PGR(value=None, low=None, high=None, defined=False, reason="the gap includes 0", **shared)
    return PGR(value=value, low=value - 0.1, high=value + 0.1, defined=True, reason="a gap", **shared)


def loss(name: str, gain: float, recovered: float | None, lessons: int = 600) -> LossResult:
    return LossResult(
        loss=name,
        lessons=lessons,
        score=score(0.7 + gain),
        pgr=pgr(recovered),
        pgr_auroc=pgr(recovered),
        over_xent=around(gain),
        agreement_on_weak_wrong=Unscored(reason="the overseer is never wrong here"),
        calibration_error=around(0.1),
    )


def losses() -> LossStudy:
    own = (loss("xent", 0.0, 0.5), loss("confidence", 0.1, 0.9), loss("filtered", -0.1, None, lessons=300))
    beside = tuple(
        Reference(name=name, score=score(0.6), calibration_error=around(0.2)) for name in ("overseer", "ceiling")
    )
    task = TaskLosses(task="cities", questions=400, label_accuracy=0.65, references=beside, losses=own)
    return LossStudy(overseer="few-labels", seeds=3, tasks=(task,))


def test_losses_say_which_helped_which_hurt_and_where_there_is_no_gap() -> None:
    [part] = parts(Studies(losses=losses()))
    better, worse = part.findings
    assert "confidence (+0.10" in better and better.startswith("Better") and "filtered" not in better
    assert f"filtered ({MINUS}0.10" in worse and worse.startswith("Worse")
    assert part.in_a_line == "losses better than cross-entropy: 1 of 2"
    [table] = part.tables
    rows = {row[0].text: row for row in table.rows}
    assert set(rows) == {"xent", "confidence", "filtered", "overseer", "ceiling"}
    assert rows["filtered"][0].note == "300 labels" and rows["xent"][0].note == ""
    assert (rows["filtered"][4].text, rows["filtered"][4].note) == ("—", "the gap includes 0")
    for figure in part.figures:
        assert figure.svg.count('class="mark"') == 5
    assert rows["confidence"][6].note == "the overseer is never wrong here"


def test_studies_are_in_the_page_the_terminal_and_the_overview() -> None:
    summary = example().model_copy(update={"studies": Studies(losses=losses())})
    page, shown = render(summary), render_terminal(summary, width=80)
    for words in ("Weak-to-strong by training loss", "losses better than cross-entropy: 1 of 2"):
        assert words in page
    assert "Weak-to-strong by training loss" in shown
    assert max(map(len, shown.splitlines())) <= 80
    [generalize] = [step for step in steps(summary) if step.name == "generalize"]
    assert generalize.detail[-1] == "losses better than cross-entropy: 1 of 2"
    assert 'id="studies"' not in render(example())
