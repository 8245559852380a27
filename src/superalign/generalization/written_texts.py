"""Texts that a model writes, rewards learnt from noisy comparisons of them, and policies trained against those.

A text names cities of a country; a program knows which are right (`tasks.city_lists`). A reward model never sees that:
it is told of two texts to one prompt which is better, now and then wrongly; or of two names (process supervision), and
a text is then worth the mean of its names. What trains a policy gets prompts and such a reward, and nothing else.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TypeVar

import numpy as np
from jaxtyping import Float
from pydantic import Field

from superalign.contracts.errors import PlanError
from superalign.contracts.records import Record
from superalign.contracts.studies.overoptimization import Combined, Supervised
from superalign.generalization.learned_rewards import Place, compared
from superalign.models.handle import ModelIdentity, open_base, recipe
from superalign.models.policy_distance import divergences
from superalign.models.subject import ModelSubject
from superalign.models.train_policy import Reinforcement, policies, written
from superalign.models.written_reward import WrittenReward, pieces, read, rewards
from superalign.runs.store import Done
from superalign.runs.studies import WrittenPolicyPlan
from superalign.tasks.city_lists import BETWEEN, conversation, countries, right, worth
from superalign.tasks.preferences import preferred_direction

Value = TypeVar("Value", str, float)
SUPERVISED: tuple[Supervised, ...] = ("outcome", "process")
Texts = tuple[tuple[str, ...], ...]
"""Several to each prompt."""


class Pools(Record):
    """What the first policy wrote, to the prompts that rewards are learnt on and to those that all is measured on."""

    learn: Texts
    test: Texts


class Learnt(Record):
    """One reward, and what it makes of the first policy's texts to test prompts."""

    supervised: Supervised
    combined: Combined
    reward: WrittenReward
    proxy: tuple[tuple[float, ...], ...]


class AllLearnt(Record):
    """Rewards of every kind; none, and why, where there was nothing to compare."""

    rewards: tuple[Learnt, ...] = ()
    lacking: str | None = None


class Look(Record):
    """A policy after so many steps, by its texts to test prompts: of each prompt the mean proxy and divergence."""

    steps: int
    texts: Texts
    proxy: tuple[float, ...]
    divergence: tuple[float, ...]


class Optimized(Record):
    """A policy on its way."""

    looks: tuple[Look, ...] = Field(min_length=1)


def divided(plan: WrittenPolicyPlan, seed: int, number: int) -> tuple[list[str], list[str], list[str]]:
    """For seed `number` the countries to learn rewards on, to train policies on, and to measure on. PlanError where
    there are too few.
    """
    found, cuts = countries(seed + number), np.cumsum([plan.learn_prompts, plan.train_prompts, plan.test_prompts])
    if cuts[-1] > len(found):
        raise PlanError(
            f"There are {len(found)} countries to ask about, and {cuts[-1]} are asked for.",
            where="studies.written_policy",
            fix="Ask for fewer prompts to learn, train and test on.",
        )
    return found[: cuts[0]], found[cuts[0] : cuts[1]], found[cuts[1] : cuts[2]]


def check(plan: WrittenPolicyPlan, seed: int) -> None:
    """The errors of dividing the countries, and of what training needs."""
    divided(plan, seed, 0)
    if find_spec("trl") is None:
        raise PlanError(
            "Policies that write their own text are trained by TRL, which is not installed.",
            where="studies.written_policy",
            fix="pip install 'superalign[training]', or leave the section out.",
        )


def golds(asked: Sequence[str], texts: Texts) -> Float[np.ndarray, "prompts texts"]:
    """What each text is truly worth."""
    return np.array([[worth(country, text) for text in own] for country, own in zip(asked, texts, strict=True)])


def first_texts(folder: Path, *, model: ModelIdentity, plan: WrittenPolicyPlan, number: int, seed: int) -> Pools:
    """What the model writes before anything is optimized."""
    learn_on, _, test = divided(plan, seed, number)
    reader = open_base(model)
    every = repeated(learn_on, plan.learn_texts) + repeated(test, plan.pool)
    by, asked = reinforcement(plan, beta=0), [reader.chat.encode(conversation(country)) for country in every]
    texts = list(map(reader.chat.decode, written(reader.decoder, reader.chat, asked, by, seed=seed + number)))
    cut = len(learn_on) * plan.learn_texts
    return Pools(learn=grouped(texts[:cut], len(learn_on)), test=grouped(texts[cut:], len(test)))


def learn(
    folder: Path, *, pools: Done[Pools], model: ModelIdentity, plan: WrittenPolicyPlan, number: int, seed: int
) -> AllLearnt:
    """Rewards of every kind, each from as many comparisons."""
    learn_on, _, test = divided(plan, seed, number)
    reader, own = open_base(model), pools.value
    asked = list(map(conversation, repeated(test, plan.pool)))
    texts = [text for of_prompt in own.test for text in of_prompt]
    found = list[Learnt]()
    for supervised in SUPERVISED:
        candidates, worths = judged(learn_on, own.learn, supervised)
        if not any(len(set(of_prompt)) > 1 for of_prompt in worths):
            return AllLearnt(lacking="all that the model wrote is worth the same, so that nothing can be compared")
        pairs = told(worths, plan, f"comparisons {seed + number} {supervised}")
        states = read_pairs(reader, plan, learn_on, candidates, pairs)
        several = supervised == "outcome" and plan.members > 1
        ways: list[Combined] = ["alone", "worst"] if several else ["alone"]
        for combined in ways:
            reward = fitted_reward(states, plan, supervised, combined, layer_of(plan, reader), seed + number)
            proxy = grouped(rewards(reward, reader, asked, texts).tolist(), len(test))
            found.append(Learnt(supervised=supervised, combined=combined, reward=reward, proxy=proxy))
    return AllLearnt(rewards=tuple(found))


