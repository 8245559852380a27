"""The sealed evaluation: samples that no solution was chosen by, few queries, and answers that tell little.

A query is answered as the Ladder does (Blum and Hardt 2015, arXiv 1502.04585, algorithm 1): the best score so far,
rounded to a step, and it moves only when a solution beats it by a step. So many queries teach a proposer little about
the sealed samples, and their number is limited too. Final samples are opened once by a run, for all solutions that it
compares, and every opening by any run is counted. All that was asked is on disk before it is answered: a killed
evaluator asks for nothing twice and gives nothing away for free.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean

from pydantic import Field, ValidationError

from superalign.contracts.errors import RunError, SealError
from superalign.contracts.records import Record, Unscored
from superalign.contracts.research import Problem, Sample, Solution
from superalign.control.sandbox import Sandbox
from superalign.provenance.digest import digest
from superalign.researcher.attempt import Attempt, attempt, mean_score
from superalign.researcher.samples import read_samples, write_samples
from superalign.runs.disk import write_atomically

QUERIES = 40
RERUNS = 3
SHUFFLES = 20


class Feedback(Record):
    """What a query is answered: the best score so far, in steps, and whether this solution moved it."""

    moved: bool
    best: float | None = Field(description="Rounded to the step; None as long as no solution was scored.")
    queries_left: int


class Final(Record):
    """What the final samples said, once. Scores are by solution, then by sample, each a mean over re-runs."""

    times_opened: int
    scores: dict[str, tuple[float | Unscored, ...]]
    spread: dict[str, float] = Field(description="Largest difference between re-runs of a solution on a sample.")
    chance: dict[str, tuple[float, ...]] = Field(description="Mean scores of a solution on shuffled truth.")


class State(Record):
    """What the evaluator has told, and to whom."""

    canary: str
    prepared: bool = False
    asked: tuple[str, ...] = Field((), description="Digests of who asked about which solution.")
    told: dict[str, Feedback] = Field(default_factory=dict)
    best: dict[str, float] = Field(default_factory=dict, description="What the ladder of each asker stands at.")
    opened: dict[str, str] = Field(default_factory=dict, description="Digest of what each run compared at last.")
    finals: dict[str, Final] = Field(default_factory=dict)


class SealedEvaluator:
    """Holds the sealed and the final samples of `problem` in `folder`, which only its own user can enter."""

    def __init__(self, problem: Problem, folder: Path, sandbox: Sandbox, seed: int, queries: int = QUERIES) -> None:
        self.problem, self.folder, self.sandbox, self.seed = problem, folder, sandbox, seed
        self.queries = queries
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder.chmod(0o700)
        self.state = self._read()

    def prepare(self, work: Path) -> dict[str, str]:
        """Make the samples, once; returns the digest of each part's, to be committed."""
        if not self.state.prepared:
            for part in ("sealed", "final"):
                samples = self.problem.prepare(part, self.seed, work)
                write_samples(self.folder / part, [self._marked(sample) for sample in samples])
            self._write(self.state.model_copy(update={"prepared": True}))
        return {part: digest(self._content(part)) for part in ("sealed", "final")}

    def query(self, asker: str, solution: Solution) -> Feedback:
        """What the sealed samples say of a solution, on the asker's ladder. SealError when no query is left."""
        self.check_for_canary(solution.model_dump_json())
        asked = digest({"asker": asker, "solution": solution})
        if asked in self.state.told:
            return self.state.told[asked]
        if asked not in self.state.asked:
            if len(self.state.asked) >= self.queries:
                raise SealError(
                    f"All {self.queries} queries of the sealed samples are spent.",
                    fix="Go on with the development samples, or use another --seed.",
                )
            self._write(self.state.model_copy(update={"asked": (*self.state.asked, asked)}))
        score = mean_score(self._attempt("sealed", solution, rerun=0)[1])
        best, moved = self._ladder(asker, score)
        feedback = Feedback(moved=moved, best=best, queries_left=self.queries - len(self.state.asked))
        told = {**self.state.told, asked: feedback}
        ladders = self.state.best | ({} if best is None else {asker: best})
        self._write(self.state.model_copy(update={"best": ladders, "told": told}))
        return feedback

    def final(self, run: str, solutions: Mapping[str, Solution]) -> Final:
        """What the final samples say of all that a run compares, each run several times. SealError for a second look
        with other solutions.
        """
        for solution in solutions.values():
            self.check_for_canary(solution.model_dump_json())
        compared = digest(dict(solutions))
        if self.state.opened.get(run, compared) != compared:
            raise SealError("This run has opened the final samples, and they are opened once.", fix="Begin a new run.")
        if run not in self.state.finals:
            self._write(self.state.model_copy(update={"opened": {**self.state.opened, run: compared}}))
            found = self._final(len(self.state.opened), solutions)
            self._write(self.state.model_copy(update={"finals": {**self.state.finals, run: found}}))
        return self.state.finals[run]

    def check_for_canary(self, text: str) -> None:
        """SealError when a text holds the mark that sealed samples carry: whoever wrote it has seen them."""
        if self.state.canary in text:
            raise SealError(
                "A proposal holds the sealed samples' mark: it was made by who has seen them.",
                fix="Trust nothing of this run. Find out how they got out, and use another --seed.",
            )

    def _final(self, times_opened: int, solutions: Mapping[str, Solution]) -> Final:
        scores: dict[str, tuple[float | Unscored, ...]] = {}
        spread: dict[str, float] = {}
        chance: dict[str, tuple[float, ...]] = {}
        for name, solution in solutions.items():
            found: list[dict[str, float | Unscored]] = []
            for rerun in range(RERUNS):
                attempted, by_sample = self._attempt("final", solution, rerun)
                found.append(by_sample)
                if rerun == 0:
                    chance[name] = self._chance(attempted)
            scores[name] = tuple(_mean([scored[sample] for scored in found]) for sample in found[0])
            spread[name] = max(_range([scored[sample] for scored in found]) for sample in found[0])
        return Final(times_opened=times_opened, scores=scores, spread=spread, chance=chance)

    def _chance(self, attempted: Attempt) -> tuple[float, ...]:
        samples = read_samples(self.folder / "final")
        shuffled = (
            mean_score(attempted.scores(self.problem, [self.problem.permuted(sample, seed) for sample in samples]))
            for seed in range(SHUFFLES)
        )
        return tuple(score for score in shuffled if not isinstance(score, Unscored))

    def _attempt(self, part: str, solution: Solution, rerun: int) -> tuple[Attempt, dict[str, float | Unscored]]:
        samples = read_samples(self.folder / part)
        attempted = attempt(self.problem, samples, solution, self.sandbox, seed=self.seed * 1000 + rerun)
        return attempted, attempted.scores(self.problem, samples)

    def _ladder(self, asker: str, score: float | Unscored) -> tuple[float | None, bool]:
        best, step = self.state.best.get(asker), self.problem.card.smallest_gain
        if isinstance(score, Unscored):
            return best, False
        sign = 1 if self.problem.card.larger_is_better else -1
        if best is not None and sign * score <= sign * best + step:
            return best, False
        return math.floor(score / step + 0.5) * step, True

    def _marked(self, sample: Sample) -> Sample:
        return Sample(name=f"{sample.name}-{self.state.canary}", given=sample.given, truth=sample.truth)

    def _content(self, part: str) -> Sequence[tuple[str, str]]:
        return sorted((path.name, digest(path.read_bytes().hex())) for path in (self.folder / part).iterdir())

    def _read(self) -> State:
        path = self.folder / "state.json"
        if not path.exists():
            state = State(canary=secrets.token_hex(8))
            write_atomically(path, state.model_dump_json())
            return state
        try:
            return State.model_validate_json(path.read_bytes())
        except ValidationError:
            raise RunError(
                "The evaluator's state was damaged, and what was asked before is not known.",
                where=str(path),
                fix="Use another --seed: its samples were not asked about.",
            ) from None

    def _write(self, state: State) -> None:
        self.state = state
        write_atomically(self.folder / "state.json", state.model_dump_json())


def beats_chance(final: Final, name: str, *, larger_is_better: bool) -> bool:
    """Whether a solution scored better on the truth than on every shuffle of it."""
    scored = [score for score in final.scores[name] if not isinstance(score, Unscored)]
    if not scored or len(final.chance[name]) < SHUFFLES:
        return False
    sign = 1 if larger_is_better else -1
    return all(sign * fmean(scored) > sign * shuffled for shuffled in final.chance[name])


def _mean(scores: Sequence[float | Unscored]) -> float | Unscored:
    failed = [score for score in scores if isinstance(score, Unscored)]
    return failed[0] if failed else fmean(score for score in scores if not isinstance(score, Unscored))


def _range(scores: Sequence[float | Unscored]) -> float:
    scored = [score for score in scores if not isinstance(score, Unscored)]
    return max(scored) - min(scored) if scored else 0.0
