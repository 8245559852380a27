"""The comparison of protocols as a person reads it: what helped, what did not, and who said what."""

from __future__ import annotations

import re

from superalign.contracts.oversight import Hearing
from superalign.contracts.records import Cost, Interval, Message, Unscored
from superalign.report import html, protocols, terminal
from superalign.report.limits import limits

from .example import UNSCORED, around, comparison, example, hearing, nothing, protocol_result, task_comparison
from .test_html import ATTACK, words


def test_what_helped_and_what_did_not_are_said_apart() -> None:
    better, did_not, left = protocols.findings(task_comparison("passage"))
    assert better.startswith("Better than direct: consultancy (+0.05 [0.02, 0.08]), debate (order sequential) (+0.30")
    assert did_not.startswith("Did not help") and "critique" in did_not and "debate" not in did_not
    assert "left 12 of 720 questions unscored" in left and UNSCORED in left


def test_a_judge_who_leans_to_one_side_is_not_called_ignorant() -> None:
    leaning = protocol_result("critique", 0.5, around(-0.1), around(-0.1)).model_copy(update={"auroc": around(0.9)})
    task = task_comparison("passage").model_copy(update={"protocols": (leaning,)})
    worse, ranks = protocols.findings(task)
    assert worse.startswith("Worse") and ranks.startswith("critique tells right from wrong better than it decides")


def test_worse_is_not_called_no_help() -> None:
    worse = protocol_result("critique", 0.4, around(-0.2), around(-0.2))
    task = task_comparison("passage").model_copy(update={"protocols": (worse,)})
    assert protocols.findings(task)[0].startswith("Worse than direct: critique (\N{MINUS SIGN}0.20")


def test_a_task_whose_wording_tells_is_called_one() -> None:
    leaking = task_comparison("passage").model_copy(update={"question_blind_auroc": around(0.6)})
    assert "gives answers away" in protocols.findings(leaking)[-1]
    assert "gives answers away" not in " ".join(protocols.findings(task_comparison("passage")))


def test_the_page_has_tables_figures_and_hearings_of_every_task() -> None:
    page = html.render(example())
    assert page.count("questions beyond the level of the labels") == 2
    assert len(re.findall(r'aria-labelledby="protocols-\d-title', page)) == 2
    text = words(page)
    assert "who plays whom Judge: a program. the question Is the boat of Anna red?" in text
    assert "For yes Line 1: The boat of Anna is red." in text
    assert "Right: the true answer is yes." in text and "Wrong: the true answer is no." in text
    assert "protocols better than direct: 4 of 6, over 2" in text.replace("\N{NO-BREAK SPACE}", " ")
    assert 'id="protocols"' not in html.render(nothing())


def test_whatever_is_missing_is_a_dash_with_its_reason() -> None:
    nothing_scored = Unscored(reason="nothing to measure it on was scored")
    names = ("accuracy", "auroc", "brier", "calibration_error", "over_direct", "over_consultancy", "per_correct")
    own = protocol_result("debate", 0.5, nothing_scored, nothing_scored)
    level = own.levels[0].model_copy(update={"accuracy": nothing_scored})
    silent = own.model_copy(update={name: nothing_scored for name in names} | {"levels": (level,), "hearings": ()})
    task = task_comparison("passage").model_copy(update={"protocols": (silent,)})
    summary = example().model_copy(update={"comparison": comparison().model_copy(update={"tasks": (task,)})})
    assert "nothing to measure it on was scored" in html.render(summary)
    assert protocols.levels(task, "key") == "" and protocols.findings(task) == []
    assert max(map(len, terminal.render(summary, width=80).splitlines())) <= 80


def test_what_is_said_in_a_hearing_is_escaped_and_told_by_whom() -> None:
    transcript = (
        Message(role="system", content="Judge: a program."),
        Message(role="user", content="Is it so?"),
        Message(role="user", content=f"For no:\n{ATTACK}"),
        Message(role="user", content="no speaker, one line"),
        Message(role="assistant", content="No (0.10 for yes)."),
    )
    shown = Hearing(question_id="a/b", evidence=(ATTACK,), truth=True, probability=0.1, transcript=transcript)
    turns = list(protocols.turns(shown))
    assert [(turn.who, turn.judge) for turn in turns] == [
        ("who plays whom", False),
        ("the question", False),
        ("For no", False),
        ("shown", False),
        ("the judge", True),
    ]
    assert turns[2].said == ATTACK and not shown.right and hearing(0.9, True).right
    own = protocol_result("debate", 0.5, around(0), around(0)).model_copy(update={"hearings": (shown,)})
    task = task_comparison("passage").model_copy(update={"protocols": (own,)})
    page = html.render(example().model_copy(update={"comparison": comparison().model_copy(update={"tasks": (task,)})}))
    assert "<script" not in page and "<img" not in page and "&lt;script&gt;" in page


def test_protocols_are_drawn_apart() -> None:
    drawn = protocols.series_of(["direct", "consultancy", *(f"protocol {number}" for number in range(10))])
    looks = {(series.colour, series.shape, series.dash) for series in drawn.values()}
    assert len(looks) == len(drawn) == 12


def test_programs_that_played_a_role_are_called_programs() -> None:
    scripted = comparison().model_copy(update={"judge": "scripted", "expert": "scripted"})
    said = " ".join(limits(example().model_copy(update={"comparison": scripted})))
    assert "programs played the judge and the expert" in said
    assert "programs played" not in " ".join(limits(example()))
    assert "a program" in protocols.who_played(scripted) and "a program" not in protocols.who_played(comparison())


def test_human_time_is_shown_beside_passes() -> None:
    own = protocol_result("human", 0.8, around(0.1), around(0.1)).model_copy(
        update={"per_correct": Cost(human_seconds=90)}
    )
    table = protocols.compared(task_comparison("passage").model_copy(update={"protocols": (own,)}))
    assert table.rows[0][-1].note.replace("\N{NO-BREAK SPACE}", " ") == "1 min 30 s of human time"
    assert isinstance(own.accuracy, Interval)
