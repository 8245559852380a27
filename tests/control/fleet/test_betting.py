"""The tests keep their promise on clean fleets, and see what is planted."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import gammaln

from superalign.control.fleet import identity
from superalign.control.fleet.betting import Ledger, alarms, growth, upper_bound
from superalign.control.fleet.events import BUCKETS
from superalign.control.fleet.monitor import Monitor
from superalign.control.fleet.sight import smallest_rate
from tests.control.fleet.fleets import BINS, KINDS, Fleet, take

shares = st.lists(st.floats(0.001, 1), min_size=3, max_size=6)


@given(shares, st.floats(0, 1))
def test_no_stake_grows_on_average_where_the_claim_holds(weights: list[float], slack: float) -> None:
    """Whatever the distribution: the mean of what a stake is multiplied by is at most 1."""
    chance = np.array(weights) / np.sum(weights)
    values = np.linspace(0, 1, len(chance))
    mean = np.array([min(1.0, chance @ values + slack * (1 - chance @ values))])
    assert (chance @ np.exp(growth(values[None], mean)[0]) <= 1 + 1e-9).all()


@given(shares)
def test_some_stake_grows_where_the_claim_is_clearly_wrong(weights: list[float]) -> None:
    chance = np.array(weights) / np.sum(weights)
    values = np.linspace(0, 1, len(chance))
    assert (chance @ growth(values[None], np.array([0.7 * (chance @ values)]))[0]).max() > 0


def test_bounds_of_the_mean_hold_as_often_as_promised_and_are_not_idle() -> None:
    rng = np.random.default_rng(0)
    chance, values = np.array([0.5, 0.3, 0.15, 0.05]), np.linspace(0, 1, 4)
    counts = rng.multinomial(2000, chance, size=400).astype(float)
    bounds = upper_bound(counts, np.broadcast_to(values, counts.shape), 0.1)
    true = chance @ values
    assert (bounds < true).mean() <= 0.1
    assert np.median(bounds) < true + 0.03
    rare = upper_bound(np.array([[1e6, 0.0]]), np.array([[0.0, 1.0]]), 0.01)[0]
    assert np.log(100) / 1e6 < rare < 3 * np.log(100) / 1e6
    assert upper_bound(np.zeros((1, 2)), np.array([[0.0, 1.0]]), 0.01)[0] == 1


@settings(max_examples=30)
@given(st.lists(st.integers(0, 20), min_size=1, max_size=6))
def test_a_bet_that_begins_before_any_block_is_the_mixture_over_its_beginnings(ones: list[int]) -> None:
    """Against the sum over all beginnings, written out."""
    each = growth(np.array([[0.0, 1.0]]), np.array([0.1]))[0]
    won = [(20 - n) * each[0] + n * each[1] for n in ones]
    ledger = Ledger.new(1, 1)
    for block in won:
        ledger.bet(block[None, None])
    began = [np.exp(sum(won[first:])).mean() / ((first + 1) * (first + 2)) for first in range(len(won))]
    assert ledger.e_values[0, 0] == pytest.approx(np.log(sum(began) + 1 / (len(won) + 1)), abs=1e-9)


def test_many_looks_at_clean_numbers_alarm_as_rarely_as_promised() -> None:
    """At the very edge of the claim, with a look after every block: Ville's inequality."""
    rng = np.random.default_rng(0)
    each = growth(np.array([[0.0, 1.0]]), np.array([0.05]))[0]
    ledger, highest = Ledger.new(4000, 1), np.full(4000, -np.inf)
    for _ in range(60):
        ones = rng.binomial(50, 0.05, (4000, 1))
        ledger.bet((50 - ones)[..., None] * each[0] + ones[..., None] * each[1])
        highest = np.maximum(highest, ledger.e_values[:, 0])
    assert np.exp(ledger.e_values).mean() < 1.1  # an e-value has a mean of at most 1
    for level in (0.2, 0.05):
        assert (highest >= np.log(1 / level)).mean() <= level


def test_a_late_change_costs_the_logarithm_of_the_clean_time() -> None:
    each = growth(np.array([[0.0, 1.0]]), np.array([0.05]))[0]
    late, soon = Ledger.new(1, 1), Ledger.new(1, 1)
    for block in range(220):
        ones = 3 if block < 200 else 15  # of 50
        won = ((50 - ones) * each[0] + ones * each[1])[None, None]
        late.bet(won)
        if block >= 200:
            soon.bet(won)
    assert soon.e_values[0, 0] - late.e_values[0, 0] < np.log(201 * 202) + 1


@given(st.lists(st.floats(-5, 30), min_size=1, max_size=30), st.floats(0.01, 0.5))
def test_e_bh_rejects_as_its_definition_says(logs: list[float], alpha: float) -> None:
    found = alarms(np.array(logs), np.full(len(logs), 1 / len(logs)), alpha)
    ranked = np.sort(np.exp(logs))[::-1]
    many = max(
        (k for k in range(1, len(logs) + 1) if ranked[k - 1] >= len(logs) / (k * alpha) * (1 + 1e-12)), default=0
    )
    assert found.sum() >= many
    assert not found.any() or np.exp(logs).mean() >= 1 / alpha * (1 - 1e-9)
    assert min((log for log, hit in zip(logs, found, strict=True) if hit), default=99) >= max(
        (log for log, hit in zip(logs, found, strict=True) if not hit), default=-99
    )


