"""What nobody approved in time is denied, people's minutes are counted, and several processes share one queue."""

import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from superalign.contracts.control import Opinion
from superalign.contracts.errors import InputError, RunError
from superalign.contracts.records import Unscored
from superalign.contracts.research import Expression, Program
from superalign.contracts.review import MonitorOpinion, ReviewDecision, ReviewItem
from superalign.control.approval import BY_RULE, LEAST_MINUTES, ReviewQueue, needs_human

CALM = Opinion(monitor="m", suspicion=0.1)
ALARMED = Opinion(monitor="m", suspicion=0.7, reasons=("names a path",))
SEEN, SEEN_ALARMED = (MonitorOpinion(monitor="m", suspicion=suspicion) for suspicion in (0.1, 0.7))
FAILED = MonitorOpinion(monitor="m", suspicion=Unscored(reason="can't be read"))
EXPRESSION, PROGRAM = Expression(part="mean"), Program(source="x = 1")


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def queue(tmp_path: Path, clock: Clock) -> ReviewQueue:
    return ReviewQueue(tmp_path / "reviews.db", minutes=10, clock=clock)


def submit(queue: ReviewQueue, title: str = "a change", seconds: float = 3600, **more: object) -> int:
    return queue.submit("proposal", title, "+ x = 1", [SEEN], seconds=seconds, **more)  # type: ignore[arg-type]


def decide(queue: ReviewQueue, number: int, verdict: str, reviewer: str, reason: str) -> ReviewItem:
    return queue.decide(
        ReviewDecision.model_validate({"number": number, "verdict": verdict, "reviewer": reviewer, "reason": reason})
    )


def test_a_decision_is_charged_from_opening_on(queue: ReviewQueue, clock: Clock) -> None:
    number = submit(queue)
    assert queue.get(number).state == "pending"
    assert queue.open(number, "ada").body == "+ x = 1"
    clock.now += 180
    made = decide(queue, number, "approve", "ada", "small and clear")
    assert made.state == "approved" and made.minutes == pytest.approx(3)
    assert queue.minutes_left == pytest.approx(7)
    assert queue.pending() == []
    assert queue.get(number) == made


def test_no_decision_is_free(queue: ReviewQueue) -> None:
    for _ in range(4):
        number = submit(queue)
        queue.open(number, "ada")
        decide(queue, number, "reject", "ada", "no")
    assert queue.minutes_left == pytest.approx(10 - 4 * LEAST_MINUTES)


def test_opening_again_does_not_set_the_clock_back(queue: ReviewQueue, clock: Clock) -> None:
    number = submit(queue)
    queue.open(number, "ada")
    clock.now += 120
    queue.open(number, "ada")
    assert decide(queue, number, "approve", "ada", "fine").minutes == pytest.approx(2)


def test_the_deadline_denies_and_an_answer_after_it_is_too_late(queue: ReviewQueue, clock: Clock) -> None:
    number = submit(queue, seconds=60)
    queue.open(number, "ada")
    clock.now += 60
    with pytest.raises(InputError, match="expired by rule"):
        decide(queue, number, "approve", "ada", "fine")
    made = queue.get(number)
    assert made.state == "expired" and made.reviewer == BY_RULE and "deadline" in made.reason
    assert queue.minutes_left == 10, "nobody's time was used"


def test_a_spent_budget_denies_all_that_waits(queue: ReviewQueue, clock: Clock) -> None:
    first, second = submit(queue), submit(queue)
    queue.open(first, "ada")
    queue.open(second, "bob")
    clock.now += 11 * 60
    decide(queue, first, "approve", "ada", "fine, though long")
    assert queue.minutes_left == 0
    with pytest.raises(InputError, match="by rule"):
        decide(queue, second, "approve", "bob", "fine")
    third = submit(queue)
    assert queue.pending() == []
    for number in (second, third):
        made = queue.get(number)
        assert made.reviewer == BY_RULE and "budget" in made.reason


def test_without_a_budget_everything_is_denied(tmp_path: Path) -> None:
    queue = ReviewQueue(tmp_path / "none.db")
    number = submit(queue)
    made = queue.get(number)
    assert made.state == "expired" and made.reviewer == BY_RULE


def test_a_budget_can_not_be_raised_by_opening_the_file_again(queue: ReviewQueue) -> None:
    assert ReviewQueue(queue.path, minutes=1_000).minutes_left == 10


def test_what_was_asked_about_is_not_approved(queue: ReviewQueue, clock: Clock) -> None:
    number = submit(queue)
    queue.open(number, "ada")
    clock.now += 60
    made = decide(queue, number, "ask", "ada", "why 64?")
    assert (made.state, made.reason, made.minutes) == ("asked", "why 64?", pytest.approx(1))
    assert queue.pending() == []
    with pytest.raises(InputError, match="asked by ada"):
        decide(queue, number, "approve", "ada", "fine")


