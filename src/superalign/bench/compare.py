"""Several ways to the same result, timed against each other in one process."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from statistics import mean, median
from typing import Any, Generic, TypeVar

import torch
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from superalign.bench.machine import describe, installed, synchronize
from superalign.bench.records import Benchmark, Equality, NotRun, PeerResult, Profile, Ratio, Timing
from superalign.contracts.errors import InputError

T = TypeVar("T")
INSTALL = "pip install 'superalign[bench]'"


def silent(line: str) -> None:
    """Says nothing."""


@dataclass(frozen=True)
class Settings:
    """How any bench is run: `repeats` after a warm-up, models on `device`; `say` gets a line as each round ends."""

    repeats: int = 5
    device: str = "cpu"
    say: Callable[[str], None] = silent


@dataclass(frozen=True)
class Peer(Generic[T]):
    """What a researcher would write or install today, to be beaten `goal` times.

    `prepare` loads what it needs, untimed, and returns the work to be timed. `equal` compares our result with its.
    `needs` are packages, by their names for pip, without which it is listed as not run. Where the work is `parts` that
    follow one another and take as long, a run may be one of them: its seconds count so often.
    """

    goal: float
    equal: Callable[[T, T], Equality]
    prepare: Callable[[], Callable[[], T]]
    needs: tuple[str, ...] = ()
    parts: int = 1


@dataclass
class Ends(Generic[T]):
    """Equal if what ours comes to, `of` a result and the lower the better, is on average over all rounds at most
    `bound` above the peer's: where rounding decides, two ways to one result part, and single rounds tell little.
    """

    what: str
    of: Callable[[T], float]
    bound: float
    rounds: int
    ours: list[T] = field(default_factory=list)
    peers: list[T] = field(default_factory=list)

    def __call__(self, ours: T, peer: T) -> Equality:
        self.ours.append(ours)
        self.peers.append(peer)
        own, other = (mean(map(self.of, found)) for found in (self.ours, self.peers))
        return Equality(
            passed=len(self.peers) < self.rounds or own - other <= self.bound,
            measured=own - other,
            bound=self.bound,
            what=f"mean {self.what} over {len(self.peers)} rounds: ours {own:.3f}, peer {other:.3f}; ours is higher by",
        )


@dataclass
class _Contestant(Generic[T]):
    """A peer that takes part, and what it has shown so far."""

    name: str
    peer: Peer[T]
    work: Callable[[], T]
    seconds: list[float] = field(default_factory=list)
    checks: list[Equality] = field(default_factory=list)

    def result(self, ours: Sequence[float]) -> PeerResult:
        ratios = [theirs / own for own, theirs in zip(ours, self.seconds, strict=True)]
        ratio = Ratio(median=median(ratios), min=min(ratios), max=max(ratios))
        return PeerResult(
            name=self.name,
            goal=self.peer.goal,
            ratio=ratio,
            timing=_timing(self.name, self.seconds),
            equal=next((check for check in self.checks if not check.passed), self.checks[-1]),
            met=ratio.median >= self.peer.goal,
        )


def compare(
    name: str,
    ours: Callable[[], T],
    peers: Mapping[str, Peer[T]],
    settings: Settings,
    *,
    threads: int | None = None,
    profile: Callable[[T, float], Profile] | None = None,
    notes: tuple[str, ...] = (),
) -> Benchmark:
    """Run `ours` and each of `peers` in turn, `settings.repeats` times after a warm-up, with the same `threads`.

    Results are compared in every repeat, and the first that differ count. A peer that lacks a package, or fails, is
    listed as not run and the others go on; InputError when none is left. `threads` defaults to torch's. `profile` is
    given our last result and our median seconds.
    """
    with same_threads(threads) as threads:
        going, not_run = _ready(peers, settings)
        _need_one(going, not_run)
        seconds: list[float] = []
        for repeat in range(settings.repeats + 1):
            own_seconds, result = _timed(ours, settings.device)
            seconds.append(own_seconds)
            settings.say(
                f"{f'Repeat {repeat}' if repeat else 'Warm-up'} of {settings.repeats}: ours {own_seconds:.2f} s"
            )
            not_run += _turns(going, result, settings)
            _need_one(going, not_run)
        measured = seconds[1:]
        found = tuple(contestant.result(measured) for contestant in going)
        ours_timing = _timing("superalign", measured)
        profiled = profile(result, ours_timing.median) if profile else None
    binding = min(found, key=lambda peer: peer.ratio.median / peer.goal)
    return Benchmark(
        name=name,
        goal=binding.goal,
        ratio=binding.ratio,
        ours=ours_timing,
        peer=binding.timing,
        equal=binding.equal,
        machine=describe(settings.device, threads, sorted({need for peer in peers.values() for need in peer.needs})),
        met=False if not binding.met else None if not_run else True,
        peers=found,
        not_run=tuple(not_run),
        profile=profiled,
        notes=notes,
    )


@contextmanager
def same_threads(threads: int | None) -> Iterator[int]:
    """Within, torch and every pool of numpy's and scipy's have this many: torch's own number unless given."""
    before = torch.get_num_threads()
    threads = threads or before
    torch.set_num_threads(threads)
    try:
        with threadpool_limits(threads):
            yield threads
    finally:
        torch.set_num_threads(before)


