"""The compute-equivalent gain: known ratios, intervals that hold what they say, and what can't be measured."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from superalign.contracts.errors import InputError
from superalign.contracts.records import Interval, Unscored
from superalign.economics.gain import Curve, Gains, Point, gains, read_points

COMPUTE = np.geomspace(1, 1000, 8)


def points(
    recipe: str, factor: float, seeds: int = 5, spread: float = 0.0, noise: float = 0.0, draw: int = 0
) -> list[Point]:
    """Loss 1 + 3 (factor x compute)^-0.3, with a spread of log compute between seeds and noise on each loss."""
    random = np.random.default_rng([draw, *recipe.encode()])
    found = []
    for seed in range(seeds):
        shift = spread * random.standard_normal()
        for compute in COMPUTE:
            loss = 1 + 3 * (factor * compute * np.exp(shift)) ** -0.3 + noise * random.standard_normal()
            found.append(Point(recipe=recipe, seed=seed, compute=compute, loss=loss))
    return found


def only(found: Gains) -> Interval:
    [at] = found.at
    assert isinstance(at.gain, Interval)
    return at.gain


@pytest.mark.parametrize("factor", [0.25, 1.0, 4.0])
def test_finds_the_ratio_that_there_is(factor: float) -> None:
    found = gains([*points("plain", 1, spread=0.05), *points("fast", factor, spread=0.05, draw=1)])
    assert (found.recipe, found.baseline, found.paired) == ("fast", "plain", True)
    for at in found.at:
        assert isinstance(at.gain, Interval)
        assert at.gain.low < factor < at.gain.high
        assert at.gain.value == pytest.approx(factor, rel=0.15)


def test_the_other_way_round_is_the_inverse() -> None:
    both = [*points("plain", 1, spread=0.1), *points("fast", 3, spread=0.1)]
    there, back = gains(both, "fast", "plain", [2.0]), gains(both, "plain", "fast", [2.0])
    assert only(there).value == pytest.approx(1 / only(back).value)
    assert only(there).low == pytest.approx(1 / only(back).high)


@settings(max_examples=30, deadline=None)
@given(st.floats(1e-3, 1e20), st.floats(-5, 5))
def test_units_of_compute_and_the_zero_of_loss_do_not_matter(unit: float, shift: float) -> None:
    both = [*points("plain", 1, spread=0.1), *points("fast", 3, spread=0.1)]
    changed = [each.model_copy(update={"compute": each.compute * unit, "loss": each.loss + shift}) for each in both]
    assert only(gains(changed, losses=[2 + shift])).value == pytest.approx(
        only(gains(both, losses=[2.0])).value, rel=1e-6
    )


@pytest.mark.parametrize(("seeds", "paired"), [(3, True), (5, True), (5, False)])
def test_the_interval_holds_the_truth_as_often_as_it_says(seeds: int, paired: bool) -> None:
    """Noise between seeds and on each loss; 300 draws, so that 95 % come out between 92 and 98 %."""
    held = 0
    for draw in range(300):
        fast = points("fast", 3, seeds, 0.2, 0.02, draw)
        if not paired:
            fast = [each.model_copy(update={"seed": each.seed + 100}) for each in fast]
        found = only(gains([*points("plain", 1, seeds, 0.2, 0.02, draw), *fast], losses=[2.0]))
        held += found.low <= 3 <= found.high
    assert 0.92 <= held / 300 <= 0.985


def test_curves_that_do_not_overlap_are_unscored() -> None:
    low = [each.model_copy(update={"loss": each.loss - 10}) for each in points("fast", 1, spread=0.1)]
    found = gains([*points("plain", 1, spread=0.1), *low])
    assert all(isinstance(at.gain, Unscored) for at in found.at)


def test_a_loss_that_a_seed_does_not_reach_is_unscored_and_the_seed_named() -> None:
    both = [*points("plain", 1, spread=0.1), *points("fast", 3, spread=0.1)]
    kept = [each for each in both if (each.recipe, each.seed) != ("plain", 2) or each.compute < 10]
    [at] = gains(kept, losses=[1.6]).at
    assert isinstance(at.gain, Unscored)
    assert "seeds 2" in at.gain.reason


@pytest.mark.parametrize("seeds", [1, 3])
def test_seeds_without_spread_have_no_interval(seeds: int) -> None:
    [at] = gains([*points("plain", 1, seeds), *points("fast", 3, seeds)], losses=[2.0]).at
    assert isinstance(at.gain, Unscored)


@given(
    st.lists(
        st.tuples(st.floats(0.1, 1e6), st.floats(-10, 10)), min_size=2, max_size=12, unique_by=lambda pair: pair[0]
    )
)
def test_a_curve_never_rises_and_takes_no_more_compute_to_a_higher_loss(pairs: list[tuple[float, float]]) -> None:
    curve = Curve(0, [Point(recipe="a", seed=0, compute=compute, loss=loss) for compute, loss in pairs])
    assert np.all(np.diff(curve.loss) < 0)
    assert np.all(np.diff(curve.log_compute) > 0)
    asked = np.linspace(curve.loss[-1], curve.loss[0], 7)
    assert np.all(np.diff([curve.takes(loss) for loss in asked]) <= 1e-12)


class TestFiles:
    def test_json_and_csv_hold_the_same(self, tmp_path: Path) -> None:
        rows = [each.model_dump() for each in points("plain", 1, 2)]
        (tmp_path / "p.json").write_text(json.dumps(rows))
        lines = [
            "recipe,seed,compute,loss",
            *(f"{r['recipe']},{r['seed']},{r['compute']!r},{r['loss']!r}" for r in rows),
        ]
        (tmp_path / "p.csv").write_text("\n".join(lines).replace("np.float64(", "").replace(")", ""))
        assert read_points(tmp_path / "p.json") == read_points(tmp_path / "p.csv")

    @pytest.mark.parametrize(
        ("name", "text", "says"),
        [
            ("p.json", "[{", "no points"),
            ("p.json", '{"recipe": 1}', "list"),
            ("p.json", '[{"recipe": "a", "seed": 0, "compute": 0, "loss": 1}]', "compute of point 1"),
            ("p.json", '[{"recipe": "a", "seed": 0, "compute": 1, "loss": NaN}]', "loss of point 1"),
            ("p.csv", "recipe,seed,compute\na,0,1\n", "loss of point 1"),
            ("p.csv", "recipe,seed,compute,loss\na,0,1,2,3\n", "point 1"),
        ],
    )
    def test_what_is_no_point_is_refused(self, tmp_path: Path, name: str, text: str, says: str) -> None:
        (tmp_path / name).write_text(text)
        with pytest.raises(InputError, match=says):
            read_points(tmp_path / name)

    def test_a_file_that_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="can't be read"):
            read_points(tmp_path / "none.csv")

    def test_recipes_have_to_be_told_apart(self) -> None:
        three = [*points("a", 1), *points("b", 1), *points("c", 1)]
        with pytest.raises(InputError, match="--recipe"):
            gains(three)
        with pytest.raises(InputError, match="--recipe"):
            gains(points("a", 1))
        with pytest.raises(InputError, match="no recipe"):
            gains(three, "d", "a")
        assert gains(three, "c").baseline == "a"
