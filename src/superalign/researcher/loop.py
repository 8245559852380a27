"""The researcher's loop: propose, register, approve, run, measure, and let the sealed samples decide.

The proposer and its control, random search, take turns, so that both get as many trials out of the budget. What either
finds best on the development samples is asked of the sealed ones, and what those prefer goes once to the final ones,
beside the baseline: nothing was chosen by these.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

from superalign.contracts.errors import SealError
from superalign.contracts.records import Unscored
from superalign.contracts.registry import PartCall, problems, proposers
from superalign.contracts.research import (
    Expression,
    Outcome,
    Problem,
    ProblemCard,
    Proposal,
    Proposer,
    Sample,
    Solution,
)
from superalign.control.sandbox import Sandbox
from superalign.provenance.digest import digest
from superalign.researcher.ablate import ablations
from superalign.researcher.accept import Decision, decide, gain, level_of
from superalign.researcher.attempt import attempt, mean_score
from superalign.researcher.evaluator import Evaluator
from superalign.researcher.folder import ResearchRun, Side, Trial, best
from superalign.researcher.gate import Gate
from superalign.researcher.progress import progress_of
from superalign.researcher.samples import read_samples, write_samples
from superalign.researcher.sealed import Final, beats_chance
from superalign.researcher.stopping import Stopping

CONTROL = "random"
ASKED_ABOUT = 3  # of each side's best, by the sealed samples
Note = Callable[[str], None]


class Bench(NamedTuple):
    """What trials are run with."""

    problem: Problem
    samples: list[Sample]
    sandbox: Sandbox
    evaluator: Evaluator
    gate: Gate


def development_samples(problem: Problem, folder: Path, seed: int, work: Path) -> list[Sample]:
    """The samples that everybody may see, prepared once."""
    if not any(folder.glob("*.given.safetensors")):
        write_samples(folder, problem.prepare("development", seed, work))
    return read_samples(folder)


def search(run: ResearchRun, bench: Bench, note: Note) -> str:
    """Try proposals until something says to stop; returns what."""
    sides: dict[Side, Proposer] = {
        "proposer": made(run.settings.proposer, bench.problem, run.settings.seed),
        "control": made(PartCall(kind="proposers", name=CONTROL), bench.problem, run.settings.seed + 1_000_003),
    }
    for trial in run.trials:
        if trial.side in sides:
            sides[trial.side].tell(trial.outcome)
    stopping = Stopping(run.settings, bench.problem.card)
    for known in recorded(bench.problem.card)[len(run.of("baseline")) :]:
        tried(run, bench, "baseline", partial(Proposal.model_validate, known))
    while (why := stopping.reason(run, bench.gate)) is None:
        side: Side = "control" if len(run.of("control")) < len(run.of("proposer")) else "proposer"
        before = best(run.of("proposer"), larger_is_better=bench.problem.card.larger_is_better)
        outcome = tried(run, bench, side, sides[side].ask)
        sides[side].tell(outcome)
        after = best(run.of("proposer"), larger_is_better=bench.problem.card.larger_is_better)
        if after is not before and after is not None:
            note(f"trial {outcome.number}: {after.outcome.result:.3f} on development samples")
    return why


def recorded(card: ProblemCard) -> list[Proposal]:
    """What is tried before all else: the baseline, and the human solution that marks the ceiling."""
    known = [Proposal(solution=card.baseline, hypothesis="What is to be beaten.", proposer="baseline")]
    if card.reference:
        known.append(Proposal(solution=card.reference, hypothesis="A recorded human solution.", proposer="reference"))
    return known


def tried(run: ResearchRun, bench: Bench, side: Side, ask: Callable[[], Proposal]) -> Outcome:
    """One proposal: registered before it runs, approved or denied, run, and kept whatever comes of it."""
    began = time.monotonic()
    proposal = run.registered(side) or ask()
    number = len(run.trials)
    bench.evaluator.check(proposal.model_dump_json())
    run.register(side, number, proposal, analysis_of(bench.problem))
    denied = bench.gate.denied(number, side, proposal)
    samples: tuple[float, ...] = ()
    if denied or isinstance(proposal.solution, Unscored):
        result: float | Unscored = Unscored(reason=denied or "the proposer came to no solution")
    else:
        attempted = attempt(bench.problem, bench.samples, proposal.solution, bench.sandbox, run.settings.seed)
        scores = attempted.scores(bench.problem, bench.samples)
        result = mean_score(scores)
        if isinstance(result, float):
            samples = tuple(float(score) for score in scores.values() if not isinstance(score, Unscored))
    outcome = Outcome(
        number=number, proposal=proposal, result=result, samples=samples, seconds=time.monotonic() - began
    )
    run.keep(Trial(side=side, outcome=outcome))
    run.write("research.json", progress_of(run, bench.problem.card, "running").model_dump_json(indent=1))
    return outcome


def analysis_of(problem: Problem) -> dict[str, object]:
    """What will count as success, committed to before a proposal runs."""
    card = problem.card
    return {
        "metric": card.metric,
        "smallest_gain": card.smallest_gain,
        "decision": "one-sided paired Student bound over final samples, alpha spent over openings",
        "card": digest(card),
    }


def chosen(run: ResearchRun, bench: Bench, side: Side) -> Trial | None:
    """The side's best on development samples whom the sealed ones prefer; where no query is left, the very best."""
    card = bench.problem.card
    sign = 1 if card.larger_is_better else -1
    scored = [trial for trial in run.of(side) if isinstance(trial.outcome.result, float)]
    scored.sort(key=lambda trial: -sign * float(trial.outcome.result))  # type: ignore[arg-type]
    different = {digest(solution_of(trial)): trial for trial in reversed(scored)}
    preferred = None
    for trial in sorted(different.values(), key=scored.index)[:ASKED_ABOUT]:
        number = trial.outcome.number
        try:
            feedback = bench.evaluator.query(f"{run.folder.name}/{side}", solution_of(trial))
        except SealError as refused:
            run.ledger.append("query", {"number": number, "refused": str(refused)})
            return preferred or trial
        run.ledger.append("query", {"number": number, "feedback": feedback.model_dump(mode="json")})
        if feedback.moved or preferred is None:
            preferred = trial
    return preferred


