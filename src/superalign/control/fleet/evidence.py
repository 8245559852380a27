"""What is said of an alarm: what was seen, since when, and what the reference allows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Int

from superalign.contracts.fleet import Alarm, Level, What, Witness
from superalign.control.fleet.bets import USUAL
from superalign.control.fleet.counting import OTHER

if TYPE_CHECKING:
    from superalign.control.fleet.monitor import Course, Monitor

RULED_OUT = 1e-3  # a false rejection of the right group is no likelier
MOST_NAMED = 3
MOST_SHOWN = 5


class Words:
    """Puts a monitor's alarms into words."""

    def __init__(self, monitor: Monitor) -> None:
        self.monitor = monitor

    def alarm(self, number: int, log_e: float) -> Alarm:
        """Of the hypothesis of that number."""
        kind, row, bet = self.monitor.hypothesis(number)
        match kind:
            case "silence":
                return self._silent(row, log_e)
            case "identity":
                return self._identity(row, log_e)
        level, who = self.monitor.rows[row]
        bets, course = self.monitor.baseline.bets, self.monitor.state.course
        what, name = bets.what[bet], bets.names[bet]
        events, total = course.events[row, bet], course.total[row, bet]
        mean = self._allowed(level, who, bet)
        if what == "drift" and not name.endswith(("high", "low")):
            says = f"{name}: a mean rank of {total / events:.3f} in {events:,.0f} events, at most {mean:.3f} is allowed"
        else:
            says = f"{name}: {total:,.0f} of {events:,.0f} events, at most {_rate(mean)} is allowed"
        witnesses = self._witnesses(level, who, name) if what == "rare" else ()
        return self._made(what, level, who, says, log_e, _since(course, row, bet), witnesses)

    def unregistered(self, name: str, first: Witness) -> Alarm:
        """Of an agent that is not in the register."""
        says = self._stranger(name)
        since = (self.monitor.state.blocks, first.time)
        return self._made("unregistered", "agent", name, says, None, since, (first,))

    def refreshed(self, alarm: Alarm) -> Alarm:
        """With what is known by now of who an agent is: more than when it was told from what it should be."""
        match alarm.what:
            case "unregistered":
                return alarm.model_copy(update={"says": self._stranger(alarm.who)})
            case "identity":
                return alarm.model_copy(update={"says": self._impostor(self.monitor.register.index[alarm.who])[0]})
        return alarm

    def lookalike(self, features: Int[np.ndarray, "features"]) -> str:
        """Which groups these features can come from, in words: those that are not ruled out."""
        names, seen = self.monitor.register.group_names, int(features.sum())
        if not seen:
            return "it has shown no features, so nothing tells what it is"
        limit = np.log(len(names) / RULED_OUT)
        left = [name for group, name in enumerate(names) if self.monitor.log_e_against(group, features) < limit]
        if not left:
            return f"it is like no group of the register ({seen:,} features)"
        if len(left) == len(names):
            return f"{seen:,} features do not tell which group it is like"
        shown = ", ".join(left[:MOST_NAMED]) + (f" or {len(left) - MOST_NAMED} more" if len(left) > MOST_NAMED else "")
        return f"it is like {shown}; {len(names) - len(left)} of {len(names)} groups are ruled out ({seen:,} features)"

    def _silent(self, agent: int, log_e: float) -> Alarm:
        state, baseline = self.monitor.state, self.monitor.baseline
        course = state.silence_course
        events, own = course.events[agent, 0], course.total[agent, 0]
        usual = baseline.agent_events[agent] / baseline.agent_events.sum()
        says = (
            f"{own:,.0f} events while the fleet had {events:,.0f}: under {USUAL:.0%} of its usual {usual * events:,.0f}"
        )
        return self._made("silent", "agent", self.monitor.register.agents[agent], says, log_e, _since(course, agent, 0))

    def _identity(self, agent: int, log_e: float) -> Alarm:
        says, since = self._impostor(agent)
        return self._made("identity", "agent", self.monitor.register.agents[agent], says, log_e, (since, None))

    def _stranger(self, name: str) -> str:
        return f"is not in the register; {self.lookalike(self.monitor.state.strangers[name])}"

    def _impostor(self, agent: int) -> tuple[str, int]:
        """What an agent looks like instead, and since which block; the latest features tell if they suffice, since
        earlier ones may be another model's.
        """
        state, register = self.monitor.state, self.monitor.register
        late, group = state.recent.counts[agent], int(register.group_of[agent])
        enough = self.monitor.log_e_against(group, late) >= np.log(1 / RULED_OUT)
        odd, since = (late, 2**state.recent.doublings) if enough else (state.features[agent], 1)
        return f"its features are not those of its group {register.groups[agent]}: {self.lookalike(odd)}", since

    def _allowed(self, level: Level, who: str, bet: int) -> float:
        """The largest mean that any of the groups concerned may have."""
        bets = self.monitor.baseline.bets
        if level == "fleet" and not np.isnan(bets.mixed[bet]):
            return float(bets.mixed[bet])
        means = np.concatenate(bets.means, axis=1)[:, bet]
        register = self.monitor.register
        match level:
            case "agent":
                return float(means[register.group_of[register.index[who]]])
            case "group":
                return float(means[register.group_names.index(who)])
        return float(means.max())

    def _witnesses(self, level: Level, who: str, kind: str) -> tuple[Witness, ...]:
        register, known = self.monitor.register, set(self.monitor.baseline.layout.all_kinds)
        found: list[Witness] = []
        for (agent, name), each in self.monitor.state.witnesses.items():
            concerned = level == "fleet" or who == (
                agent if level == "agent" else register.groups[register.index[agent]]
            )
            if concerned and (name if name in known else OTHER) == kind:
                found += each
        return tuple(sorted(found, key=lambda witness: witness.time or 0)[-MOST_SHOWN:])

    def _made(
        self,
        what: What,
        level: Level,
        who: str,
        says: str,
        log_e: float | None,
        since: tuple[int, float | None],
        witnesses: tuple[Witness, ...] = (),
    ) -> Alarm:
        state = self.monitor.state
        return Alarm(
            what=what,
            level=level,
            who=who,
            says=says,
            strength=None if log_e is None else log_e / float(np.log(10)),
            since=since[1],
            since_block=since[0],
            block=state.blocks,
            events=state.health.events,
            witnesses=witnesses,
        )


def _since(course: Course, row: int, bet: int) -> tuple[int, float | None]:
    time = float(course.time[row, bet])
    return int(course.block[row, bet]), None if np.isnan(time) else time


def _rate(share: float) -> str:
    return f"1 in {1 / share:,.0f}" if share < 0.05 else f"{share:.0%}"
