"""What the monitor could have seen in so many events: the smallest rate, the smallest shift, the shortest silence."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float
from scipy.stats import beta, norm

from superalign.contracts.fleet import FleetReport, Sight
from superalign.control.fleet.bets import Family
from superalign.control.fleet.betting import STAKES, all_stakes, growth
from superalign.control.fleet.counting import OTHER
from superalign.control.fleet.monitor import SILENCE, Monitor

POWER = 0.8
SEEN_FROM_THE_START = np.log(0.5)  # the share of a stake that is put in before the first block
STEEPEST = 50.0
HALVINGS = 50


def report(monitor: Monitor) -> FleetReport:
    """All that the monitor has to say."""
    state, register = monitor.state, monitor.register
    return FleetReport(
        promise=monitor.baseline.promise,
        agents=len(register.agents),
        groups=len(register.group_names),
        blocks=state.blocks,
        health=state.health,
        alarms=tuple(map(monitor.words.refreshed, state.alarms)),
        not_covered=tuple(not_covered(monitor)),
        sight=tuple(sights(monitor)),
        seconds=state.seconds,
    )


def not_covered(monitor: Monitor) -> Iterator[str]:
    """What no alarm could have told, in sentences."""
    state, baseline = monitor.state, monitor.baseline
    unknown = int((baseline.agent_events == 0).sum())
    if unknown:
        yield f"{unknown:,} agents had no event in the reference: whether they are silent can't be told."
    if unseen := int((state.seen == 0).sum()):
        yield f"{unseen:,} agents of the register had no event yet: nothing is known of them."
    empty = [name for name, row in zip(baseline.register.group_names, baseline.reference, strict=True) if not row.any()]
    if empty:
        yield f"{len(empty):,} groups have no reference, {empty[0]} among them: nothing can be told of their agents."
    health = state.health
    if health.garbled:
        yield f"{health.garbled:,} lines or rows name no agent: what they stood for is not known."
    if health.unreadable:
        yield f"{len(health.unreadable):,} files or parts of files were not read: what they hold is not known."
    if not state.features.any():
        yield "No event has a feature: whether agents are the models that they are registered as can't be told."
    if not baseline.layout.edges:
        yield "The reference has too few scores: no drift of a score can be told."
    if (strangers := state.stranger_names.count) > len(state.strangers):
        yield f"About {strangers:,.0f} agents are not in the register; only the first {len(state.strangers)} are named."


def sights(monitor: Monitor) -> Iterator[Sight]:
    """For the fleet, and for the agent with the median number of events."""
    state, baseline = monitor.state, monitor.baseline
    if not state.seen.any():
        return
    median = int(np.argsort(state.seen, kind="stable")[len(state.seen) // 2])
    yield from _sights_of(monitor, len(monitor.rows) - 1, int(state.seen.sum()))
    yield from _sights_of(monitor, median, int(state.seen[median]))
    enough = _enough(monitor, len(monitor.weights) - 1)
    silence = shortest_silence(float(baseline.silent_means[median]), enough)
    level, who = monitor.rows[median]
    yield Sight(level=level, who=who, what="silence", events=int(state.seen[median]), smallest=silence)


def _sights_of(monitor: Monitor, row: int, events: int) -> Iterator[Sight]:
    """The smallest rate of a new kind, and the smallest rise of each score, in a row's events."""
    baseline, (level, who) = monitor.baseline, monitor.rows[row]
    bets, share = baseline.bets, baseline.register.summed(monitor.state.seen) / monitor.state.seen.sum()
    group = int(share.argmax()) if level == "fleet" else int(baseline.register.group_of[row])
    enough = _enough(monitor, row * len(bets.names))
    for family, means in zip(bets.families, bets.means, strict=True):
        if family.what == "rare":
            bet = family.names.index(OTHER)
            mean = float(means[group, bet])
            if level == "fleet":
                mean = float(share @ means[:, bet] if np.isnan(bets.mixed[bet]) else bets.mixed[bet])
            what, smallest = "rate of a new kind", smallest_rate(events, mean, enough)
        elif family.what == "drift":
            counts = baseline.reference[group, family.columns].astype(float)
            what = f"rise of the mean rank of {family.names[0].split()[0]}"
            smallest = smallest_shift(events, counts, family, float(means[group, 0]), enough)
        else:
            continue
        yield Sight(level=level, who=who, what=what, events=events, smallest=smallest)


def _enough(monitor: Monitor, hypothesis: int) -> float:
    """The logarithm that a bet from the first block on must come to if it is the only one that wins."""
    alone = -np.log(monitor.baseline.alpha * monitor.weights[hypothesis])
    return float(alone - SEEN_FROM_THE_START)


def smallest_rate(events: int, mean: float, enough: float) -> float | None:
    """The rate of a kind that shows in so many events with a probability of 80 %, where the reference allows `mean`;
    None when not even a rate of 1 does. Exact, but for bets that begin later.
    """
    each = growth(np.array([[0.0, 1.0]]), np.array([mean]))[0]

    def shows(times: int) -> bool:
        return bool(all_stakes((events - times) * each[0] + times * each[1]) >= enough)

    if not shows(events):
        return None
    few, many = 0, events
    while many - few > 1:
        middle = (few + many) // 2
        few, many = (few, middle) if shows(middle) else (middle, many)
    return float(beta.ppf(POWER, many, events - many + 1))


def smallest_shift(
    events: int, counts: Float[np.ndarray, "bins"], family: Family, mean: float, enough: float
) -> float | None:
    """The rise of the mean rank that shows in so many events with a probability of about 80 % (normal approximation),
    if scores are tilted exponentially.
    """
    if not counts.any():
        return None
    ranks = family.values[0]
    each = growth(ranks[None], np.array([mean]))[0]  # values stakes

    def tilted(steepness: float) -> Float[np.ndarray, "bins"]:
        weights = counts * np.exp(steepness * (ranks - 1))
        return np.asarray(weights / weights.sum())

    def shows(steepness: float) -> bool:
        shares = tilted(steepness)
        won = shares @ each
        spread = np.sqrt(np.maximum(shares @ each**2 - won**2, 0))
        return bool((events * won - norm.ppf(POWER) * np.sqrt(events) * spread).max() - np.log(STAKES) >= enough)

    if not shows(STEEPEST):
        return None
    flat, steep = 0.0, STEEPEST
    for _ in range(HALVINGS):
        middle = (flat + steep) / 2
        flat, steep = (flat, middle) if shows(middle) else (middle, steep)
    return float((tilted(steep) - tilted(0.0)) @ ranks)


def shortest_silence(mean: float, enough: float) -> float | None:
    """How many events of the others it takes until the silence of an agent shows."""
    each = float(growth(SILENCE, np.array([mean]))[0, 1].max())
    return None if each <= 1e-12 else float(np.ceil((enough + np.log(STAKES)) / each))
