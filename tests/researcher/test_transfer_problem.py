"""Parts share no question, the truth stays out of what is given, and every part of the language gives an answer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from superalign.contracts import registry
from superalign.contracts.errors import InputError
from superalign.contracts.records import Unscored
from superalign.contracts.research import Problem, Sample
from superalign.researcher.material import PARTS, Pool, Reader
from superalign.researcher.problems.transfer import KNOWN, TARGETS, Transfer
from superalign.testing.tiny import tiny_model
from tests.researcher.expressions import answered, every_part, fits, parts_of, result


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("transfer")


@pytest.fixture(scope="module")
def problem(folder: Path) -> Transfer:
    return Transfer(model=str(tiny_model(folder / "tiny")), groups=12, draws=1)


@pytest.fixture(scope="module")
def samples(problem: Transfer, folder: Path) -> list[Sample]:
    return problem.prepare("development", 0, folder / "prepared")


def planted(seed: int = 0, width: int = 16, each: int = 150) -> Sample:
    """Two sources and a target with one direction of truth, and a mean of its own that each task has along it."""
    rng = np.random.default_rng(seed)
    truth = np.tile([True, False], each * 3 // 2)
    task = np.repeat(np.arange(3), each)
    read = rng.standard_normal((len(truth), 4, width))
    read[..., 0] += 1.5 * np.where(truth, 1, -1)[:, None] + 4.0 * task[:, None]
    source = task < 2
    given = {
        "source": read[source],
        "source_truth": truth[source],
        "source_task": task[source],
        "target": read[~source],
        "depths": np.arange(4.0),
    }
    return Sample("planted", given, {"truth": truth[~source]})


def test_it_is_registered_and_is_a_problem() -> None:
    assert isinstance(registry.problems.make("transfer"), Problem)


def test_there_is_a_sample_for_each_target_and_no_truth_of_it_is_given(samples: list[Sample]) -> None:
    assert [own.name for own in samples] == [f"{name}, draw 1" for name in TARGETS["development"]]
    for own in samples:
        assert own.given["source"].shape == (24, 4, 64)
        assert own.given["target"].shape == (12, 4, 64)
        assert own.truth["truth"].sum() == 6
        assert set(own.given) == {"source", "source_truth", "source_task", "target", "depths"}


def test_targets_of_the_parts_are_different_tasks() -> None:
    names = [name for part in PARTS for name in TARGETS[part]]
    assert len(names) == len(set(names))


def test_known_tasks_have_other_groups_in_each_part() -> None:
    for name in KNOWN:
        groups = [{one.group for one in Pool(name, part, seed=3).pairs(60, (0, 1, 2))} for part in PARTS]
        assert not (groups[0] & groups[1] | groups[0] & groups[2] | groups[1] & groups[2])


def test_a_pool_gives_no_group_twice() -> None:
    pool = Pool("passage", "sealed", seed=0)
    drawn = [one.group for _ in range(3) for one in pool.singles(30, (0, 1))]
    assert len(set(drawn)) == 90


def test_what_was_read_is_kept_and_read_again_where_it_was_damaged(
    problem: Transfer, samples: list[Sample], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    questions = Pool("cities", "development", 0).singles(12, (0, 1, 2, 3, 4))
    reader = Reader(folder / "prepared", problem.model, (0.5, 0.6, 0.73, 0.87))
    before = reader("cities", questions)
    stored = next(
        path
        for path in (folder / "prepared").glob("steps/*/read.npy")
        if np.array_equal(np.load(path, allow_pickle=False), before)
    )
    stored.write_bytes(b"damaged")
    assert np.array_equal(reader("cities", questions), before)
    with monkeypatch.context() as patch:
        patch.setattr("superalign.runs.store.StepStore.compute", None)  # nothing is read again
        again = problem.prepare("development", 0, folder / "prepared")
    for own, other in zip(samples, again, strict=True):
        assert all(np.array_equal(own.given[name], other.given[name]) for name in own.given)


def test_every_part_gives_a_score_on_what_was_read(problem: Transfer, samples: list[Sample]) -> None:
    for solution in every_part(problem.card.language, seed=1):
        assert isinstance(result(problem, samples[0], solution), float), solution


def test_a_planted_direction_is_found_and_shuffled_truth_is_not(problem: Transfer) -> None:
    sample = planted()
    assert result(problem, sample, problem.card.baseline) > 0.9
    shuffled = [result(problem, problem.permuted(sample, seed), problem.card.baseline) for seed in range(20)]
    assert abs(np.mean(shuffled) - 0.5) < 0.05


def test_centring_each_task_brings_planted_means_together(problem: Transfer) -> None:
    view = parts_of(problem)["standardized"]
    raw = parts_of(problem)["layer"](planted().given, number=0)
    own = view(planted().given, raw, within="task", scaled=False)
    assert abs(own.source[:150, 0].mean()) < 1e-9 and abs(own.target[:, 0].mean()) < 1e-9


def test_recoloured_sources_have_the_covariance_of_the_target(problem: Transfer) -> None:
    rng = np.random.default_rng(0)
    sample = planted()
    given = {**sample.given, "target": sample.given["target"] @ rng.standard_normal((16, 16))}
    parts = parts_of(problem)
    found = parts["recoloured"](given, parts["layer"](given, number=0), shrinkage=1e-6)
    centred = np.vstack([own - own.mean(0) for own in np.split(found.source, 2)])
    assert np.allclose(centred.T @ centred / len(centred), np.cov(found.target.T, bias=True), rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize(
    "answer",
    [{}, {"score": np.zeros(3)}, {"score": np.full(12, np.nan)}, {"score": np.array(["a"] * 12)}],
)
def test_an_answer_that_cannot_be_used_is_refused_and_unscored(
    problem: Transfer, samples: list[Sample], answer: dict[str, np.ndarray]
) -> None:
    with pytest.raises(InputError) as refused:
        problem.ask(samples[0], [answer])
    assert refused.value.fix
    assert isinstance(problem.score(samples[0], [answer]), Unscored)


def test_no_answer_and_one_too_many_are_unscored(problem: Transfer, samples: list[Sample]) -> None:
    good = answered(problem, samples[0], problem.card.baseline)
    assert isinstance(problem.score(samples[0], []), Unscored)
    assert isinstance(problem.score(samples[0], good * 2), Unscored)
    assert isinstance(problem.score(samples[0], good), float)


def test_sizes_that_make_no_sample_are_refused() -> None:
    with pytest.raises(InputError):
        Transfer(groups=2)


def test_the_baseline_is_of_the_language(problem: Transfer) -> None:
    assert fits(problem.card.language, problem.card.baseline)