def test_identity_is_the_likelihood_ratio_that_it_says() -> None:
    """Where the reference allows one distribution only, against the formula."""
    expected = np.full((1, BUCKETS), 1 / BUCKETS)
    counts = np.random.default_rng(0).multinomial(500, np.linspace(1, 3, BUCKETS) / BUCKETS / 2)[None]
    found = identity.log_e_values(counts, expected, expected, expected)[0]
    logs = []
    for spread in identity.SPREADS:
        prior = spread * expected
        seen = (gammaln(prior + counts) - gammaln(prior)).sum()
        logs.append(gammaln(spread) - gammaln(spread + 500) + seen)
    assert found == pytest.approx(np.log(np.exp(np.array(logs) + 500 * np.log(BUCKETS)).mean()), rel=1e-6)
    assert identity.log_e_values(counts, expected, expected, expected, threshold=found + 5)[0] == -np.inf


def test_identity_never_understates_what_the_reference_allows() -> None:
    """The largest likelihood within the bounds is at least that of any distribution within them."""
    rng = np.random.default_rng(0)
    for _ in range(50):
        true = rng.dirichlet(np.full(BUCKETS, 0.5))
        low, high = np.maximum(0.8 * true - 0.001, 1e-9), np.minimum(1.2 * true + 0.001, 1)
        counts = rng.multinomial(300, rng.dirichlet(np.full(BUCKETS, 0.5)))
        largest = identity._largest(counts[None], low[None], high[None])[0]
        assert largest >= (counts * np.log(np.maximum(true, 1e-12))).sum() - 1e-6


def test_clean_fleets_raise_no_more_alarms_than_promised() -> None:
    """With the reference known all but exactly, so that its bounds leave no slack. The page has more runs."""
    alarmed, highest = 0, []
    for seed in range(8):
        fleet = Fleet(agents=9, rng=np.random.default_rng(seed))
        monitor = Monitor(fleet.baseline(10**9, promise=0.2))
        alarmed += any([take(monitor, fleet.table(1500)) for _ in range(15)])
        highest.append(float((monitor.weights * np.exp(monitor.log_e_values())).sum()))
    assert alarmed <= 5  # 99.9 % of Binomial(8, 0.2)
    assert np.mean(highest) < 1.5  # the weighted mean of e-values, whose mean is at most 1


def test_a_reference_that_claims_too_little_is_caught() -> None:
    """The check above can fail: with means below the truth, clean fleets alarm."""
    fleet = Fleet(agents=9)
    wrong = Fleet(agents=9)
    wrong.kinds[:, 2] *= 0.5
    wrong.kinds[:, 0] += wrong.kinds[:, 2]
    monitor = Monitor(wrong.baseline(10**6))
    assert any(take(monitor, fleet.table(3000)) for _ in range(10))


PLANTED = {
    "rare": "rare fleet",
    "drift": "drift fleet",
    "unscored": "unscored agent-4",
    "identity": "identity agent-4",
    "silent": "silent agent-4",
}


@pytest.mark.parametrize("what", PLANTED)
def test_what_is_planted_is_seen_and_nothing_else(what: str) -> None:
    """After clean blocks, in one agent or thinly over all."""
    fleet = Fleet(agents=9)
    monitor = Monitor(fleet.baseline(3_000_000))
    for _ in range(5):
        assert take(monitor, fleet.table(5000)) == []
    match what:
        case "rare":  # 1 in 500 events of everyone is of a kind that never was
            fleet.kinds[:, len(KINDS)] = 0.002
            fleet.kinds[:, 0] -= 0.002
        case "drift":
            shift = fleet.bins[:, 0] * 0.5
            fleet.bins[:, 0] -= shift
            fleet.bins[:, BINS - 1] += shift
    found: list[str] = []
    for _ in range(12):
        table = fleet.table(5000)
        if what == "unscored":
            score = slice(len(KINDS) + 2, len(KINDS) + 2 + BINS)
            table[4, score.stop] += table[4, score].sum()
            table[4, score] = 0
        if what == "identity":
            table[4, -BUCKETS:] = fleet.rng.multinomial(table[4, -BUCKETS:].sum(), fleet.features[0])
        if what == "silent":
            table[4] = 0
        found += take(monitor, table)
    assert PLANTED[what] in found
    kinds = {alarm.split()[0] for alarm in found}
    assert kinds == {what} or (what == "unscored" and kinds <= {"unscored", "drift"})
    if what in ("identity", "silent"):
        assert found == [PLANTED[what]]
        assert monitor.state.alarms[0].level == "agent"
    if what == "identity":
        assert "it is like model-0; 2 of 3" in monitor.words.refreshed(monitor.state.alarms[0]).says


def test_the_smallest_rate_is_seen_four_times_in_five() -> None:
    """The power that is printed, against simulation."""
    fleet = Fleet(agents=1, groups=1)
    baseline = fleet.baseline(1_000_000)
    monitor = Monitor(baseline)
    bet = monitor.baseline.bets.names.index("(other kind)")
    enough = float(-np.log(baseline.alpha * monitor.weights[bet]) + np.log(2))
    mean = float(baseline.bets.means[0][0, bet])
    rate = smallest_rate(100_000, mean, enough)
    assert rate is not None and mean < rate < 1e-3
    each = growth(np.array([[0.0, 1.0]]), np.array([mean]))[0]
    ones = np.random.default_rng(0).binomial(100_000, rate, 2000)
    logs = np.log(np.exp((100_000 - ones)[:, None] * each[0] + ones[:, None] * each[1]).mean(axis=1))
    assert (logs >= enough).mean() == pytest.approx(0.8, abs=0.03)
    assert smallest_rate(1, mean, 20 * enough) is None
