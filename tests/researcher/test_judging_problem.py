"""Nothing is shown that was not bought, nothing is bought beyond the budget, and judgements are worth buying."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from superalign.contracts.errors import InputError
from superalign.contracts.records import Question, Unscored
from superalign.contracts.research import Sample
from superalign.researcher.problems.judging import PROTOCOLS, Judging, sample
from superalign.testing.tiny import tiny_model
from tests.researcher.expressions import answered, every_part, parts_of, result

PROBLEM = Judging()
COUNT = 240


def planted(seed: int = 0) -> Sample:
    """The judge alone is right six times in ten, in a debate always."""
    rng = np.random.default_rng(seed)
    truth = np.tile([True, False], COUNT // 2)
    questions = [
        Question(id=f"made/{i}", prompt="?", level=1 + i % 3, group=str(i), evidence=("line",) * (4 << i % 3))
        for i in range(COUNT)
    ]

    def judge(accuracy: float) -> np.ndarray:
        right = rng.random(COUNT) < accuracy
        return 0.5 + np.where(right == truth, 1, -1) * rng.uniform(0.05, 0.45, COUNT)

    rates = {"direct": 0.6, "consultancy": 0.6, "critique": 0.7, "debate": 1.0, "process": 0.65}
    return sample("planted", questions, truth, {name: judge(rate) for name, rate in rates.items()})


@pytest.fixture(scope="module")
def made() -> Sample:
    return planted()


def nothing() -> np.ndarray:
    return np.zeros((COUNT, len(PROTOCOLS)))


def answer(bought: np.ndarray, probability: np.ndarray | None = None) -> dict[str, np.ndarray]:
    return {"bought": bought, "probability": np.full(COUNT, 0.5) if probability is None else probability}


def test_prepared_samples_are_judged_by_every_protocol(tmp_path: Path) -> None:
    problem = Judging(model=str(tiny_model(tmp_path / "tiny")), labelled=4, tested=4, draws=1)
    samples = problem.prepare("sealed", 0, tmp_path / "prepared")
    assert [own.name for own in samples] == ["passage, draw 1", "table-chain, draw 1"]
    for own in samples:
        assert own.truth["judgements"].shape == own.given["price"].shape == (24, len(PROTOCOLS))
        assert own.truth["judgements"].min() > 0 and own.truth["judgements"].max() < 1
        assert not set(own.given) & set(own.truth)
        assert isinstance(result(problem, own, problem.card.baseline), float)


def test_only_what_was_bought_is_shown(made: Sample) -> None:
    bought = nothing()
    bought[:10, 2] = 1
    shown = PROBLEM.ask(made, [answer(bought)])
    assert np.array_equal(shown["judged"][:10, 2], made.truth["judgements"][:10, 2])
    direct = np.repeat(made.given["direct"][:, None], len(PROTOCOLS), axis=1)
    assert np.array_equal(shown["judged"][bought == 0], direct[bought == 0])
    assert set(PROBLEM.ask(made, [])) == set(PROBLEM.card.given) and set(shown) <= set(PROBLEM.card.given)


@pytest.mark.parametrize("bought", [np.ones_like(nothing()), nothing() + 0.5, nothing()[:-1], nothing() - 1])
def test_more_than_the_budget_and_nonsense_are_refused_and_unscored(made: Sample, bought: np.ndarray) -> None:
    with pytest.raises(InputError) as refused:
        PROBLEM.ask(made, [answer(bought)])
    assert refused.value.fix
    assert isinstance(PROBLEM.score(made, [answer(bought), answer(nothing())]), Unscored)


def test_all_of_the_budget_can_be_spent(made: Sample) -> None:
    bought = nothing()
    bought[: COUNT // 3, 2] = 1
    assert (bought * made.given["price"]).sum() == made.given["budget"][0]
    PROBLEM.ask(made, [answer(bought)])


def test_buying_what_is_right_pays_and_shuffled_truth_is_at_chance(made: Sample) -> None:
    truth = made.truth["truth"]
    alone = PROBLEM.score(made, [answer(nothing()), answer(nothing(), made.given["direct"])])
    answers = answered(PROBLEM, made, PROBLEM.card.baseline)
    helped = PROBLEM.score(made, answers)
    assert isinstance(alone, float) and isinstance(helped, float)
    assert alone == np.mean((made.given["direct"] > 0.5) == truth) and helped > alone + 0.08
    chance = [PROBLEM.score(PROBLEM.permuted(made, seed), answers) for seed in range(40)]
    assert abs(np.mean(chance) - 0.5) < 0.03


def test_every_part_gives_an_answer_within_the_budget(made: Sample) -> None:
    for solution in every_part(PROBLEM.card.language, seed=4):
        assert isinstance(result(PROBLEM, made, solution), float), solution


def test_a_second_purchase_takes_what_is_left(made: Sample) -> None:
    parts = parts_of(PROBLEM)
    orders = parts["uncertain"](made.given), parts["chance"](made.given, seed=1)
    one, other = (
        parts["buy"](made.given, order, protocol=at, share=share)
        for order, at, share in zip(orders, (2, 1), (0.7, 1.0), strict=True)
    )
    both = parts["also"](made.given, one, other, again=False)
    assert (both.sum(1) <= 1).all() and both[one].all()
    spent = (both * made.given["price"]).sum()
    assert made.given["budget"][0] - 2 < spent <= made.given["budget"][0]