def test_only_who_opened_it_may_decide_once_with_a_reason_and_a_name(queue: ReviewQueue) -> None:
    number = submit(queue)
    with pytest.raises(InputError, match="has not opened"):
        decide(queue, number, "approve", "ada", "fine")
    for name in ("", " ", BY_RULE, "a\u200bda"):
        with pytest.raises(InputError, match="name"):
            queue.open(number, name)
    queue.open(number, "ada")
    for verdict, reason in (("approve", "  "), ("maybe", "hm")):
        with pytest.raises(ValidationError):
            decide(queue, number, verdict, "ada", reason)
    decide(queue, number, "reject", "ada", "no")
    with pytest.raises(InputError, match="rejected by ada"):
        decide(queue, number, "approve", "ada", "after all")
    with pytest.raises(InputError, match="no item 99"):
        queue.open(99, "ada")


def test_the_most_suspicious_comes_first_and_what_was_not_rated_before_all(queue: ReviewQueue) -> None:
    calm = queue.submit("proposal", "calm", "", [SEEN], seconds=60)
    unrated = queue.submit("proposal", "unrated", "", [SEEN, FAILED], seconds=60)
    alarming = queue.submit("proposal", "alarming", "", [SEEN_ALARMED], seconds=60)
    assert [item.number for item in queue.pending()] == [unrated, alarming, calm]
    assert queue.pending()[0].opinions[1] == FAILED


def test_injected_text_is_shown_escaped(queue: ReviewQueue) -> None:
    sly = MonitorOpinion(monitor="m", suspicion=0.2, reasons=("a\u202eb",))
    number = queue.submit("proposal", "\x1b[2Jfine", "a\u200b\u202eb", [sly], seconds=60)
    for item in (queue.pending()[0], queue.open(number, "ada")):
        assert item.title == "\\x1b[2Jfine"
        assert item.body == "a\\u200b\\u202eb"
        assert item.opinions[0].reasons == ("a\\u202eb",)


@pytest.mark.parametrize(
    ("oversight", "solution", "opinions", "human"),
    [
        ("every-step", EXPRESSION, [CALM], True),
        ("suspicious", EXPRESSION, [CALM], False),
        ("suspicious", EXPRESSION, [CALM, ALARMED], True),
        ("suspicious", EXPRESSION, [Unscored(reason="broken")], True),
        ("suspicious", EXPRESSION, [], True),
        ("suspicious", PROGRAM, [CALM], True),
        ("outcomes", PROGRAM, [ALARMED], False),
    ],
)
def test_the_dial_says_what_a_person_reads(oversight, solution, opinions, human) -> None:  # type: ignore[no-untyped-def]
    assert needs_human(oversight, "proposal", solution, opinions) is human
    assert needs_human(oversight, "result", solution, opinions), "a final result always needs a person"


WRITER = """
import sys
from pathlib import Path
from superalign.contracts.review import ReviewDecision
from superalign.control.approval import ReviewQueue
queue = ReviewQueue(Path(sys.argv[1]), minutes=1000)
for turn in range(6):
    number = queue.submit("proposal", sys.argv[2], "", seconds=600)
    queue.open(number, sys.argv[2])
    queue.decide(ReviewDecision(number=number, verdict="approve", reviewer=sys.argv[2], reason="fine"))
    print(number, flush=True)
"""


def known(queue: ReviewQueue, number: int) -> bool:
    try:
        queue.get(number)
    except InputError:
        return False
    return True


def test_processes_share_a_queue_and_one_of_them_may_be_killed(tmp_path: Path) -> None:
    path = tmp_path / "shared.db"
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(path), name], stdout=subprocess.PIPE, text=True)
        for name in ("ada", "bob", "cyd")
    ]
    assert writers[0].stdout is not None
    said = writers[0].stdout.readline()
    os.kill(writers[0].pid, signal.SIGKILL)
    said += writers[0].communicate()[0]
    numbers = [int(number) for writer in writers[1:] for number in writer.communicate()[0].split()]
    assert [writer.returncode for writer in writers] == [-signal.SIGKILL, 0, 0]
    assert len(set(numbers)) == 12, "no number was given twice"
    queue = ReviewQueue(path)
    everything = range(1, 19)
    approved = {number for number in everything if known(queue, number) and queue.get(number).state == "approved"}
    assert approved >= {*numbers, *map(int, said.split())}, "what was reported as decided is on disk"
    assert queue.minutes_left == pytest.approx(1000 - LEAST_MINUTES * len(approved))


def test_other_files_are_refused(tmp_path: Path) -> None:
    other = tmp_path / "other.db"
    other.write_text("not a database, but long enough to look at" * 10)
    with pytest.raises(InputError, match="no review queue"):
        ReviewQueue(other)
    with pytest.raises(RunError, match="can't be used"):
        ReviewQueue(tmp_path / "missing" / "reviews.db")
    with pytest.raises(InputError, match="budget"):
        ReviewQueue(tmp_path / "new.db", minutes=-1)


def test_no_second_decision_gets_past_the_table(queue: ReviewQueue) -> None:
    number = submit(queue)
    queue.open(number, "ada")
    decide(queue, number, "reject", "ada", "no")
    with sqlite3.connect(queue.path) as database, pytest.raises(sqlite3.IntegrityError):
        database.execute(
            "INSERT INTO decisions (number, answer, who, reason, minutes, at) VALUES (?, 'approve', 'x', 'y', 1, 1)",
            (number,),
        )
