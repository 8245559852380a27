"""Answers whose worth is known, and rewards learnt from noisy comparisons of them.

An answer is a few steps out of those that a task takes, and its gold reward is the share of them that are right. A
reward model never sees that: it is told of two answers which is better, now and then wrongly. It compares whole answers
(outcome supervision) or single steps (process supervision: Lightman et al. 2023, arXiv 2305.20050); an answer is then
worth the mean of its steps.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int
from pydantic import Field

from superalign.contracts import registry
from superalign.contracts.errors import PlanError
from superalign.contracts.protocols import EvidenceTask, Subject
from superalign.contracts.records import Message, Record
from superalign.contracts.studies.overoptimization import Supervised
from superalign.generalization.policy_gradient import course
from superalign.models.handle import ModelIdentity, open_base
from superalign.runs.studies import OveroptimizationPlan
from superalign.tasks.preferences import preferred_direction

PROMPT = "Is every step right?"
GROUPS = 8  # of the task that a prompt's steps are taken from: one right and one wrong step of each
POOLS = 8  # prompts that comparisons are made on, none of which is optimized on
Step = tuple[str, bool]
"""A line, and whether it is right."""
Place = tuple[int, int]
"""A prompt, and one of its candidates or steps."""
Ensemble = tuple[tuple[tuple[float, ...], ...], ...]
"""For each member a reward of every candidate to every prompt."""


class Rewards(Record):
    """Of every candidate to every prompt of one seed. `proxy` by what was compared and by the number of comparisons:
    one reward that learnt from all comparisons as they are, then those of an ensemble.
    """

    gold: tuple[tuple[float, ...], ...]
    proxy: dict[Supervised, dict[int, Ensemble]]
    learnt: dict[Supervised, dict[int, Ensemble]] = Field(
        description="What a policy becomes by its gradient on the first of those, instead of members by updates."
    )


@dataclass(frozen=True)
class Prompts:
    """For each prompt its steps, and the candidates as places among them."""

    steps: Sequence[Sequence[Step]]
    candidates: Int[np.ndarray, "prompts candidates steps"]

    @property
    def right(self) -> Float[np.ndarray, "prompts pool"]:
        return np.array([[right for _, right in own] for own in self.steps], dtype=float)

    @property
    def gold(self) -> Float[np.ndarray, "prompts candidates"]:
        """The share of right steps."""
        return np.stack([own[places].mean(axis=1) for own, places in zip(self.right, self.candidates, strict=True)])

    def lines(self, supervised: Supervised) -> dict[Place, tuple[str, ...]]:
        """What is read of every candidate, or of every step by itself; prompt by prompt."""
        if supervised == "process":
            return {(prompt, i): (line,) for prompt, own in enumerate(self.steps) for i, (line, _) in enumerate(own)}
        return {
            (prompt, i): tuple(self.steps[prompt][step][0] for step in steps)
            for prompt, own in enumerate(self.candidates)
            for i, steps in enumerate(own)
        }

    def valued(
        self, rewards: Float[np.ndarray, "read"], supervised: Supervised
    ) -> Float[np.ndarray, "prompts candidates"]:
        """The reward of every candidate, from the rewards of what `lines` has: its own, or the mean of its steps'."""
        by_prompt = rewards.reshape(len(self.steps), -1)
        if supervised == "outcome":
            return np.asarray(by_prompt)
        return np.stack([own[steps].mean(axis=1) for own, steps in zip(by_prompt, self.candidates, strict=True)])


def prompts_of(plan: OveroptimizationPlan, seed: int) -> list[tuple[Prompts, Prompts]]:
    """For each seed the prompts to learn on, and those to optimize on; none shares a group with another. PlanError for
    a task with too few groups, or without steps that are right or wrong by themselves.
    """
    task = registry.tasks.make(plan.task)
    pools = list(_pools(task, seed)) if isinstance(task, EvidenceTask) else []
    size = POOLS + plan.prompts
    if len(pools) < plan.seeds * size:
        raise PlanError(
            f"{plan.task!r} has steps for {len(pools)} prompts, and {plan.seeds * size} are asked for.",
            where="studies.overoptimization",
            fix="Ask for fewer prompts or seeds, or name a task whose evidence is steps, such as table-chain.",
        )
    found = []
    for number in range(plan.seeds):
        own, draw = pools[number * size :][:size], f"{seed + number}"
        learn = _with_candidates(own[:POOLS], plan, f"{draw} learn")
        found.append((learn, _with_candidates(own[POOLS:], plan, f"{draw} optimize")))
    return found


