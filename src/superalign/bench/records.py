"""What a bench leaves: who took how long, whether results are equal, how far it is to the floor, and where it ran."""

from __future__ import annotations

from pydantic import Field

from superalign.contracts.records import Record


class Ratio(Record):
    """How many times as long the peer takes, over the pairs of neighbouring runs."""

    median: float
    min: float
    max: float


class Timing(Record):
    """One contestant, and the seconds of each of its repeats."""

    name: str
    seconds: tuple[float, ...]
    median: float


class Equality(Record):
    """Whether both came to the same result: `measured`, described by `what`, against the `bound` set before."""

    passed: bool
    measured: float
    bound: float
    what: str


class PeerResult(Record):
    """One peer against ours. `goal` is the ratio aimed at."""

    name: str
    goal: float
    ratio: Ratio
    timing: Timing
    equal: Equality
    met: bool


class NotRun(Record):
    """A peer that could not be run, so that nothing is known of how ours compares with it."""

    name: str
    goal: float
    reason: str


class Figure(Record):
    """A number beside the ratio, with its own goal."""

    name: str
    value: float
    unit: str = ""
    at_least: float | None = None
    at_most: float | None = None
    how: str = Field("", description="How it was measured, and what it does not say.")

    @property
    def met(self) -> bool:
        return (self.at_least is None or self.value >= self.at_least) and (
            self.at_most is None or self.value <= self.at_most
        )


class Profile(Record):
    """How far ours is from what this machine could do, and where the time goes."""

    flops: float = Field(description="Floating-point operations that the work needs at least.")
    bytes: float = Field(description="Bytes that must be read or written at least.")
    flops_per_second: float = Field(description="Attained by matrix products of these shapes, in the same run.")
    bytes_per_second: float = Field(description="Attained by reading and copying memory, in the same run.")
    floor_seconds_by_flops: float
    floor_seconds_by_bytes: float
    distance: float = Field(description="Seconds of ours over the larger floor.")
    shares: dict[str, float] = Field(description="Of the time of ours, by part; they add up to 1.")
    explained: str = Field(description="What is left to the floor, in words.")


class Machine(Record):
    """Where it was timed."""

    platform: str
    processor: str
    cpus: int
    threads: int = Field(description="That each contestant was allowed.")
    accelerator: str | None = Field(description="Where the models ran; None for the processor.")
    versions: dict[str, str | None]


class Benchmark(Record):
    """What `superalign bench NAME --json` prints. `goal`, `ratio`, `peer` and `equal` are those of the peer that
    binds: the one that leaves the least over its goal.
    """

    name: str
    goal: float
    ratio: Ratio
    ours: Timing
    peer: Timing
    equal: Equality
    machine: Machine
    met: bool | None = Field(description="None: met against those that ran, but not all did, so it is not shown.")
    peers: tuple[PeerResult, ...]
    not_run: tuple[NotRun, ...] = ()
    figures: tuple[Figure, ...] = ()
    profile: Profile | None = None
    notes: tuple[str, ...] = Field((), description="What the work is, and what else one must know to judge the ratio.")

    @property
    def all_equal(self) -> bool:
        return all(peer.equal.passed for peer in self.peers)


class Utilization(Record):
    """What `superalign bench utilization --json` prints: shares of what the device can do, no peer."""

    name: str
    figures: tuple[Figure, ...]
    machine: Machine
    notes: tuple[str, ...] = ()
