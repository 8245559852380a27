"""Timing two ways to one result: fair turns, honest ratios, and no ratio believed when the results differ."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import torch
from threadpoolctl import threadpool_info

from superalign.bench import BENCHES, find
from superalign.bench import compare as module
from superalign.bench.compare import Benchmark, Equality, compare, peer_package
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


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(time, "perf_counter", lambda: made.now)
    return made


def near(ours: float, peer: float) -> Equality:
    return Equality(passed=abs(ours - peer) < 50, measured=abs(ours - peer), bound=50, what="difference")


def test_ratio_is_of_neighbouring_runs_without_the_warm_up(clock: Clock) -> None:
    found = compare(
        "trial",
        3.0,
        lambda: clock.work("ours", [40, 1, 2, 4]),
        lambda: clock.work("peer", [80, 3, 4, 20]),
        near,
        repeats=3,
        ours_name="we",
        peer_name="they",
        notes=("small",),
    )
    assert clock.turns == ["ours", "peer"] * 4
    assert (found.ours.name, found.ours.seconds, found.ours.median) == ("we", (1, 2, 4), 2)
    assert (found.peer.name, found.peer.seconds, found.peer.median) == ("they", (3, 4, 20), 4)
    assert (found.ratio.median, found.ratio.min, found.ratio.max) == (3, 2, 5)
    assert found.met and found.equal.passed
    assert Benchmark.model_validate_json(found.model_dump_json()) == found


def test_a_slower_one_has_not_met_its_goal(clock: Clock) -> None:
    found = compare("trial", 2.0, lambda: clock.work("ours", [1] * 6), lambda: clock.work("peer", [1] * 6), near)
    assert found.ratio.median == 1 and not found.met
    assert len(found.ours.seconds) == 5


@pytest.mark.parametrize("differing", [0, 2, 5])
def test_one_repeat_that_differs_is_enough(differing: int, clock: Clock) -> None:
    peer = [100.0 if turn == differing else 1.0 for turn in range(6)]
    found = compare("trial", 1.0, lambda: clock.work("ours", [1] * 6), lambda: clock.work("peer", peer), near)
    assert not found.equal.passed and found.equal.measured == 99


def test_both_have_the_same_threads_and_get_back_what_was_set() -> None:
    def threads() -> set[int]:
        return {torch.get_num_threads(), *(pool["num_threads"] for pool in threadpool_info())}

    before = torch.get_num_threads()
    equal = Equality(passed=True, measured=0, bound=0, what="nothing")
    seen: list[set[int]] = []
    for wanted in (1, 2):
        found = compare(
            "trial", 1.0, lambda: seen.append(threads()), lambda: seen.append(threads()), lambda a, b: equal,
            repeats=1, threads=wanted,
        )  # fmt: skip
        assert found.machine.threads == wanted
        assert all(each == {wanted} for each in seen)
        seen.clear()
    assert torch.get_num_threads() == before


def test_threads_come_back_after_a_failure_too() -> None:
    def fail() -> float:
        raise InputError("It broke.")

    before = torch.get_num_threads()
    with pytest.raises(InputError, match="broke"):
        compare("trial", 1.0, lambda: 1.0, fail, near, threads=before + 1)
    assert torch.get_num_threads() == before


def test_a_peer_that_is_not_installed() -> None:
    assert peer_package("json").loads("1") == 1
    with pytest.raises(InputError, match=r"no_such_peer.*pip install 'superalign\[bench\]'"):
        peer_package("no_such_peer")


def test_the_machine_is_described_where_there_is_no_cpuinfo(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    def refuse(*_: object, **__: object) -> str:
        raise FileNotFoundError

    monkeypatch.setattr(Path, "read_text", refuse)
    assert module._processor()


def test_every_listed_bench_can_be_run_and_no_other() -> None:
    for name in BENCHES:
        assert callable(find(name))
    with pytest.raises(UnknownName, match="Did you mean 'probes'"):
        find("probs")
