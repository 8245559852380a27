"""The conformance check of problems of the automated researcher, and a plain process in which their solutions run."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import numpy as np

from superalign.contracts.errors import InputError
from superalign.contracts.records import Unscored
from superalign.contracts.research import Arrays, Expression, Language, LanguagePart, OneOf, Problem, Sample, Value
from superalign.testing.require import attempt, raises, require

Solve = Callable[[Expression, Arrays], Arrays]
PARTS: tuple[Literal["development", "sealed", "final"], ...] = ("development", "sealed", "final")
TOO_FAR = 4  # standard errors from chance
# Loads a workbench and evaluates expressions with it; superalign can't be imported there, and nothing is inherited.
RUNNER = """
import importlib.util, json, sys
from pathlib import Path
import numpy as np
sys.modules["superalign"] = None
path, inside = Path(sys.argv[1]), None
if path.is_dir():
    path, inside = path / "__init__.py", [str(path)]
spec = importlib.util.spec_from_file_location("workbench", path, submodule_search_locations=inside)
workbench = sys.modules["workbench"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(workbench)
if sys.argv[2:] == ["signatures"]:
    import inspect
    print(json.dumps({name: list(inspect.signature(part).parameters) for name, part in workbench.PARTS.items()}))
    sys.exit()
def value(node, given):
    inputs = [value(own, given) for own in node["inputs"]]
    return workbench.PARTS[node["part"]](given, *inputs, **node["parameters"])
for line in sys.stdin:
    task = json.loads(line)
    try:
        with np.load(task["given"], allow_pickle=False) as arrays:
            given = dict(arrays)
        np.savez(task["answer"], **value(task["expression"], given))
        print("done", flush=True)
    except Exception as error:
        print(f"{type(error).__name__}: {error}".replace(chr(10), " "), flush=True)
"""


def check_problem(
    make: Callable[[], Problem], folder: Path, *, chance: Callable[[Sample], float], permutations: int = 30
) -> None:
    """Samples by seed, parts that share nothing, a truth that is not given, answers that are refused, a language that
    the workbench speaks, and a baseline that is at chance where the truth is shuffled.

    `make` gives a problem on tiny models, prepared in `folder`; `chance` is what a blind answer is expected to score on
    a sample.
    """
    problem = make()
    require(isinstance(problem, Problem), "it lacks a member of the Problem protocol")
    check_language(problem)
    samples: dict[str, list[Sample]] = {part: make().prepare(part, 0, folder) for part in PARTS}
    check_seeds(make, samples["development"], folder)
    check_parts(samples)
    for sample in (each for own in samples.values() for each in own):
        check_hidden(sample)
    with workbench_of(problem) as solve:
        for sample in samples["development"]:
            check_answers(problem, sample, solve)
        check_permuted(problem, samples["development"], solve, chance, permutations)


def check_language(problem: Problem) -> None:
    """Every part can be reached, every type can be made, the workbench has the parts, and the baseline is in it."""
    language = problem.card.language
    names = [part.name for part in language.parts]
    require(len(set(names)) == len(names), "parts of the language must have names of their own")
    made = {part.gives for part in language.parts}
    for part in language.parts:
        for wanted in part.takes:
            require(wanted in made, f"part {part.name!r} takes {wanted!r}, which no part gives")
    reached, frontier = set[str](), {language.root}
    while frontier:
        reached |= frontier
        frontier = {wanted for part in language.parts if part.gives in frontier for wanted in part.takes} - reached
    for part in language.parts:
        require(part.gives in reached, f"part {part.name!r} can't be reached from the root {language.root!r}")
        require(shallowest(language, part) <= language.depth, f"part {part.name!r} is too deep for the language")
    runs = subprocess.run(
        [*command(problem.workbench), "signatures"], capture_output=True, text=True, check=False, cwd=Path.home()
    )
    require(runs.returncode == 0, f"the workbench does not run without superalign: {runs.stderr[-500:]}")
    signatures = json.loads(runs.stdout)
    require(set(signatures) == set(names), "the workbench's PARTS must be the parts of the language")
    for part in language.parts:
        _given, *inputs = signatures[part.name]
        named = inputs[len(part.takes) :]
        fits = len(inputs) >= len(part.takes) and set(named) == set(part.parameters)
        require(fits, f"part {part.name!r} takes {inputs} in the workbench")
    for name, expression in (("baseline", problem.card.baseline), ("reference", problem.card.reference)):
        if expression is not None:
            wrong = misfit(expression, language)
            require(wrong is None, f"the {name} is not in the language: {wrong}")


def misfit(expression: Expression, language: Language) -> str | None:
    """Why an expression is not one of the language, if it is not."""
    parts = {part.name: part for part in language.parts}

    def wrong(own: Expression, gives: str, depth: int) -> str | None:
        if own.part not in parts:
            return f"there is no part {own.part!r}"
        part = parts[own.part]
        if part.gives != gives or len(own.inputs) != len(part.takes):
            return f"{own.part!r} gives {part.gives!r} and takes {len(part.takes)} inputs"
        if depth > language.depth:
            return f"it is deeper than {language.depth}"
        if set(own.parameters) != set(part.parameters):
            return f"{own.part!r} has the parameters {sorted(part.parameters)}"
        for name, domain in part.parameters.items():
            if not domain.holds(own.parameters[name]):
                return f"{name} of {own.part!r} can't be {own.parameters[name]!r}"
        found = (wrong(each, taken, depth + 1) for each, taken in zip(own.inputs, part.takes, strict=True))
        return next((each for each in found if each), None)

    return wrong(expression, language.root, 1)


def shallowest(language: Language, part: LanguagePart) -> int:
    """Least depth of an expression that holds `part`: the way down to it, and what it needs below."""
    below, above = heights(language), {language.root: 0}
    for _ in language.parts:
        for own in language.parts:
            if own.gives in above:
                for taken in own.takes:
                    above[taken] = min(above.get(taken, language.depth), above[own.gives] + 1)
    return above[part.gives] + height(part, below, language)


def heights(language: Language) -> dict[str, int]:
    """Least depth of an expression that gives each type."""
    found: dict[str, int] = {}
    for _ in language.parts:
        for part in language.parts:
            own = height(part, found, language)
            found[part.gives] = min(found.get(part.gives, own), own)
    return found


def height(part: LanguagePart, below: Mapping[str, int], language: Language) -> int:
    return 1 + max((below.get(taken, language.depth + 1) for taken in part.takes), default=0)


def random_expression(language: Language, rng: np.random.Generator) -> Expression:
    """An expression of the language, each part drawn evenly among those that leave room for what they take."""
    below = heights(language)

    def draw(gives: str, room: int) -> Expression:
        fitting = [part for part in language.giving(gives) if height(part, below, language) <= room]
        part = fitting[int(rng.integers(len(fitting)))]
        return Expression(
            part=part.name,
            parameters={name: drawn_from(domain, rng) for name, domain in part.parameters.items()},
            inputs=tuple(draw(taken, room - 1) for taken in part.takes),
        )

    return draw(language.root, language.depth)


def drawn_from(domain: object, rng: np.random.Generator) -> Value:
    """A value of a parameter, evenly, or evenly on a logarithmic scale."""
    if isinstance(domain, OneOf):
        return domain.options[int(rng.integers(len(domain.options)))]
    low, high, log, whole = (getattr(domain, name) for name in ("low", "high", "log", "whole"))
    found = float(np.exp(rng.uniform(np.log(low), np.log(high))) if log else rng.uniform(low, high))
    return min(max(round(found), int(low)), int(high)) if whole else min(max(found, low), high)


def check_seeds(make: Callable[[], Problem], samples: Sequence[Sample], folder: Path) -> None:
    """The same seed gives the same samples, another one others."""
    require(len(samples) > 0, "there must be samples")
    require(len({sample.name for sample in samples}) == len(samples), "samples must have names of their own")
    again = make().prepare("development", 0, folder)
    require(
        len(again) == len(samples) and all(same(a, b) for a, b in zip(again, samples, strict=True)),
        "the same seed must give the same samples",
    )
    others = make().prepare("development", 1, folder)
    require(not any(same(a, b) for a in others for b in samples), "another seed must give other samples")


def same(a: Sample, b: Sample) -> bool:
    return a.name == b.name and all(
        one.keys() == other.keys() and all(np.array_equal(one[name], other[name]) for name in one)
        for one, other in ((a.given, b.given), (a.truth, b.truth))
    )


def check_parts(samples: Mapping[str, Sequence[Sample]]) -> None:
    """No two parts share measurements: an array of real numbers in several dimensions is not in both."""
    seen: dict[bytes, str] = {}
    for part, own in samples.items():
        for sample in own:
            for name, values in sample.given.items():
                if values.dtype.kind == "f" and values.ndim > 1:
                    before = seen.setdefault(np.ascontiguousarray(values).tobytes(), part)
                    require(before == part, f"{name!r} of {sample.name!r} is in {before} and in {part} samples")


def check_hidden(sample: Sample) -> None:
    """The truth is not among what is given: not by name, nor as an array, nor as a column of one."""
    for name, truth in sample.truth.items():
        require(name not in sample.given, f"{name!r} of {sample.name!r} is truth, and given")
        wanted = {version.tobytes() for version in (truth.astype(float), 1 - truth.astype(float))}
        if len(np.unique(truth)) < 2:
            continue
        for given, values in sample.given.items():
            for axis in (axis for axis in range(values.ndim) if values.shape[axis] == len(truth)):
                columns = np.moveaxis(values, axis, 0).reshape(len(truth), -1).T.astype(float)
                require(
                    not any(np.ascontiguousarray(column).tobytes() in wanted for column in columns),
                    f"{given!r} of {sample.name!r} holds the truth {name!r}",
                )


def check_answers(problem: Problem, sample: Sample, solve: Solve) -> None:
    """The baseline's answers are scored; others are refused, with what would mend them."""
    card = problem.card
    require(set(problem.ask(sample, [])) == set(card.given), "the card must name what is given, and no more")
    answers = solved(problem, sample, card.baseline, solve)
    require(set(answers[0]) == set(card.answer), "the card must name what is answered, and no more")
    score = problem.score(sample, answers)
    require(isinstance(score, float), f"the baseline is unscored: {score}")
    require(isinstance(score, float) and card.lowest <= score <= card.highest, f"a score of {score} is out of bounds")
    for number in range(1, card.stages + 1):
        for what, bad in unusable(answers[number - 1]):
            given = [*answers[: number - 1], bad]
            require(raises(InputError, problem.ask, sample, given), f"ask must refuse {what} with InputError")
            found = attempt(partial(problem.score, sample, given), f"score must not raise for {what}")
            require(isinstance(found, Unscored), f"{what} must be Unscored")
    require(isinstance(problem.score(sample, []), Unscored), "no answer must be Unscored")


def unusable(answer: Arrays) -> Iterator[tuple[str, Arrays]]:
    """Answers spoilt in one way each."""
    for name, values in answer.items():
        spoilt = np.array(values, dtype=float)
        spoilt.flat[0] = np.nan
        yield "an answer that is not finite", {**answer, name: spoilt}
        yield "an answer of a wrong shape", {**answer, name: values[:-1]}
        yield "an answer that lacks an array", {other: kept for other, kept in answer.items() if other != name}


def check_permuted(
    problem: Problem, samples: Sequence[Sample], solve: Solve, chance: Callable[[Sample], float], permutations: int
) -> None:
    """Shuffled truth is the same for a seed, changes nothing that is given, and leaves the baseline at chance."""
    beyond = []
    for sample in samples:
        shuffled = problem.permuted(sample, 0)
        require(same(shuffled, problem.permuted(sample, 0)), "the same seed must shuffle alike")
        require(all(np.array_equal(shuffled.given[name], sample.given[name]) for name in sample.given),
                "a shuffled truth must leave what is given as it is")  # fmt: skip
        for name, truth in sample.truth.items():
            kept = np.array_equal(np.sort(shuffled.truth[name], axis=None), np.sort(truth, axis=None))
            require(kept, f"{name!r} must be shuffled, not changed")
        for seed in range(permutations):
            own = problem.permuted(sample, seed)
            score = problem.score(own, solved(problem, own, problem.card.baseline, solve))
            require(isinstance(score, float), f"with a shuffled truth the baseline is unscored: {score}")
            beyond.append(score - chance(sample) if isinstance(score, float) else np.nan)
    error = float(np.std(beyond)) / len(beyond) ** 0.5
    require(
        abs(float(np.mean(beyond))) <= TOO_FAR * error + 1e-9,
        f"with a shuffled truth the baseline scores {np.mean(beyond):+.3f} from chance, {error:.3f} its standard error",
    )


def solved(problem: Problem, sample: Sample, solution: Expression, solve: Solve) -> list[Arrays]:
    """The answers of a solution, stage by stage."""
    given: dict[str, np.ndarray] = {}
    answers: list[Arrays] = []
    for stage in range(problem.card.stages):
        given |= problem.ask(sample, answers)
        answers.append(solve(solution, {**given, "stage": np.array(stage)}))
    return answers


@contextmanager
def workbench_of(problem: Problem) -> Iterator[Solve]:
    """Evaluates expressions in a process of its own, which has the workbench and nothing of superalign. It is no
    sandbox: only for solutions that are in the language.
    """
    with TemporaryDirectory() as scratch:
        process = subprocess.Popen(
            command(problem.workbench), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=scratch
        )

        def solve(expression: Expression, given: Arrays) -> Arrays:
            assert process.stdin and process.stdout
            paths = {name: str(Path(scratch) / f"{name}.npz") for name in ("given", "answer")}
            np.savez(paths["given"], **given)  # type: ignore[arg-type]
            process.stdin.write(json.dumps({**paths, "expression": expression.model_dump()}) + "\n")
            process.stdin.flush()
            said = process.stdout.readline().strip()
            require(said == "done", f"the workbench failed: {said or 'its process ended'}")
            with np.load(paths["answer"], allow_pickle=False) as found:
                return dict(found)

        try:
            yield solve
        finally:
            assert process.stdin and process.stdout
            process.stdin.close()
            process.wait()
            process.stdout.close()


def command(workbench: Path) -> list[str]:
    return [sys.executable, "-I", "-c", RUNNER, str(workbench.resolve())]
