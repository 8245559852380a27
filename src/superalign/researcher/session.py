"""One research run from beginning to end, resumed where it was killed."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from pydantic import Field

from superalign.contracts.control import Limits
from superalign.contracts.errors import InputError
from superalign.contracts.records import Record, Unscored
from superalign.contracts.research import ProblemCard
from superalign.contracts.review import ResearchProgress
from superalign.control.approval import QUEUE, ReviewQueue
from superalign.control.sandbox import Sandbox
from superalign.researcher.accept import Decision
from superalign.researcher.evaluator import Evaluated, Evaluator
from superalign.researcher.folder import ResearchRun, Settings
from superalign.researcher.gate import Gate
from superalign.researcher.loop import Bench, concluded, development_samples, problem_of, search
from superalign.researcher.person import Word, word_on
from superalign.researcher.progress import progress_of
from superalign.researcher.writeup import write_up
from superalign.runs.disk import FolderLock, disk_errors


class Finished(Record):
    """What a research run came to."""

    folder: Path
    stopped: str
    decision: Decision | Unscored
    word: Word | None = Field(None, description="A person's, on a decision that accepts.")
    progress: ResearchProgress


def research(settings: Settings, root: Path, note: Callable[[str], None]) -> Finished:
    """Run it, or go on with it, under `root`; samples are shared by all runs there with the same problem and seed."""
    with ResearchRun.open(root, settings) as run:
        shared = root / f"research-samples-{run.settings.problem.name}-{settings.seed}"
        with disk_errors(root):
            shared.mkdir(exist_ok=True)
        lock = FolderLock(shared)  # two evaluators at once would each forget what the other was asked
        try:
            return conducted(run, root, shared, note)
        finally:
            lock.release()


def conducted(run: ResearchRun, root: Path, shared: Path, note: Callable[[str], None]) -> Finished:
    """Prepare, search, conclude, write up. What was finished before is not done again."""
    settings, problem = run.settings, problem_of(run)
    limits = Limits(seconds=4 * problem.card.seconds, cpu_seconds=int(4 * problem.card.seconds))
    sandbox = Sandbox(limits)
    run.note_once("sandbox", {"tier": str(sandbox.tier)})
    evaluated = Evaluated(
        problem=settings.problem,
        folder=shared / "sealed",
        work=shared / "work",
        seed=settings.seed,
        queries=settings.queries,
        limits=limits,
    )
    with Evaluator(evaluated, run.folder / "evaluator.log") as evaluator:
        began = time.monotonic()
        samples = development_samples(problem, shared / "development", settings.seed, shared / "work")
        run.note_once("sealed", {"digests": evaluator.prepare()})
        note(f"{len(samples)} development samples, sealed and final ones: {time.monotonic() - began:.0f} s")
        queue = ReviewQueue(root / QUEUE, minutes=settings.reviewer_minutes)
        bench = Bench(problem, samples, sandbox, evaluator, Gate(run, problem.card, queue))
        return finished(run, bench, note)


def finished(run: ResearchRun, bench: Bench, note: Callable[[str], None]) -> Finished:
    """The search and what it comes to."""
    card = bench.problem.card
    if not run.ledger.entries("stopped"):
        why = search(run, bench, note)
        run.ledger.append("stopped", {"why": why})
    why = str(run.ledger.entries("stopped")[-1].body["why"])
    note(f"stopped: {why}")
    decided = run.ledger.entries("decision")
    decision = Decision.model_validate(decided[-1].body) if decided else concluded(run, bench)
    return settled(run, card, decision, why, bench.gate.queue)


def settled(
    run: ResearchRun, card: ProblemCard, decision: Decision | Unscored, why: str, queue: ReviewQueue | None
) -> Finished:
    """What a person says of it, and the write-up."""
    word = None
    if queue and isinstance(decision, Decision) and decision.accepted:
        word = word_on(run, card, decision, queue)
    write_up(run, card)
    progress = progress_of(
        run, card, "waiting for review" if word and word.state == "waiting" else "done", decision, word
    )
    run.write("research.json", progress.model_dump_json(indent=1))
    return Finished(folder=run.folder, stopped=why, decision=decision, word=word, progress=progress)


def looked_at_again(folder: Path) -> Finished:
    """A run that has concluded, with what a person has said since. InputError where it has not."""
    with ResearchRun.existing(folder) as run:
        decided, stopped = run.ledger.entries("decision"), run.ledger.entries("stopped")
        if not decided or not stopped:
            raise InputError(
                "This run has not come to a decision.",
                where=str(folder),
                fix="Go on with it by the command that began it. If it ended so, nothing could be scored.",
            )
        path = folder.parent / QUEUE
        queue = ReviewQueue(path) if path.exists() else None
        decision = Decision.model_validate(decided[-1].body)
        return settled(run, problem_of(run).card, decision, str(stopped[-1].body["why"]), queue)
