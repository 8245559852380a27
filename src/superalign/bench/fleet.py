"""A fleet watched: events counted by our monitor, by a loop over events and by pandas, for the same tests.

All read the same Parquet file and hand their counts to the same monitor, so that what is compared is what it takes to
come from events to e-values. Beside the ratio stand events a second from Parquet and JSONL, by one process and by two,
and how much memory grows when the stream gets four times as long.
"""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from itertools import count as numbered
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from jaxtyping import Float

from superalign.bench.compare import Peer, Settings, compare, peer_package
from superalign.bench.memory import peak_memory
from superalign.bench.records import Benchmark, Equality, Figure
from superalign.contracts.fleet import Health
from superalign.control.fleet.baseline import Baseline, fit
from superalign.control.fleet.counting import Counted, count
from superalign.control.fleet.events import buckets
from superalign.control.fleet.monitor import Monitor
from superalign.control.fleet.reading import blocks
from superalign.control.fleet.register import Register
from superalign.control.fleet.saved import save_baseline
from superalign.control.fleet.watch import watch
from superalign.runs.launch import Launch

LOOP_GOAL, PANDAS_GOAL = 10.0, 1.5
EVENTS_PER_SECOND, MEGABYTES = 200_000, 64
BOUND = 1e-6  # in the logarithm of an e-value
KINDS = ("message", "tool:search", "tool:read", "tool:write", "tool:run", "error")
WORDS = tuple(f"word {number}" for number in range(200))


@dataclass(frozen=True)
class Work:
    """Streams of `events` for the ratio, of `longer` times as many for speed and memory."""

    events: int = 250_000
    agents: int = 1000
    groups: int = 4
    longer: int = 8
    group_rows: int = 2**17


def run(settings: Settings, work: Work | None = None) -> Benchmark:
    """The bench, on the processor."""
    work = work or Work()
    with TemporaryDirectory() as scratch:
        scene = Scene(Path(scratch), work)
        found = compare(
            "fleet",
            lambda: scene.taken(_ours),
            {
                "a loop over events": Peer(LOOP_GOAL, _equal, lambda: lambda: scene.taken(_looped), ("pyarrow",)),
                "pandas, groupby": Peer(
                    PANDAS_GOAL, _equal, lambda: lambda: scene.taken(_grouped), ("pandas", "pyarrow")
                ),
            },
            replace(settings, device="cpu"),
            threads=1,
            notes=(
                f"{work.events:,} events of {work.agents:,} agents in {work.groups} groups, with {len(KINDS)} kinds, a "
                f"score and {len(WORDS)} different features; row groups of {work.group_rows:,}.",
                "The tests on the counts are the same for all. Ours also checks every event, and names rare ones.",
            ),
        )
        return found.model_copy(update={"figures": figures(scene)})


class Scene:
    """A register, a baseline and streams in a folder."""

    def __init__(self, folder: Path, work: Work) -> None:
        self.folder, self.work, self.fresh = folder, work, numbered()
        self.register = Register(
            agents=tuple(f"agent-{number:05d}" for number in range(work.agents)),
            groups=tuple(f"model-{number % work.groups}" for number in range(work.agents)),
        )
        rng = np.random.default_rng(0)
        self.stream = self._written("stream", work.events, rng)
        self.long = self._written("long", work.longer * work.events, rng)
        self.baseline: Baseline = fit([self._written("reference", work.events, rng)], self.register, 0.01)[0]

    def state(self) -> Path:
        """A new folder with the baseline."""
        folder = self.folder / f"state-{next(self.fresh)}"
        folder.mkdir()
        save_baseline(folder, self.baseline)
        return folder

    def watched(self, stream: Path, jobs: int = 1) -> Monitor:
        return watch(self.state(), [stream], Launch(jobs))

    def taken(self, counted: Callable[[Path, int, Baseline], np.ndarray]) -> Float[np.ndarray, "hypotheses"]:
        """The same, of counts made otherwise."""
        monitor = Monitor(self.baseline)
        for block in blocks(self.stream):
            table = counted(self.stream, block.start, self.baseline)
            kinds = table[:, : len(self.baseline.layout.all_kinds)]
            monitor.take(block, Counted(table, Health(events=int(kinds.sum()))))
        return monitor.log_e_values()

    def _written(self, name: str, events: int, rng: np.random.Generator) -> Path:
        pa, parquet = peer_package("pyarrow"), peer_package("pyarrow.parquet")
        path = self.folder / f"{name}.parquet"
        agents = rng.integers(0, self.work.agents, events)
        words = rng.geometric(0.03, events) + 20 * (agents % self.work.groups)
        names = {"agent": self.register.agents, "kind": KINDS, "feature": WORDS}
        codes = {
            "agent": agents,
            "kind": rng.choice(len(KINDS), events, p=[0.5, 0.2, 0.15, 0.1, 0.04, 0.01]),
            "feature": words % len(WORDS),
        }
        texts = {
            column: pa.DictionaryArray.from_arrays(codes[column].astype(np.int32), pa.array(names[column])).cast(
                "string"
            )
            for column in names
        }
        table = pa.table({"time": np.arange(events) / 100, **texts, "score": rng.normal(size=events)})
        parquet.write_table(table, path, row_group_size=self.work.group_rows)
        return path