def solution_of(trial: Trial) -> Solution:
    """Of a trial that was scored: what was not come to can't be."""
    solution = trial.outcome.proposal.solution
    assert not isinstance(solution, Unscored)
    return solution


def concluded(run: ResearchRun, bench: Bench) -> Decision | Unscored:
    """Open the final samples, once, for the best of both sides, the baseline and the ablations, and decide."""
    card = bench.problem.card
    found, control = chosen(run, bench, "proposer"), chosen(run, bench, "control")
    if found is None:
        return Unscored(reason="no proposal could be scored on the development samples")
    solution = solution_of(found)
    compared: dict[str, Solution] = {"found": solution, "baseline": card.baseline}
    if control:
        compared["control"] = solution_of(control)
    if isinstance(solution, Expression):
        compared |= {f"without {name}": cut for name, cut in ablations(solution, card.baseline, card.language).items()}
    run.ledger.append(
        "opening",
        {"found": found.outcome.number, "names": list(compared), "digests": [digest(one) for one in compared.values()]},
    )
    final = bench.evaluator.final(run.folder.name, compared)
    level = level_of(final.times_opened)
    none = Unscored(reason="the control has no scored proposal")
    decision = decide(
        gain(final.scores["found"], final.scores["baseline"], level, larger_is_better=card.larger_is_better),
        gain(final.scores["found"], final.scores["control"], level, larger_is_better=card.larger_is_better)
        if control
        else none,
        level=level,
        smallest_gain=card.smallest_gain,
        above_chance=beats_chance(final, "found", larger_is_better=card.larger_is_better),
    )
    run.ledger.append("final", {**final.model_dump(mode="json"), **summed_up(final, list(compared), card)})
    run.ledger.append("decision", decision.model_dump(mode="json"))
    return decision


def summed_up(final: Final, names: list[str], card: ProblemCard) -> dict[str, list[float | None]]:
    """Each solution's mean over the final samples, and the best that it scored on shuffled truth."""
    means = [mean_score(dict(enumerate(final.scores[name]))) for name in names]
    top = max if card.larger_is_better else min
    return {
        "means": [mean if isinstance(mean, float) else None for mean in means],
        "chance_best": [top(final.chance[name], default=None) for name in names],
    }


def made(call: PartCall, problem: Problem, seed: int) -> Proposer:
    """The proposer by its name, for this problem."""
    proposer: Proposer = proposers.make(call.name, card=problem.card, seed=seed, **call.arguments)
    return proposer


def problem_of(run: ResearchRun) -> Problem:
    problem: Problem = problems.make(run.settings.problem.name, **run.settings.problem.arguments)
    return problem
