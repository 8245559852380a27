"""A whole research run: what it accepts, what it rejects, how it stops, and that killing it loses nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from superalign.contracts.errors import InputError, RunError
from superalign.contracts.records import Unscored
from superalign.contracts.registry import PartCall
from superalign.contracts.research import Outcome, Program, Proposal
from superalign.contracts.review import ReviewDecision
from superalign.control.approval import QUEUE, ReviewQueue
from superalign.control.sandbox import Sandbox
from superalign.provenance.ledger import verify
from superalign.researcher.accept import Decision
from superalign.researcher.folder import ResearchRun, Settings, Trial
from superalign.researcher.gate import Gate
from superalign.researcher.problems.location import Location
from superalign.researcher.progress import progress_of
from superalign.researcher.session import Finished, looked_at_again, research
from superalign.researcher.writeup import built, write_up


def settings(proposer: str = "random", **changed: object) -> Settings:
    given = {"tails": changed.pop("tails", "heavy"), "samples": changed.pop("samples", 8)}
    return Settings.model_validate(
        {
            "problem": PartCall(kind="problems", name="location", arguments=given),
            "proposer": PartCall(kind="proposers", name=proposer),
            "seconds": 600,
            "patience": 2,
            **changed,
        }
    )


def finished(tmp_path: Path, wanted: Settings) -> Finished:
    return research(wanted, tmp_path, lambda _: None)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, sandbox: Sandbox) -> Finished:
    """A run of `settings()` that nobody disturbed, to be read only."""
    return finished(tmp_path_factory.mktemp("whole"), settings())


def test_a_real_improvement_is_accepted_and_written_up(tmp_path: Path, sandbox: Sandbox) -> None:
    found = finished(tmp_path, settings("evolution", patience=5, samples=32))
    assert isinstance(found.decision, Decision) and found.decision.accepted
    assert found.progress.best is not None and found.progress.baseline is not None
    assert found.progress.best < found.progress.baseline
    report = (found.folder / "report.md").read_text()
    assert "**Accepted.**" in report and f"{found.progress.baseline:.3f}" in report
    verify(found.folder / "ledger.db")
    a_person_is_asked_about(found)
    with ResearchRun.existing(found.folder) as run:  # what a problem is called, and measured by, are no measurements
        write_up(run, Location().card.model_copy(update={"title": "Take 2: 7 <b>bridges</b>"}))
    assert (found.folder / "report.md").read_text().startswith("# Take 2: 7  b>bridges /b>\n\nMeasured: mean distance")


def test_a_metric_that_holds_numbers_is_written_up(tmp_path: Path) -> None:
    """As its words were committed to; a run that is stopped before anything was scored has a write-up, too."""
    card = Location().card.model_copy(update={"metric": "the share, 0 or 1"})
    with ResearchRun.open(tmp_path, settings()) as run:
        proposal = Proposal(solution=card.baseline, hypothesis="It helps.", proposer="somebody")
        run.register("proposer", 0, proposal, {"metric": card.metric})
        write_up(run, card)
        assert "Measured: the share, 0 or 1;" in (run.folder / "report.md").read_text()


def test_a_recorded_human_solution_is_not_taken_for_the_baseline(tmp_path: Path) -> None:
    """It is tried before all else, as the baseline is, and is better."""
    card = Location().card
    with ResearchRun.open(tmp_path, settings()) as run:
        for number, (by, score) in enumerate({"baseline": 0.7, "reference": 0.4}.items()):
            proposal = Proposal(solution=card.baseline, hypothesis="It is known.", proposer=by)
            run.register("baseline", number, proposal, {"metric": card.metric})
            outcome = Outcome(number=number, proposal=proposal, result=score, seconds=1)
            run.keep(Trial(side="baseline", outcome=outcome))
        assert progress_of(run, card, "running").baseline == 0.7
        write_up(run, card)
        rows = (run.folder / "report.md").read_text().splitlines()
    for by, score in (("baseline", "0.700"), ("reference", "0.400")):
        assert [row.rsplit("| ", 1)[1] for row in rows if row.startswith(f"| {by} |")] == [f"{score} |"]


def a_person_is_asked_about(found: Finished) -> None:
    """The result of the run above: nothing counts as taken over until a person has said so."""
    assert found.word and found.word.state == "waiting" and found.progress.state == "waiting for review"
    assert not any(outcome.accepted for outcome in found.progress.outcomes)
    assert "No person has approved it yet" in (found.folder / "report.md").read_text()
    queue = ReviewQueue(found.folder.parent / QUEUE)
    (item,) = queue.pending()
    assert looked_at_again(found.folder).word == found.word and len(queue.pending()) == 1  # nobody is asked twice
    queue.open(item.number, "ann")
    queue.decide(ReviewDecision(number=item.number, verdict="approve", reason="Seen 3 runs.", reviewer="ann"))
    for _ in range(2):
        again = looked_at_again(found.folder)
        assert again.word and again.word.state == "approved" and again.progress.state == "done"
        assert sum(outcome.accepted for outcome in again.progress.outcomes) == 1
        assert "A person approved it: Seen 3 runs. (`ann`)" in (found.folder / "report.md").read_text()
    with ResearchRun.existing(found.folder) as run:
        assert len(run.ledger.entries("review")) == len(run.ledger.entries("asked")) == 1


def test_where_no_query_is_left_the_best_by_development_is_concluded_with(tmp_path: Path, sandbox: Sandbox) -> None:
    found = finished(tmp_path, settings(queries=1))
    assert isinstance(found.decision, Decision)
    with ResearchRun.existing(found.folder) as run:
        queries = [entry.body for entry in run.ledger.entries("query")]
        assert "feedback" in queries[0] and "spent" in queries[1]["refused"]


def test_a_run_that_came_to_nothing_has_nothing_to_look_at_again(tmp_path: Path) -> None:
    with ResearchRun.open(tmp_path, settings()) as run:
        folder = run.folder
    with pytest.raises(InputError, match="has not come to a decision"):
        looked_at_again(folder)


def test_where_nothing_helps_nothing_is_accepted(tmp_path: Path, sandbox: Sandbox) -> None:
    found = finished(tmp_path, settings(tails="normal"))
    assert isinstance(found.decision, Decision)
    assert not found.decision.accepted and found.decision.reasons


def test_every_proposal_is_in_the_ledger_before_its_outcome(whole: Finished) -> None:
    with ResearchRun.existing(whole.folder) as run:
        registered = {entry.body["number"]: entry.seq for entry in run.ledger.entries("proposal")}
        came = {entry.body["outcome"]["number"]: entry.seq for entry in run.ledger.entries("trial")}
        assert registered.keys() == came.keys() == set(range(len(run.trials)))
        assert all(registered[number] < came[number] for number in came)
        assert len(run.of("control")) >= len(run.of("proposer")) - 1
        (sealed,), (opened,) = run.ledger.entries("sealed"), run.ledger.entries("opening")
        assert sealed.seq < min(registered.values()) and opened.seq > max(came.values())


def test_asked_to_stop_it_concludes_with_what_it_has(tmp_path: Path, sandbox: Sandbox) -> None:
    wanted = settings(patience=0)
    folder = ResearchRun.open(tmp_path, wanted)
    (folder.folder / "stop").touch()
    folder.__exit__(None, None, None)
    found = finished(tmp_path, wanted)
    assert "asked it to stop" in found.stopped and isinstance(found.decision, Unscored)


@pytest.mark.parametrize("cut", [1, 4])
def test_a_killed_run_goes_on_and_runs_nothing_twice(tmp_path: Path, whole: Finished, cut: int) -> None:
    wanted = settings()
    script = (
        "import sys; from pathlib import Path; from superalign.researcher.session import research; "
        "from superalign.researcher.folder import Settings; "
        "research(Settings.model_validate_json(sys.argv[1]), Path(sys.argv[2]), lambda _: None)"
    )
    command = [sys.executable, "-c", script, wanted.model_dump_json(), str(tmp_path / "killed")]
    process = subprocess.Popen(command, start_new_session=True)
    deadline = time.monotonic() + 120
    while len(list((tmp_path / "killed").glob("*/proposals/*.json"))) < cut and time.monotonic() < deadline:
        assert process.poll() is None
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    resumed = finished(tmp_path / "killed", wanted)
    one, other = ([(o.number, o.title, o.value) for o in run.progress.outcomes] for run in (resumed, whole))
    assert one == other
    assert resumed.decision == whole.decision
    with ResearchRun.existing(resumed.folder) as run:
        for kind, number in (("proposal", "number"), ("trial", "outcome")):
            numbers = [str(entry.body[number]) for entry in run.ledger.entries(kind)]
            assert len(numbers) == len(set(numbers))
    verify(resumed.folder / "ledger.db")


HOSTILE = Program(source="import os\ndef solve(given):\n    return {'location': float(os.environ.get('KEY', 0))}")


@pytest.mark.parametrize(("oversight", "runs"), [("every-step", False), ("suspicious", False), ("outcomes", True)])
def test_what_needs_a_person_does_not_run_without_one(tmp_path: Path, oversight: str, runs: bool) -> None:
    with ResearchRun.open(tmp_path, settings(oversight=oversight)) as run:
        gate = Gate(run, Location().card)
        hostile = Proposal(solution=HOSTILE, hypothesis="It helps.", proposer="somebody")
        assert (gate.denied(1, "proposer", hostile) is None) == runs
        plain = Proposal(solution=Location().card.baseline, hypothesis="It helps.", proposer="somebody")
        assert (gate.denied(2, "proposer", plain) is None) == (oversight != "every-step")


@pytest.mark.parametrize("text", ["It gains 0.31.", "By {0.gain:+.2f}.", "By {99.gain}.", "A third, or 33 %."])
def test_a_number_without_an_entry_fails_the_build(text: str) -> None:
    with pytest.raises(RunError, match=r"number|refers"):
        built(text, [])
