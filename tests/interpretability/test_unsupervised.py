"""Without labels one finds what is most salient: the truth where it is, and a distractor where that is louder."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import check_grad

from superalign.contracts.errors import InputError
from superalign.interpretability import unsupervised as module
from superalign.interpretability.unsupervised import METHODS, Method, contrast_pairs, read_unsupervised
from superalign.testing.tiny import tiny_subject

from ..scripted import World

each_method = pytest.mark.parametrize("method", METHODS)


class Pairs:
    """Two features that change sign with the answer, one the truth, in noise that does not; and which answer it is."""

    def __init__(self, truth: float, distractor: float, seed: int = 0, pairs: int = 160, width: int = 20) -> None:
        rng = np.random.default_rng(seed)
        self.truth, self.distractor = rng.random((2, pairs)) < 0.5
        self.groups = [str(i // 2) for i in range(pairs)]
        turn = np.linalg.qr(rng.standard_normal((width, width)))[0]
        signal = np.zeros((pairs, width))
        signal[:, 0], signal[:, 1] = truth * (2 * self.truth - 1), distractor * (2 * self.distractor - 1)
        shared, side = rng.standard_normal((pairs, width)), 5 * rng.standard_normal(width)
        own = 0.3 * rng.standard_normal((2, pairs, width))
        self.yes = (shared + signal + own[0] + side) @ turn
        self.no = (shared - signal + own[1] - side) @ turn

    def read(self, method: Method, **arguments: object) -> module.UnsupervisedReading:
        features = {"distractor": self.distractor}
        found = read_unsupervised(
            method,
            self.yes,
            self.no,
            self.truth,
            self.groups,
            features=features,
            **arguments,  # type: ignore[arg-type]
        )
        assert isinstance(found, module.UnsupervisedReading), found
        return found


@each_method
def test_the_truth_is_found_where_it_is_most_salient(method: Method) -> None:
    found = Pairs(truth=1, distractor=0.3).read(method)
    assert found.auroc.value > 0.95 > found.random_directions.mean
    assert found.finds["truth"] == pytest.approx(found.auroc.value) and found.finds["distractor"] < 0.75
    assert found.agreement > 0.9


@each_method
def test_a_louder_distractor_is_found_instead(method: Method) -> None:
    """The trap: it is as consistent as the truth. The reading shows it."""
    found = Pairs(truth=0.3, distractor=1).read(method)
    assert found.finds["distractor"] > 0.95
    assert found.finds["truth"] < 0.7
    assert found.auroc.value <= found.random_directions.high
    assert found.agreement > 0.9  # being found again says nothing of what it is


@each_method
def test_where_nothing_changes_sign_nothing_is_found(method: Method) -> None:
    found = Pairs(truth=0, distractor=0).read(method)
    assert found.auroc.value <= found.random_directions.high + 0.05


@each_method
def test_few_labels_fix_the_sign_and_are_not_scored(method: Method) -> None:
    pairs = Pairs(truth=1, distractor=0.3)
    right = pairs.read(method, labelled=range(6))
    assert (right.sign, right.labelled, right.questions) == ("fixed", 6, 154)
    assert right.auroc.value > 0.95
    pairs.truth[:6] ^= True  # and wrong ones turn it round
    wrong = pairs.read(method, labelled=range(6))
    assert wrong.auroc.value == pytest.approx(1 - right.auroc.value)


@each_method
def test_an_unknown_sign_is_said_and_never_below_half(method: Method) -> None:
    found = Pairs(truth=0, distractor=0, seed=3).read(method)
    assert found.sign == "unknown" and found.labelled == 0
    assert found.auroc.value >= 0.5 and found.random_directions.mean > 0.5


@each_method
def test_turned_questions_are_read_alike(method: Method) -> None:
    """Yes and no changed places, and truth with them: the same pairs."""
    pairs = Pairs(truth=1, distractor=0.3)
    before = pairs.read(method)
    pairs.yes, pairs.no, pairs.truth = pairs.no, pairs.yes, ~pairs.truth
    assert pairs.read(method).auroc.value == pytest.approx(before.auroc.value, abs=0.02)


@each_method
def test_labels_that_are_not_given_do_not_matter(method: Method) -> None:
    """Only the sign of the whole may hang on the truth: found directions are the same for any."""
    pairs = Pairs(truth=0.6, distractor=0.6)
    before = pairs.read(method)
    pairs.truth = np.random.default_rng(1).permutation(pairs.truth)
    assert pairs.read(method).finds["distractor"] == before.finds["distractor"]


@each_method
def test_pairs_that_differ_alike_are_unscored(method: Method) -> None:
    """As at layer 0, where the answer position holds the same token in all of them."""
    pairs = Pairs(truth=1, distractor=0)
    same = np.ones_like(pairs.yes)
    found = read_unsupervised(method, same, 2 * same, pairs.truth, pairs.groups)
    assert isinstance(found, module.Unscored)


@each_method
def test_pairs_that_differ_in_one_group_only_break_nothing(method: Method) -> None:
    pairs = Pairs(truth=1, distractor=0)
    pairs.yes[2:], pairs.no[2:] = pairs.yes[0], pairs.no[0]
    assert pairs.read(method).auroc.value == pytest.approx(0.5, abs=0.1)


def test_the_slope_of_ccs_is_its_loss_s(monkeypatch: pytest.MonkeyPatch) -> None:
    pairs, checked = Pairs(truth=1, distractor=0.3, pairs=30, width=4), []

    def check(loss, start, **_):  # type: ignore[no-untyped-def]
        checked.append(check_grad(lambda w: loss(w)[0], lambda w: loss(w)[1], start))
        return module.minimize_was(loss, start, jac=True)  # type: ignore[attr-defined]

    monkeypatch.setattr(module, "minimize_was", module.minimize, raising=False)
    monkeypatch.setattr(module, "minimize", check)
    pairs.read("ccs")
    assert max(checked) < 1e-5


def test_relative_contrast_is_the_largest_ratio() -> None:
    rng = np.random.default_rng(0)
    pairs = Pairs(truth=1, distractor=0.3)
    yes, no = (module._normalized(side, np.ones(len(side), bool)) for side in (pairs.yes, pairs.no))
    width = yes.shape[1]
    direction = module.relative_contrast(yes, no, rng)(np.eye(width), np.zeros((width, width)))

    def ratio(of: np.ndarray) -> float:
        covariance, _ = module.ledoit_wolf(yes + no, assume_centered=True)
        return float(np.square((yes - no) @ of).mean() / (of @ covariance @ of))

    assert all(ratio(direction) >= ratio(other) for other in rng.standard_normal((50, width)))
    assert all(ratio(direction) >= ratio(direction + 0.01 * other) for other in rng.standard_normal((50, width)))


def test_pairs_of_a_model_differ_in_the_answer_alone() -> None:
    questions = World(3).questions
    yes, no = contrast_pairs(tiny_subject(), questions, [2, 4])
    assert yes.shape == no.shape == (len(questions), 2, 64)
    assert (np.abs(yes - no).max((1, 2)) > 1e-3).all()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"method": "css"}, "Did you mean 'ccs'"),
        ({"no": np.zeros((3, 2))}, "shapes"),
        ({"yes": np.full((160, 20), np.nan)}, "not finite"),
        ({"labelled": [0]}, "one answer only"),
        ({"groups": ["one"] * 160}, "1 groups"),
    ],
)
def test_bad_input(change: dict[str, object], says: str) -> None:
    pairs = Pairs(truth=1, distractor=0)
    given = {"method": "ccs", "yes": pairs.yes, "no": pairs.no, "truth": pairs.truth, "groups": pairs.groups}
    with pytest.raises(InputError, match=says):
        read_unsupervised(**(given | change))  # type: ignore[arg-type]