def peer_package(name: str) -> Any:
    """The module `name` of a package that only benchmarks need; its types are not ours to know."""
    return import_module(name)


def _ready(peers: Mapping[str, Peer[T]], settings: Settings) -> tuple[list[_Contestant[T]], list[NotRun]]:
    """Those that can take part. What is missing is said before anything takes time."""
    lacking = {name: [need for need in peer.needs if installed(need) is None] for name, peer in peers.items()}
    not_run = [
        _left_out(name, peers[name], f"{', '.join(missing)} is not installed ({INSTALL}).", settings)
        for name, missing in lacking.items()
        if missing
    ]
    going = []
    for name, peer in peers.items():
        if not lacking[name]:
            try:
                going.append(_Contestant(name, peer, peer.prepare()))
            except Exception as error:  # others' code can fail in any way
                not_run.append(_left_out(name, peer, f"{type(error).__name__}: {error}", settings))
    return going, not_run


def _turns(going: list[_Contestant[T]], ours: T, settings: Settings) -> list[NotRun]:
    """One run of each that is `going`; those that fail leave it, and are returned."""
    failed = []
    for contestant in list(going):
        name, peer = contestant.name, contestant.peer
        try:
            part_seconds, result = _timed(contestant.work, settings.device)
            seconds = peer.parts * part_seconds
            contestant.checks.append(peer.equal(ours, result))
        except Exception as error:  # as above
            going.remove(contestant)
            failed.append(_left_out(name, peer, f"{type(error).__name__}: {error}", settings))
            continue
        if len(contestant.checks) > 1:  # the first was the warm-up
            contestant.seconds.append(seconds)
        settings.say(f"  {name} {seconds:.2f} s")
    return failed


def _need_one(going: Sequence[_Contestant[T]], not_run: Sequence[NotRun]) -> None:
    if not going:
        reasons = " ".join(f"{each.name}: {each.reason}" for each in not_run)
        raise InputError(f"No peer of this bench can be run. {reasons}", fix="Repair or install one of them.")


def _left_out(name: str, peer: Peer[T], reason: str, settings: Settings) -> NotRun:
    settings.say(f"{name} is left out: {reason}")
    return NotRun(name=name, goal=peer.goal, reason=reason)


def _timing(name: str, seconds: Sequence[float]) -> Timing:
    return Timing(name=name, seconds=tuple(seconds), median=median(seconds))


def _timed(work: Callable[[], T], device: str) -> tuple[float, T]:
    synchronize(device)
    started = time.perf_counter()
    result = work()
    synchronize(device)
    return time.perf_counter() - started, result
