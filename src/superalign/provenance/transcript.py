"""The transcript of a training: what was taught in which order, and what the weights were on the way, in a signed log.

The log is a `Ledger`: it opens with a declaration and the first state, then has an entry per segment of steps with the
digests of their batches and of the state they led to, and closes with the models that were left. Proof-of-Learning (Jia
et al. 2021, arXiv 2103.05633) keeps the same; here everything is committed before anybody draws what is replayed.
"""

from __future__ import annotations

import hashlib
import math
import random
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from superalign.contracts.errors import LedgerError
from superalign.contracts.records import Record
from superalign.provenance import ledger
from superalign.provenance.ledger import Entry

LEDGER = "ledger.db"
STATES, LESSONS = "states", "lessons"  # folders beside it
BEGINS, SEGMENT, ENDS = "training begins", "segment", "training ends"

Outcome = Literal["sound", "refused", "unscored"]


class Machine(Record):
    """What the bits of a training hang on, beside code and versions. `features` is a digest of the processor's."""

    system: str
    processor: str
    features: str
    device: str
    threads: int = Field(ge=1, le=4096)


class State(Record):
    """Digests of weights, optimizer and random generators after `step` steps; `file` holds their tensors."""

    step: int
    weights: str
    optimizer: str
    random: str
    file: str


class Learner(Record):
    """One of the models that were trained: its seed, the digest of its lessons, the card of its earlier model."""

    seed: int
    lessons_digest: str
    start: str | None = None


class Declaration(Record):
    """What is claimed before the first step, with the state that this starts from.

    `recipe` and `learners` say how the training can be done again by superalign alone; a loop of the user's has none.
    """

    format: Literal[1] = 1
    base: str
    base_digest: str | None
    recipe: dict[str, Any] | None = None
    learners: tuple[Learner, ...] = ()
    every: int = Field(ge=1, description="Steps from one kept state to the next.")
    parameters: tuple[str, ...]
    code: str
    versions: dict[str, str]
    machine: Machine
    notes: dict[str, str] = Field(default_factory=dict)
    first: State


class Segment(Record):
    """Steps `first` to `last`, counted from 1: each one's batch, as a digest, and learning rate; and where they led."""

    number: int
    first: int
    last: int
    batches: tuple[str, ...]
    learning_rates: tuple[float, ...]
    state: State


class Ending(Record):
    """How many steps there were, and for each model the sha256 of its files by name."""

    steps: int
    models: tuple[dict[str, str], ...]
    split_for_memory: bool = False


class Transcript(Record):
    """A log that was found sound. `root` is that of all its entries."""

    root: str
    public_key: str
    declared: Declaration
    segments: tuple[Segment, ...]
    ending: Ending

    def before(self, segment: Segment) -> State:
        """The state that `segment` starts from."""
        return self.segments[segment.number - 2].state if segment.number > 1 else self.declared.first

    @property
    def states(self) -> tuple[State, ...]:
        return (self.declared.first, *(segment.state for segment in self.segments))


class Check(Record):
    """One thing that was looked at. `unscored` is what could not be looked at, and never counts as sound."""

    name: str
    outcome: Outcome
    says: str


def read(folder: Path, public_key: str | None = None) -> tuple[Transcript | None, list[Check]]:
    """The transcript in `folder`, if its log is sound, and what was checked of it: every signature, the order and
    number of the entries, and that no step is missing.

    `public_key` (hex) is the key it must be signed with, where that is known. LedgerError when there is no log at all.
    """
    path = folder / LEDGER
    if not path.is_file():
        raise LedgerError("There is no transcript here.", where=str(folder), fix="Give a folder with a ledger.db.")
    try:
        report = ledger.verify(path, public_key)
        entries = ledger.read(path)
    except LedgerError as error:
        return None, [Check(name="log", outcome="refused", says=error.what)]
    checks = [Check(name="log", outcome="sound", says=f"{report.entries} entries, root {report.root[:16]}")]
    try:
        declared, segments, ending = _parsed(entries)
    except ValueError as error:
        return None, [*checks, Check(name="steps", outcome="refused", says=str(error))]
    says = f"{ending.steps} steps in {len(segments)} segments, none missing"
    found = Transcript(
        root=report.root, public_key=report.public_key, declared=declared, segments=segments, ending=ending
    )
    return found, [*checks, Check(name="steps", outcome="sound", says=says)]


def _parsed(entries: list[Entry]) -> tuple[Declaration, tuple[Segment, ...], Ending]:
    """The log's records. ValueError says what is out of place: nothing may be missing, doubled, moved or left over."""
    kinds = [entry.kind for entry in entries]
    if kinds[:1] != [BEGINS]:
        raise ValueError("the log does not open with a declaration")
    if kinds[-1] != ENDS:
        raise ValueError("the log has no end: the training was cut short, or its tail was cut off")
    if any(kind != SEGMENT for kind in kinds[1:-1]):
        raise ValueError("the log begins or ends more than once, or holds entries of another kind")
    try:
        declared = Declaration.model_validate(entries[0].body)
        segments = tuple(Segment.model_validate(entry.body) for entry in entries[1:-1])
        ending = Ending.model_validate(entries[-1].body)
    except ValidationError as error:
        problem = error.errors()[0]
        raise ValueError(f"an entry can't be read: {'.'.join(map(str, problem['loc']))}: {problem['msg']}") from None
    if declared.first.step != 0:
        raise ValueError(f"the first state is that after step {declared.first.step}, not before step 1")
    done = 0
    for number, segment in enumerate(segments, start=1):
        steps = segment.last - segment.first + 1
        if segment.number != number or segment.first != done + 1:
            raise ValueError(
                f"segment {number} has steps {segment.first} to {segment.last} (its number is {segment.number}),"
                f" after step {done}"
            )
        if not 1 <= steps <= declared.every:
            raise ValueError(f"segment {number} has {steps} steps, where {declared.every} were declared")
        if not steps == len(segment.batches) == len(segment.learning_rates) or segment.state.step != segment.last:
            raise ValueError(f"segment {number} does not tell of each of its steps once")
        done = segment.last
    if not segments or done != ending.steps:
        raise ValueError(f"the log ends after step {done}, and says {ending.steps}")
    return declared, segments, ending


def drawn(transcript: Transcript, count: int, seed: int) -> list[Segment]:
    """`count` segments to be replayed, drawn by `seed` and the log's root: whoever wrote the log could not know them,
    as long as the seed was not known either. All of them when `count` is at least as large.
    """
    material = hashlib.sha256(f"superalign inspect {seed} {transcript.root}".encode()).digest()
    generator = random.Random(int.from_bytes(material, "big"))
    picked = generator.sample(transcript.segments, min(count, len(transcript.segments)))
    return sorted(picked, key=lambda segment: segment.number)


def chance_of_missing(segments: int, replayed: int, forged: int = 1) -> float:
    """The probability that none of `forged` segments is among `replayed` ones drawn from all, without replacement."""
    replayed, forged = min(replayed, segments), min(forged, segments)
    return math.comb(segments - forged, replayed) / math.comb(segments, replayed)
