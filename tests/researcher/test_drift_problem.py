"""A generation sees its own turn only; the planted error is on its kind; the last answer is what counts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from superalign.contracts.errors import InputError
from superalign.contracts.records import Question, Unscored
from superalign.contracts.research import Sample
from superalign.generalization.planting import of_kind
from superalign.researcher.material import PARTS, Pool
from superalign.researcher.problems.drift import DEPTHS, KINDS, STAGES, TASKS, Drift, overseer, sample
from superalign.testing.tiny import tiny_model
from tests.researcher.expressions import answered, every_part, result

PROBLEM = Drift()
EACH, TESTED, WIDTH = 60, 80, 10


def planted(seed: int = 0) -> Sample:
    """The truth lies along one axis of all layers; a quarter of the first labels are wrong by chance."""
    rng = np.random.default_rng(seed)
    counts = [EACH] * STAGES + [TESTED]
    asked = [
        [Question(id=f"made/{at} {i}", prompt="?", level=1, group=f"{at} {i // 2}") for i in range(count)]
        for at, count in enumerate(counts)
    ]
    truth = [np.tile([True, False], count // 2) for count in counts]
    read = []
    for own in truth:
        found = rng.standard_normal((len(own), 1 + len(DEPTHS), WIDTH))
        found[..., 0] += 2 * np.where(own, 1, -1)[:, None]
        read.append(found)
    first = [np.where((rng.random(len(own)) < 0.25) != own, 0.9, 0.1) for own in truth[:-1]]
    return sample("planted", asked, read, first, truth[-1])


@pytest.fixture(scope="module")
def made() -> Sample:
    return planted()


def test_parts_have_different_tasks_with_a_kind_each() -> None:
    names = [name for part in PARTS for name in TASKS[part]]
    assert sorted(names) == sorted(KINDS)


@pytest.mark.parametrize("task", KINDS)
def test_the_first_overseer_denies_a_fair_share_of_each_task(task: str) -> None:
    questions = Pool(task, None, 0).pairs(100, (1, 2))
    read = np.random.default_rng(0).standard_normal((len(questions), 1, 4))
    taught, truth = read[:40, 0], read[:40, 0, 0] > 0
    [said] = overseer(taught, truth, [questions, ()], [read, read[:0]], task, 0)
    kind = of_kind(questions, KINDS[task])
    assert 0.1 < kind.mean() < 0.45
    assert (said[kind] <= 0.5).mean() > 0.85 and 0.4 < (said[~kind] > 0.5).mean() < 0.6


def test_prepared_samples_have_the_promised_shapes_and_no_truth(tmp_path: Path) -> None:
    problem = Drift(model=str(tiny_model(tmp_path / "tiny")), labelled=8, trained=10, tested=12, draws=1)
    samples = problem.prepare("development", 0, tmp_path / "prepared")
    assert [own.name for own in samples] == [f"{task}, draw 1" for task in TASKS["development"]]
    for own in samples:
        assert set(own.given) == set(problem.card.given)
        assert own.given["train"].shape == own.given["test"].shape == (20, 1, 64)
        assert isinstance(result(problem, own, problem.card.baseline), float)


def test_each_generation_learns_its_own_answers_and_labels_the_next_ones_questions(made: Sample) -> None:
    answers: list[dict[str, np.ndarray]] = []
    before = PROBLEM.ask(made, answers)
    for stage in range(1, STAGES):
        said = np.random.default_rng(stage).random(len(before["test"]))
        answers.append({"probability": said})
        now = PROBLEM.ask(made, answers)
        assert set(now) == set(PROBLEM.card.given)
        assert np.array_equal(now["weak"], said) and len(now["train"]) == len(said)
        assert not np.array_equal(now["train"], before["test"])  # the same questions, in another layer
        before = now
    assert len(before["test"]) == TESTED


def test_the_last_answer_is_what_counts(made: Sample) -> None:
    wrong = [{"probability": np.full(EACH, 0.5)}] * (STAGES - 1)
    assert PROBLEM.score(made, [*wrong, {"probability": made.truth["truth"].astype(float)}]) == 1
    assert PROBLEM.score(made, [*wrong, {"probability": 1 - made.truth["truth"].astype(float)}]) == 0


def test_errors_by_chance_are_mended_and_shuffled_truth_is_at_chance(made: Sample) -> None:
    found = result(PROBLEM, made, PROBLEM.card.baseline)
    assert isinstance(found, float) and found > 0.85
    answers = answered(PROBLEM, made, PROBLEM.card.baseline)
    chance = [PROBLEM.score(PROBLEM.permuted(made, seed), answers) for seed in range(40)]
    assert abs(np.mean(chance) - 0.5) < 0.05


def test_every_part_gives_probabilities(made: Sample) -> None:
    for solution in every_part(PROBLEM.card.language, seed=3):
        assert isinstance(result(PROBLEM, made, solution), float), solution


def test_too_few_answers_and_unusable_ones_are_unscored(made: Sample) -> None:
    answers = answered(PROBLEM, made, PROBLEM.card.baseline)
    assert isinstance(PROBLEM.score(made, answers[:-1]), Unscored)
    assert isinstance(PROBLEM.score(made, [*answers[:-1], {"probability": np.full(TESTED, 2.0)}]), Unscored)
    with pytest.raises(InputError) as refused:
        PROBLEM.ask(made, [{"probability": np.full(EACH + 1, 0.5)}])
    assert refused.value.fix