def judged(
    asked: Sequence[str], texts: Texts, supervised: Supervised
) -> tuple[Sequence[Sequence[str]], list[list[float]]]:
    """What is compared of each prompt, whole texts or the different names in them, and what that is truly worth."""
    if supervised == "outcome":
        return texts, golds(asked, texts).tolist()
    names = [sorted({name for text in own for name in pieces(text, BETWEEN)}) for own in texts]
    return names, [
        [float(right(country, [name])[0]) for name in own] for country, own in zip(asked, names, strict=True)
    ]


def told(worths: Sequence[Sequence[float]], plan: WrittenPolicyPlan, draw: str) -> list[tuple[Place, Place]]:
    """Pairs, the better first, but for a share of them the worse. Prompts of fewer candidates have them repeated."""
    longest = max(map(len, worths))
    even = np.array([np.resize(own, longest) for own in worths])
    pairs = compared(even, plan.comparisons, plan.noise, random.Random(draw))
    return [
        ((prompt, one % len(worths[prompt])), (same, other % len(worths[same])))
        for (prompt, one), (same, other) in pairs
    ]


def read_pairs(
    reader: ModelSubject,
    plan: WrittenPolicyPlan,
    asked: Sequence[str],
    candidates: Sequence[Sequence[str]],
    pairs: Sequence[tuple[Place, Place]],
) -> Float[np.ndarray, "pairs 2 width"]:
    """What the reader makes of the better and the worse of each pair."""
    places = sorted({place for pair in pairs for place in pair})
    prompts = [conversation(asked[prompt]) for prompt, _ in places]
    states = read(reader, layer_of(plan, reader), prompts, [candidates[prompt][i] for prompt, i in places])
    known = dict(zip(places, states, strict=True))
    return np.array([[known[place] for place in pair] for pair in pairs])


def fitted_reward(
    states: Float[np.ndarray, "pairs 2 width"],
    plan: WrittenPolicyPlan,
    supervised: Supervised,
    combined: Combined,
    layer: int,
    seed: int,
) -> WrittenReward:
    """One direction from all comparisons, or one for each member of an ensemble, from a resample of them."""
    rng, count = np.random.default_rng(seed), len(states)
    samples = (
        [np.arange(count)] if combined == "alone" else [rng.integers(count, size=count) for _ in range(plan.members)]
    )
    directions = np.array([preferred_direction(states[own, 0], states[own, 1]) for own in samples])
    values = states.reshape(2 * count, -1) @ directions.T
    return WrittenReward(
        layer=layer,
        directions=tuple(map(tuple, directions.tolist())),
        centre=tuple(values.mean(axis=0).tolist()),
        spread=tuple((values.std(axis=0) + 1e-9).tolist()),
        members="mean" if combined == "alone" else "worst",
        pieces=BETWEEN if supervised == "process" else None,
    )


def optimized(
    folder: Path,
    *,
    reward: WrittenReward,
    beta: float,
    model: ModelIdentity,
    plan: WrittenPolicyPlan,
    number: int,
    seed: int,
) -> Optimized:
    """A policy trained against `reward`, looked at on its way by what it writes to prompts not trained on."""
    _, train, test = divided(plan, seed, number)
    base, by = open_base(model), reinforcement(plan, beta)
    every = list(map(conversation, repeated(test, plan.written)))
    tokens = list(map(base.chat.encode, every))
    found = list[Look]()
    trained = policies(
        base, list(map(conversation, train)), reward, recipe(plan.training, base), by, seed=seed + number
    )
    for steps, policy in trained:
        answers = written(policy, base.chat, tokens, by, seed=seed + number)
        texts = list(map(base.chat.decode, answers))
        distance = divergences(policy, base.decoder, tokens, answers, plan.temperature)
        proxy = rewards(reward, base, every, texts)
        found.append(
            Look(
                steps=steps,
                texts=grouped(texts, len(test)),
                proxy=tuple(proxy.reshape(len(test), -1).mean(axis=1).tolist()),
                divergence=tuple(distance.reshape(len(test), -1).mean(axis=1).tolist()),
            )
        )
    return Optimized(looks=tuple(found))


def reinforcement(plan: WrittenPolicyPlan, beta: float) -> Reinforcement:
    steps = plan.training.steps
    return Reinforcement(
        samples=plan.samples,
        beta=beta,
        temperature=plan.temperature,
        tokens=plan.tokens,
        looks=tuple(sorted({-(-steps * look // plan.looks) for look in range(1, plan.looks + 1)})),
    )


def layer_of(plan: WrittenPolicyPlan, reader: ModelSubject) -> int:
    return max(1, round(plan.depth * reader.layers))


def repeated(asked: Sequence[str], times: int) -> list[str]:
    return [country for country in asked for _ in range(times)]


def grouped(values: Sequence[Value], prompts: int) -> tuple[tuple[Value, ...], ...]:
    """Values of prompts one after another, as many of each."""
    each = len(values) // prompts
    return tuple(tuple(values[start : start + each]) for start in range(0, len(values), each))