def figures(scene: Scene) -> tuple[Figure, ...]:
    """Speed and memory, each measured once."""
    lines = _as_lines(scene.stream)
    events, longer = scene.work.events, scene.work.longer
    said = f"of {longer * events:,} events, in the time of the whole command but for imports"
    grown = [_growth(scene.state(), stream) / 2**20 for stream in (scene.stream, scene.long)]
    return (
        _speed("Parquet, 2 processes", scene, scene.long, 2, longer * events, said + ", start of workers included"),
        _speed("Parquet, 1 process", scene, scene.long, 1, longer * events, said),
        _speed("JSONL, 1 process", scene, lines, 1, events, f"of {events:,} events in {_megabytes(lines):.0f} MB"),
        Figure(
            name="memory",
            value=grown[1] - grown[0],
            unit="MiB more",
            at_most=MEGABYTES,
            how=f"Peak of a process for {longer * events:,} events less that for {events:,}: {grown[1]:.0f} and "
            f"{grown[0]:.0f} MiB over what it had after its imports.",
        ),
    )


def _speed(name: str, scene: Scene, stream: Path, jobs: int, events: int, how: str) -> Figure:
    began = time.perf_counter()
    scene.watched(stream, jobs)
    speed = events / (time.perf_counter() - began)
    goal = EVENTS_PER_SECOND if jobs == 2 else None
    return Figure(name=name, value=speed, unit="events a second", at_least=goal, how=f"{how[0].upper()}{how[1:]}.")


def _growth(folder: Path, stream: Path) -> int:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        return process.submit(grow, folder, stream).result()


def grow(folder: Path, stream: Path) -> int:
    """Bytes by which this process grows, at its peak. To be run in a process of its own."""
    peer_package("pyarrow.parquet")
    before: int = peer_package("psutil").Process().memory_info().rss
    watch(folder, [stream])
    return max(0, peak_memory() - before)


def _as_lines(stream: Path) -> Path:
    path = stream.with_suffix(".jsonl")
    with path.open("w", encoding="utf-8") as file:
        for batch in peer_package("pyarrow.parquet").ParquetFile(stream).iter_batches():
            file.writelines(json.dumps(row) + "\n" for row in batch.to_pylist())
    return path


def _megabytes(path: Path) -> float:
    return path.stat().st_size / 1e6


def _ours(stream: Path, group: int, baseline: Baseline) -> np.ndarray:
    [block] = [block for block in blocks(stream) if block.start == group]
    return count(block, baseline.register, baseline.layout, baseline.rare).table


def _looped(stream: Path, group: int, baseline: Baseline) -> np.ndarray:
    """As one would write it: a dictionary of counts, one event after another."""
    layout, register = baseline.layout, baseline.register
    columns = {kind: column for column, kind in enumerate(layout.kinds)}
    edges, bins, features = layout.edges["score"], layout.scores["score"].start, layout.features.start
    of_word = dict(zip(WORDS, buckets(WORDS).tolist(), strict=True))
    counts: defaultdict[tuple[int, int], int] = defaultdict(int)
    for row in peer_package("pyarrow.parquet").ParquetFile(stream).read_row_group(group).to_pylist():
        agent = register.index[row["agent"]]
        counts[agent, columns[row["kind"]]] += 1
        counts[agent, bins + sum(row["score"] >= edge for edge in edges)] += 1
        counts[agent, features + of_word[row["feature"]]] += 1
    table = np.zeros((len(register.agents), layout.width), np.int64)
    for cell, times in counts.items():
        table[cell] = times
    return table


def _grouped(stream: Path, group: int, baseline: Baseline) -> np.ndarray:
    """By pandas: `cut` for bins, a cross table for each column."""
    pandas = peer_package("pandas")
    layout, register = baseline.layout, baseline.register
    frame = peer_package("pyarrow.parquet").ParquetFile(stream).read_row_group(group).to_pandas()
    inner = [-np.inf, *layout.edges["score"], np.inf]
    frame["score"] = pandas.cut(frame["score"], inner, right=False, labels=False)
    frame["feature"] = frame["feature"].map(dict(zip(WORDS, buckets(WORDS).tolist(), strict=True)))
    frame["kind"] = frame["kind"].map({kind: column for column, kind in enumerate(layout.kinds)})
    table = np.zeros((len(register.agents), layout.width), np.int64)
    for name, start in (("kind", 0), ("score", layout.scores["score"].start), ("feature", layout.features.start)):
        sizes = frame.groupby(["agent", name]).size()
        agents, columns = zip(*sizes.index, strict=True)
        rows = [register.index[agent] for agent in agents]
        table[rows, start + np.array(columns, np.int64)] = sizes.to_numpy()
    return table


def _equal(ours: Float[np.ndarray, "hypotheses"], peer: Float[np.ndarray, "hypotheses"]) -> Equality:
    ours, peer = (np.nan_to_num(found, neginf=0.0) for found in (ours, peer))  # not worth working out, for identity
    worst = float(np.abs(ours - peer).max())
    return Equality(passed=worst <= BOUND, measured=worst, bound=BOUND, what="largest difference of a logarithm of e")