def rewards(
    folder: Path,
    *,
    model: ModelIdentity,
    plan: OveroptimizationPlan,
    number: int,
    seed: int,
    code: str,
) -> Rewards:
    """What reward models of every kind make of the candidates of seed `number`. `code`, the version of the task, counts
    only in the step's key.
    """
    learn, optimize = prompts_of(plan, seed)[number]
    reader = open_base(model)
    layer = max(1, round(plan.depth * reader.layers))
    proxy: dict[Supervised, dict[int, Ensemble]] = {"outcome": {}, "process": {}}
    learnt: dict[Supervised, dict[int, Ensemble]] = {"outcome": {}, "process": {}}
    answers = _read(reader, layer, list(optimize.lines("outcome").values()))
    for supervised, own in proxy.items():
        worth = learn.gold if supervised == "outcome" else learn.right
        rng = random.Random(f"comparisons {seed + number} {supervised}")
        pairs = compared(worth, max(plan.comparisons), plan.noise, rng)
        places = sorted({place for pair in pairs for place in pair})
        lines = learn.lines(supervised)
        known = dict(zip(places, _read(reader, layer, [lines[place] for place in places]), strict=True))
        better, worse = (np.array([known[pair[side]] for pair in pairs]) for side in (0, 1))
        wanted = answers if supervised == "outcome" else _read(reader, layer, list(optimize.lines("process").values()))
        for count in plan.comparisons:
            own[count] = tuple(
                _rows(optimize.valued(wanted @ direction, supervised))
                for direction in _directions(better[:count], worse[:count], plan.members, seed + number)
            )
            policies = course(answers.reshape(*optimize.gold.shape, -1), np.array(own[count][0]))
            learnt[supervised][count] = tuple(map(_rows, policies))
    return Rewards(gold=_rows(optimize.gold), proxy=proxy, learnt=learnt)


def compared(
    worth: Float[np.ndarray, "prompts any"], count: int, noise: float, rng: random.Random
) -> list[tuple[Place, Place]]:
    """So many pairs of different worth, each of one prompt, the better first; but for a share `noise`, the worse. The
    first are the same whatever `count` is.
    """
    pairs = list[tuple[Place, Place]]()
    while len(pairs) < count:
        prompt = rng.randrange(len(worth))
        one, other = (rng.randrange(worth.shape[1]) for _ in range(2))
        if worth[prompt, one] != worth[prompt, other]:
            wrong = rng.random() < noise
            better, worse = (one, other) if (worth[prompt, one] > worth[prompt, other]) != wrong else (other, one)
            pairs.append(((prompt, better), (prompt, worse)))
    return pairs


def _pools(task: EvidenceTask, seed: int) -> Iterator[list[Step]]:
    """For each prompt one right and one wrong step of each of its groups, none of which is met twice."""
    questions, _ = task.load(seed=seed)
    of_group: dict[str, dict[bool, set[str]]] = {}
    for question in questions:
        for line, bearing in zip(question.evidence, task.bearing(question), strict=True):
            if bearing:
                of_group.setdefault(question.group, {True: set(), False: set()})[bearing > 0].add(line)
    rng = random.Random(f"steps {seed}")
    groups = list(of_group.values())
    rng.shuffle(groups)
    pool, taken = list[Step](), set[str]()
    for own in groups:
        new = {right: sorted(lines - taken) for right, lines in own.items()}
        if all(new.values()):
            chosen = [(rng.choice(lines), right) for right, lines in new.items()]
            pool, taken = [*pool, *chosen], taken | {line for line, _ in chosen}
        if len(pool) == 2 * GROUPS:
            yield pool
            pool = []


def _with_candidates(pools: Sequence[Sequence[Step]], plan: OveroptimizationPlan, draw: str) -> Prompts:
    rng = random.Random(f"candidates {draw}")
    drawn = [[rng.sample(range(len(pool)), plan.steps) for _ in range(plan.candidates)] for pool in pools]
    return Prompts(pools, np.array(drawn))


def _read(reader: Subject, layer: int, texts: Sequence[Sequence[str]]) -> Float[np.ndarray, "texts width"]:
    """What the reader makes of lines, where its answer begins."""
    asked = [(Message(role="user", content="\n".join([*lines, PROMPT])),) for lines in texts]
    return np.asarray(reader.activations(asked, [layer])[:, 0].astype(np.float64))


def _directions(
    better: Float[np.ndarray, "pairs width"], worse: Float[np.ndarray, "pairs width"], members: int, seed: int
) -> Iterator[Float[np.ndarray, "width"]]:
    """A reward from all comparisons; then one for each member of an ensemble, from a resample of them."""
    rng = np.random.default_rng(seed)
    yield preferred_direction(better, worse)
    for _ in range(members if members > 1 else 0):
        again = rng.integers(len(better), size=len(better))
        yield preferred_direction(better[again], worse[again])


def _rows(values: Float[np.ndarray, "prompts candidates"]) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(row) for row in values.tolist())
