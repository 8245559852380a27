"""Runs a solution on samples: confined, stage by stage, with nothing but arrays going in and out."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from superalign.contracts.errors import InputError
from superalign.contracts.records import Unscored
from superalign.contracts.research import Arrays, Expression, Problem, Sample, Solution
from superalign.control.sandbox import Sandbox
from superalign.researcher.samples import write_arrays

WORKBENCH = Path(__file__).parent / "workbench"
RUNNER = WORKBENCH / "run.py"


@dataclass(frozen=True)
class Attempt:
    """What a solution answered on each sample, stage by stage, or why it did not."""

    answers: Mapping[str, list[Arrays] | Unscored]
    seconds: float

    def scores(self, problem: Problem, samples: Sequence[Sample]) -> dict[str, float | Unscored]:
        """The problem's metric on each of `samples`, by name."""
        return {sample.name: self._score(problem, sample) for sample in samples}

    def _score(self, problem: Problem, sample: Sample) -> float | Unscored:
        answers = self.answers[sample.name]
        return answers if isinstance(answers, Unscored) else problem.score(sample, answers)


def attempt(problem: Problem, samples: Sequence[Sample], solution: Solution, sandbox: Sandbox, seed: int) -> Attempt:
    """The solution's answers on `samples`, each stage in a fresh sandbox that holds the arrays given so far."""
    answered: dict[str, list[Arrays]] = {sample.name: [] for sample in samples}
    failed: dict[str, Unscored] = {}
    seconds = 0.0
    with TemporaryDirectory() as folder:
        job, given = Path(folder) / "job", Path(folder) / "given"
        write_job(job, problem, solution, seed)
        given.mkdir()
        so_far: dict[str, dict[str, np.ndarray]] = {sample.name: {} for sample in samples}
        for stage in range(problem.card.stages):
            going_on = [sample for sample in samples if sample.name not in failed]
            for sample in going_on:
                found = _asked(problem, sample, answered[sample.name])
                if isinstance(found, Unscored):
                    failed[sample.name] = found
                    (given / f"{sample.name}.safetensors").unlink(missing_ok=True)
                else:
                    so_far[sample.name] |= {**found, "stage": np.array(stage)}
                    write_arrays(given / f"{sample.name}.safetensors", so_far[sample.name])
            ran = sandbox.run(RUNNER, ["/data/job", "/data/given"], readable={"job": job, "given": given})
            if isinstance(ran, Unscored):
                return Attempt({sample.name: failed.get(sample.name, ran) for sample in samples}, seconds)
            seconds += ran.seconds
            said = read_answers(ran.answer, [sample.name for sample in going_on if sample.name not in failed])
            for name, answer in said.items():
                if isinstance(answer, Unscored):
                    failed[name] = answer
                    (given / f"{name}.safetensors").unlink(missing_ok=True)
                else:
                    answered[name].append(answer)
    return Attempt({sample.name: failed.get(sample.name, answered[sample.name]) for sample in samples}, seconds)


def mean_score(scores: Mapping[Any, float | Unscored]) -> float | Unscored:
    """The mean over samples; Unscored when any is, since a solution that picks its samples is no better for it."""
    failed = [(name, score) for name, score in scores.items() if isinstance(score, Unscored)]
    if failed:
        return Unscored(reason=f"{len(failed)} of {len(scores)} samples were not answered, {failed[0][1].reason}")
    return fmean(score for score in scores.values() if not isinstance(score, Unscored))


def write_job(folder: Path, problem: Problem, solution: Solution, seed: int) -> None:
    """What the runner is to run: an expression with the parts of the problem's language, or a program."""
    folder.mkdir()
    job: dict[str, Any] = {"seed": seed, "program": not isinstance(solution, Expression)}
    if isinstance(solution, Expression):
        job["expression"] = solution.model_dump(mode="json")
        copied = shutil.copytree if problem.workbench.is_dir() else shutil.copy
        copied(problem.workbench, folder / f"parts{problem.workbench.suffix}")
    else:
        (folder / "program.py").write_text(solution.source, encoding="utf-8")
    (folder / "job.json").write_text(json.dumps(job))


def read_answers(written: bytes, names: Sequence[str]) -> dict[str, Arrays | Unscored]:
    """What came out of the sandbox, for each sample. Anything but numbers of one shape is Unscored."""
    try:
        said = json.loads(written)
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, dict):
        return dict.fromkeys(names, Unscored(reason="the solution's answer is no JSON object"))
    return {name: _answer(said.get(name)) for name in names}


def _answer(said: Any) -> Arrays | Unscored:
    match said:
        case {"failed": str(reason)}:
            return Unscored(reason=f"the solution failed: {reason[:500]}")
        case {"answer": dict(arrays)}:
            try:
                # A list of nothing does not say of what; whole numbers pass for any.
                found = {
                    name: np.array(array, dtype=np.int64 if array == [] else None) for name, array in arrays.items()
                }
            except ValueError:
                return Unscored(reason="the solution's answer has rows of different lengths")
            if any(array.dtype.kind not in "bifu" for array in found.values()):
                return Unscored(reason="the solution's answer is not all numbers")
            return found
        case _:
            return Unscored(reason="the solution gave no answer")


def _asked(problem: Problem, sample: Sample, answers: Sequence[Arrays]) -> Arrays | Unscored:
    try:
        return problem.ask(sample, answers)
    except InputError as error:
        return Unscored(reason=f"the solution's answer can't be used: {error}")
