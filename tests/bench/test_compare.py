"""Timing several ways to one result: fair turns, honest ratios, and no ratio believed when results differ or a peer is
missing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from threadpoolctl import threadpool_info

from superalign.bench import BENCHES, find, machine
from superalign.bench.compare import Peer, Settings, compare, peer_package
from superalign.bench.records import Benchmark, Equality
from superalign.contracts.errors import InputError, UnknownName


class Clock:
    """Time passes only by work."""

    def __init__(self) -> None:
        self.now = 0.0
        self.turns: list[str] = []

    def work(self, who: str, seconds: list[float]) -> float:
        self.turns.append(who)
        spent = seconds[self.turns.count(who) - 1]
        self.now += spent
        return spent

    def steady(self, who: str, seconds: float) -> Callable[[], float]:
        return lambda: self.work(who, [seconds] * 9)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(time, "perf_counter", lambda: made.now)
    return made


def near(ours: float, peer: float) -> Equality:
    return Equality(passed=abs(ours - peer) < 50, measured=abs(ours - peer), bound=50, what="difference")


def peer(work: Callable[[], float], goal: float = 1.0, *needs: str) -> Peer[float]:
    return Peer(goal, near, lambda: work, needs)


def test_ratio_is_of_neighbouring_runs_without_the_warm_up(clock: Clock) -> None:
    found = compare(
        "trial",
        lambda: clock.work("ours", [40, 1, 2, 4]),
        {"they": peer(lambda: clock.work("peer", [80, 3, 4, 20]), 3.0)},
        Settings(repeats=3),
        notes=("small",),
    )
    assert clock.turns == ["ours", "peer"] * 4
    assert (found.ours.name, found.ours.seconds, found.ours.median) == ("superalign", (1, 2, 4), 2)
    assert (found.peer.name, found.peer.seconds, found.peer.median) == ("they", (3, 4, 20), 4)
    assert (found.ratio.median, found.ratio.min, found.ratio.max) == (3, 2, 5)
    assert found.met and found.all_equal
    assert Benchmark.model_validate_json(found.model_dump_json()) == found


def test_a_peer_that_does_a_part_in_each_round_counts_as_often_as_there_are_parts(clock: Clock) -> None:
    found = compare(
        "trial",
        clock.steady("ours", 2),
        {"they": Peer(4.0, near, lambda: lambda: clock.work("peer", [9, 1, 2]), parts=5)},
        Settings(repeats=2),
    )
    assert found.peer.seconds == (5, 10) and (found.ratio.min, found.ratio.max) == (2.5, 5)


def test_all_run_in_turn_and_the_one_nearest_to_its_goal_binds(clock: Clock) -> None:
    peers = {
        "slow": peer(clock.steady("slow", 7), 6.0),
        "quick": peer(clock.steady("quick", 4), 3.0),
    }
    found = compare("trial", clock.steady("ours", 1), peers, Settings())
    assert clock.turns == ["ours", "slow", "quick"] * 6
    assert (found.peer.name, found.goal, found.ratio.median) == ("slow", 6, 7)
    assert [(each.name, each.goal, each.ratio.median, each.met) for each in found.peers] == [
        ("slow", 6, 7, True),
        ("quick", 3, 4, True),
    ]
    assert found.met is True


def test_one_goal_missed_is_the_goal_missed(clock: Clock) -> None:
    peers = {"easy": peer(clock.steady("easy", 9), 3.0), "hard": peer(clock.steady("hard", 2), 3.0)}
    found = compare("trial", clock.steady("ours", 1), peers, Settings())
    assert found.met is False and (found.peer.name, found.goal) == ("hard", 3)
    assert len(found.ours.seconds) == 5


@pytest.mark.parametrize("differing", [0, 2, 5])
def test_one_repeat_that_differs_is_enough(differing: int, clock: Clock) -> None:
    off = [100.0 if turn == differing else 1.0 for turn in range(6)]
    peers = {"same": peer(clock.steady("same", 1)), "off": peer(lambda: clock.work("off", off))}
    found = compare("trial", clock.steady("ours", 1), peers, Settings())
    equal = {each.name: each.equal for each in found.peers}
    assert equal["same"].passed and not equal["off"].passed and equal["off"].measured == 99
    assert not found.all_equal


def test_a_peer_that_is_not_installed_is_said_before_anything_runs_and_leaves_the_goal_unshown(clock: Clock) -> None:
    said: list[tuple[str, int]] = []
    settings = Settings(say=lambda line: said.append((line, len(clock.turns))))
    peers = {
        "gone": peer(lambda: pytest.fail("it was run"), 3.0, "no-such-peer"),
        "here": peer(clock.steady("here", 9), 3.0, "pytest"),
    }
    found = compare("trial", clock.steady("ours", 1), peers, settings)
    assert "no-such-peer is not installed (pip install 'superalign[bench]')" in said[0][0] and said[0][1] == 0
    assert [(each.name, each.goal) for each in found.not_run] == [("gone", 3)]
    assert [each.name for each in found.peers] == ["here"]
    assert found.met is None
    assert found.machine.versions["pytest"] and found.machine.versions["no-such-peer"] is None


def test_a_goal_that_is_missed_is_missed_whoever_else_would_have_run(clock: Clock) -> None:
    peers = {"gone": peer(clock.steady("gone", 9), 3.0, "no-such-peer"), "here": peer(clock.steady("here", 2), 3.0)}
    assert compare("trial", clock.steady("ours", 1), peers, Settings()).met is False


def breaks_at(turn: int) -> Callable[[], float]:
    turns: Iterator[int] = iter(range(9))

    def work() -> float:
        if next(turns) == turn:
            raise ZeroDivisionError("it broke")
        return 1.0

    return work


@pytest.mark.parametrize("turn", [0, 1, 5])
def test_a_peer_that_breaks_costs_nobody_elses_results(turn: int, clock: Clock) -> None:
    peers = {"broken": peer(breaks_at(turn)), "whole": peer(clock.steady("whole", 3))}
    found = compare("trial", clock.steady("ours", 1), peers, Settings())
    assert [each.reason for each in found.not_run] == ["ZeroDivisionError: it broke"]
    assert found.met is None and found.peer.name == "whole" and len(found.peer.seconds) == 5


def test_without_any_peer_there_is_no_bench(clock: Clock) -> None:
    for peers in ({"gone": peer(lambda: 1.0, 1.0, "no-such-peer")}, {"broken": peer(breaks_at(5))}):
        with pytest.raises(InputError, match=r"No peer .* can be run.*(no-such-peer|it broke)"):
            compare("trial", clock.steady("ours", 1), peers, Settings())


def test_all_have_the_same_threads_and_get_back_what_was_set() -> None:
    def threads() -> float:
        seen.append({torch.get_num_threads(), *(pool["num_threads"] for pool in threadpool_info())})
        return 1.0

    before = torch.get_num_threads()
    seen: list[set[int]] = []
    for wanted in (1, 2):
        found = compare("trial", threads, {"a": peer(threads), "b": peer(threads)}, Settings(1), threads=wanted)
        assert found.machine.threads == wanted
        assert len(seen) == 6 and all(each == {wanted} for each in seen)
        seen.clear()
    assert torch.get_num_threads() == before


def test_threads_come_back_after_a_failure_of_ours_too() -> None:
    def fail() -> float:
        raise InputError("It broke.")

    before = torch.get_num_threads()
    with pytest.raises(InputError, match="broke"):
        compare("trial", fail, {"they": peer(lambda: 1.0)}, Settings(), threads=before + 1)
    assert torch.get_num_threads() == before


def test_an_accelerator_is_waited_for_around_every_run(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    """Work is taken in at once and done later, on whose time it must count."""
    pending: list[float] = []

    def wait(_: object) -> None:
        clock.now += sum(pending)
        pending.clear()

    def given(seconds: float) -> Callable[[], float]:
        return lambda: pending.append(seconds) or seconds

    monkeypatch.setattr(torch.cuda, "synchronize", wait)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "a device")
    found = compare("trial", given(2), {"they": peer(given(6))}, Settings(device="cuda:1"))
    assert found.ours.seconds == (2,) * 5 and found.peer.seconds == (6,) * 5
    assert found.machine.accelerator == "a device"


def test_the_module_of_a_peer() -> None:
    assert peer_package("json").loads("1") == 1


def test_the_machine_is_described_where_there_is_no_cpuinfo(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> str:
        raise FileNotFoundError

    monkeypatch.setattr(Path, "read_text", refuse)
    assert machine.describe("cpu", 1).processor


def test_every_listed_bench_can_be_run_and_no_other() -> None:
    for name in BENCHES:
        assert callable(find(name))
    with pytest.raises(UnknownName, match="Did you mean 'probes'"):
        find("probs")
