"""PGR is 0 for the weak judge and 1 for the ceiling, and a sample without a gap is left out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from superalign.contracts.errors import InputError
from superalign.contracts.records import Question, Unscored
from superalign.contracts.research import Expression, Sample
from superalign.researcher.material import PARTS
from superalign.researcher.problems.pgr import DEPTHS, READING, TASKS, Pgr, probe, sample
from superalign.testing.tiny import tiny_model
from tests.researcher.expressions import every_part, parts_of, result

WIDTH = 12
PROBLEM = Pgr()


def questions(count: int, name: str, *, pairs: bool) -> list[Question]:
    return [
        Question(id=f"made/{name}{i}", prompt="?", level=1, group=f"{name}{i // 2 if pairs else i}")
        for i in range(count)
    ]


def planted(seed: int = 0, *, shallow: float = 0.5) -> Sample | None:
    """The truth lies along one axis: faintly where the weak judge reads, and plainly above."""
    rng = np.random.default_rng(seed)
    sets = [questions(20, "easy", pairs=True), questions(200, "train", pairs=True), questions(300, "test", pairs=False)]
    truth = [np.tile([True, False], len(own) // 2) for own in sets]
    read = []
    for own in truth:
        found = rng.standard_normal((len(own), 1 + len(DEPTHS), WIDTH))
        found[:, 0, 0] += shallow * np.where(own, 1, -1)
        found[:, 1:, 0] += 2 * np.where(own, 1, -1)[:, None]
        read.append(found)
    return sample("planted", sets, read, truth)


@pytest.fixture(scope="module")
def made() -> Sample:
    found = planted()
    assert found is not None
    return found


def test_parts_have_different_tasks() -> None:
    names = [name for part in PARTS for name in TASKS[part]]
    assert len(names) == len(set(names))


def test_prepared_samples_have_the_promised_shapes_and_no_truth(tmp_path: Path) -> None:
    problem = Pgr(model=str(tiny_model(tmp_path / "tiny")), labelled=8, trained=10, tested=12, draws=1)
    for own in problem.prepare("development", 0, tmp_path / "prepared"):  # of a model that knows nothing, few or none
        assert own.given["train"].shape == (20, len(DEPTHS), 64)
        assert own.given["test"].shape == (12, len(DEPTHS), 64)
        assert set(own.given) == set(problem.card.given)


def test_a_gap_that_may_be_nothing_is_left_out() -> None:
    assert planted(shallow=3.0) is None


def test_the_ends_of_the_gap_score_0_and_1(made: Sample) -> None:
    truth, (weak, ceiling) = made.truth["truth"], made.truth["ends"]
    for accuracy, wanted in ((weak, 0), (ceiling, 1)):
        right = np.arange(len(truth)) < round(accuracy * len(truth))
        answer = {"probability": np.where(right == truth, 0.9, 0.1)}
        assert PROBLEM.score(made, [answer]) == pytest.approx(wanted)


def test_the_ceiling_is_what_the_same_recipe_makes_of_the_truth(made: Sample) -> None:
    train = np.tile([True, False], 100)
    margin = probe(made.given["train"][:, READING], train, made.given["test"][:, READING])
    assert np.mean((margin > 0) == made.truth["truth"]) == made.truth["ends"][1]


def test_consistent_labels_recover_more_of_a_planted_gap_and_shuffled_truth_none() -> None:
    features = Expression(part="layer", parameters={"number": 0})
    both = Expression(
        part="consistent", parameters={"weight": 0.5}, inputs=(Expression(part="labels", parameters={"of": "weak"}),)
    )
    student = Expression(part="logistic", parameters={"strength": 1e-2}, inputs=(features, both))
    solutions = (PROBLEM.card.baseline, Expression(part="half_yes", inputs=(student,)))
    samples = [found for seed in range(4) if (found := planted(seed))]
    plain, consistent = (np.mean([result(PROBLEM, own, each) for own in samples]) for each in solutions)
    assert 0 < plain < consistent and consistent > 0.5
    assert np.mean([result(PROBLEM, PROBLEM.permuted(own, 0), solutions[1]) for own in samples]) < 0


def test_every_part_gives_probabilities(made: Sample) -> None:
    for solution in every_part(PROBLEM.card.language, seed=2):
        assert isinstance(result(PROBLEM, made, solution), float), solution


def test_consistency_takes_back_errors_that_deny_both_of_a_pair(made: Sample) -> None:
    parts, pair = parts_of(PROBLEM), made.given["pair"]
    given = {**made.given, "weak": np.where(np.arange(len(pair)) % 2 == 0, 0.45, 0.05)}
    found = parts["consistent"](given, parts["labels"](given, of="weak"), weight=0.5).probability
    assert np.allclose(found, np.where(np.arange(len(pair)) % 2 == 0, 0.7, 0.3))


def test_cleaning_drops_planted_errors_and_keeps_right_labels(made: Sample) -> None:
    parts = parts_of(PROBLEM)
    right = np.tile([0.9, 0.1], 100)
    wrong = np.arange(200) % 10 == 0
    given = {**made.given, "weak": np.where(wrong, 1 - right, right)}
    kept = (
        parts["cleaned"](
            given, parts["layer"](given, number=0), parts["labels"](given, of="weak"), strength=1e-2
        ).weight
        > 0
    )
    assert kept[wrong].mean() < kept[~wrong].mean() - 0.2 and kept[~wrong].mean() > 0.9


@pytest.mark.parametrize("probability", [np.full(300, 1.5), np.full(300, np.nan), np.zeros((300, 1)), np.zeros(299)])
def test_what_is_no_probability_is_refused_and_unscored(made: Sample, probability: np.ndarray) -> None:
    answers = [{"probability": probability}]
    with pytest.raises(InputError) as refused:
        PROBLEM.ask(made, answers)
    assert refused.value.fix
    assert isinstance(PROBLEM.score(made, answers), Unscored)


def test_labels_of_one_side_only_are_learnt_without_an_error(made: Sample) -> None:
    given = Sample(made.name, {**made.given, "weak": np.full(200, 0.9)}, made.truth)
    hard = Expression(part="hardened", inputs=(Expression(part="labels", parameters={"of": "weak"}),))
    for student in ("logistic", "ridge", "mean_difference"):
        strength = {} if student == "mean_difference" else {"strength": 1e-3}
        features = Expression(part="layer", parameters={"number": 0})
        solution = Expression(part=student, parameters=strength, inputs=(features, hard))
        assert isinstance(result(PROBLEM, given, solution), float)
