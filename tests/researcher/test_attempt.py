"""A solution is run confined, and whatever it does wrong costs it its score and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from superalign.contracts.records import Unscored
from superalign.contracts.research import Arrays, Expression, Program, Sample, Solution
from superalign.control.sandbox import Sandbox
from superalign.researcher.attempt import attempt, mean_score, read_answers
from superalign.researcher.problems.location import Location

MEAN, MEDIAN = (Expression(part="report", inputs=(Expression(part=name),)) for name in ("mean", "median"))


def scored(tmp_path: Path, sandbox: Sandbox, solution: Solution) -> dict[str, float | Unscored]:
    problem = Location(samples=3)
    samples = problem.prepare("development", 0, tmp_path)
    return attempt(problem, samples, solution, sandbox, seed=0).scores(problem, samples)


def test_an_expression_answers_as_its_parts_do(tmp_path: Path, sandbox: Sandbox) -> None:
    problem = Location(samples=3)
    for sample in problem.prepare("development", 0, tmp_path):
        for solution, expected in ((MEAN, np.mean), (MEDIAN, np.median)):
            found = attempt(problem, [sample], solution, sandbox, seed=0).answers[sample.name]
            assert not isinstance(found, Unscored)
            assert found[0]["location"] == pytest.approx(expected(sample.given["x"]))


def test_a_program_is_given_the_samples_arrays_and_nothing_else(tmp_path: Path, sandbox: Sandbox) -> None:
    source = "def solve(given):\n    assert set(given) == {'x', 'stage'}\n    return {'location': given['x'].mean()}"
    assert scored(tmp_path, sandbox, Program(source=source)) == scored(tmp_path, sandbox, MEAN)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("raise ValueError('nothing fits')", "nothing fits"),
        ("return {'location': 'a word'}", "not numbers"),
        ("return {'location': float('nan')}", "no finite number"),
        ("return {'somewhere': 1.0}", "no finite number"),
        ("return 3", "failed"),
        ("import superalign", "superalign"),
        ("import os; os._exit(0)", "without an answer"),
        ("return {'location': [[1, 2], [3]]}", "failed"),
    ],
)
def test_a_bad_program_has_no_score(tmp_path: Path, sandbox: Sandbox, body: str, reason: str) -> None:
    found = scored(tmp_path, sandbox, Program(source=f"def solve(given):\n    {body}"))
    assert all(isinstance(score, Unscored) and reason in score.reason for score in found.values()), found
    assert isinstance(mean_score(found), Unscored)


def test_one_failed_sample_leaves_the_others_scored_and_no_mean(tmp_path: Path, sandbox: Sandbox) -> None:
    source = "def solve(given):\n    assert given['x'].mean() > 0\n    return {'location': given['x'].mean()}"
    found = scored(tmp_path, sandbox, Program(source=source))
    assert {isinstance(score, Unscored) for score in found.values()} == {True, False}
    assert isinstance(mean_score(found), Unscored)


class Doubling(Location):
    """Two stages: what was answered first is given back doubled, and is to be answered again."""

    def __init__(self) -> None:
        super().__init__(samples=2)
        self.card = self.card.model_copy(update={"stages": 2})

    def ask(self, sample: Sample, answers: list[Arrays]) -> Arrays:
        return {"doubled": 2 * answers[0]["location"]} if answers else sample.given

    def score(self, sample: Sample, answers: list[Arrays]) -> float | Unscored:
        return abs(float(answers[1]["location"]) - 2 * float(np.mean(sample.given["x"])))


def test_later_stages_are_given_what_came_of_earlier_ones(tmp_path: Path, sandbox: Sandbox) -> None:
    problem = Doubling()
    samples = problem.prepare("development", 0, tmp_path)
    source = "def solve(given):\n    return {'location': given['doubled'] if given['stage'] else given['x'].mean()}"
    found = attempt(problem, samples, Program(source=source), sandbox, seed=0).scores(problem, samples)
    assert all(score == pytest.approx(0) for score in found.values())


@pytest.mark.parametrize("written", [b"", b"[1]", b"{", b"null", b"[" * 100_000, b'{"a": {"answer": {"x": {}}}}'])
def test_answers_that_are_none_are_unscored(written: bytes) -> None:
    found: Mapping[str, Arrays | Unscored] = read_answers(written, ["a", "b"])
    assert all(isinstance(found[name], Unscored) for name in ("a", "b"))


def test_a_list_of_nothing_passes_for_whole_numbers() -> None:
    found = read_answers(b'{"a": {"answer": {"rows": [], "share": [0.5]}}}', ["a"])["a"]
    assert not isinstance(found, Unscored)
    assert found["rows"].dtype.kind == "i" and found["rows"].shape == (0,) and found["share"].dtype.kind == "f"
