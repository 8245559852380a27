"""Over-optimization where the policy writes its own text: best of n, and GRPO through TRL, against learned rewards.

Gao, Schulman and Hilton 2022 (arXiv 2210.10760), as in `overoptimization`; there policies choose among given answers.
For the best of n, n of many texts are drawn without replacement, and log n - (n - 1) / n bounds the KL divergence from
the first policy. A policy trained by GRPO is looked at on the way: proxy, gold reward and KL divergence are means over
what it writes to prompts that it was not trained on.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import comb, log

import numpy as np

from superalign.contracts.records import Unscored
from superalign.contracts.studies.overoptimization import Curve
from superalign.contracts.studies.written_policy import RewardResult, TrainedPolicy, WrittenPolicyStudy
from superalign.generalization.overoptimization import Candidates, Policy, agreement, traced
from superalign.generalization.written_texts import (
    AllLearnt,
    Learnt,
    Optimized,
    Texts,
    divided,
    first_texts,
    golds,
    learn,
    optimized,
)
from superalign.models.handle import ModelIdentity
from superalign.runs.run import Run
from superalign.runs.store import Done
from superalign.runs.studies import WrittenPolicyPlan
from superalign.tasks.city_lists import named
from superalign.tasks.metrics import percentile_interval


def study(run: Run, model: ModelIdentity, plan: WrittenPolicyPlan) -> WrittenPolicyStudy:
    """Rewards of every kind, each optimized both ways in every seed."""
    seed, numbers = run.plan.seed, range(plan.seeds)
    asked = [divided(plan, seed, n)[2] for n in numbers]
    tests, learnt = list[Texts](), list[AllLearnt]()
    for n in numbers:
        own = {"model": model, "plan": plan, "number": n, "seed": seed}
        pools = run.step(f"first texts, seed {n}", first_texts, **own)
        learnt.append(run.step(f"rewards of texts, seed {n}", learn, pools=pools, **own).value)
        tests.append(pools.value.test)
    gold = np.concatenate([golds(own, texts) for own, texts in zip(asked, tests, strict=True)])
    groups, seeds = [country for own in asked for country in own], np.repeat(numbers, plan.test_prompts).tolist()
    first = Candidates(gold, gold, groups, seeds)
    weights = first.weights(np.random.default_rng(0))
    lacking = next((own.lacking for own in learnt if own.lacking), None)

    def result(rewards: Sequence[Learnt]) -> RewardResult:
        """One reward of every seed."""
        supervised, combined = rewards[0].supervised, rewards[0].combined
        candidates = Candidates(np.concatenate([np.array(own.proxy) for own in rewards]), gold, groups, seeds)
        betas = plan.betas if (supervised, combined) == ("outcome", "alone") else plan.betas[:1]
        return RewardResult(
            supervised=supervised,
            combined=combined,
            members=1 if combined == "alone" else plan.members,
            agreement=agreement(candidates),
            best_of=best_of_pool(candidates),
            trained=tuple(
                trained(beta, [one.value for one in optimized_against(rewards, beta)], candidates, asked, tests)
                for beta in betas
            ),
        )

    def optimized_against(rewards: Sequence[Learnt], beta: float) -> list[Done[Optimized]]:
        label = f"policy against {rewards[0].supervised} {rewards[0].combined}, beta {beta:g}"
        return [
            run.step(
                f"{label}, seed {n}",
                optimized,
                reward=own.reward,
                beta=beta,
                model=model,
                plan=plan,
                number=n,
                seed=seed,
            )
            for n, own in enumerate(rewards)
        ]

    return WrittenPolicyStudy(
        seeds=plan.seeds,
        prompts=len(gold),
        pool=plan.pool,
        written=plan.written,
        comparisons=plan.comparisons,
        noise=plan.noise,
        temperature=plan.temperature,
        steps=plan.training.steps,
        batch=plan.training.batch,
        first=percentile_interval(float(gold.mean()), weights @ gold.mean(axis=1) / weights.sum(axis=1)),
        rewards=Unscored(reason=lacking)
        if lacking is not None
        else tuple(result(rewards) for rewards in zip(*(own.rewards for own in learnt), strict=True)),
    )


def best_of_pool(candidates: Candidates) -> Curve:
    """Best of n of the first policy's texts, n being powers of 2 up to all there are. Distances are those of continuous
    rewards: bounds, where texts share theirs.
    """
    size = candidates.proxy.shape[1]
    draws = [2**power for power in range(size.bit_length()) if 2**power <= size]
    chosen = [best_without_replacement(candidates, n) for n in draws]
    return traced(
        "best-of-n",
        [float(n) for n in draws],
        np.sqrt([log(n) - (n - 1) / n for n in draws]),
        np.array([(policy * candidates.proxy).sum(axis=1) for policy in chosen]),
        np.array([(policy * candidates.gold).sum(axis=1) for policy in chosen]),
        candidates.gold.mean(axis=1),
        candidates.weights(np.random.default_rng(0)),
    )


def best_without_replacement(candidates: Candidates, draws: int) -> Policy:
    """How likely each candidate is to have the largest proxy reward among `draws` different ones; equal rewards share.
    So its mean gold reward estimates that of fresh texts without bias.
    """
    size = candidates.proxy.shape[1]
    chance = np.array([comb(count, draws) / comb(size, draws) for count in range(size + 1)])
    below = (candidates.proxy[:, None, :] < candidates.proxy[:, :, None]).sum(axis=2)
    equal = (candidates.proxy[:, None, :] == candidates.proxy[:, :, None]).sum(axis=2)
    return np.asarray((chance[below + equal] - chance[below]) / equal)


def trained(
    beta: float,
    policies: Sequence[Optimized],
    first: Candidates,
    asked: Sequence[Sequence[str]],
    pools: Sequence[Texts],
) -> TrainedPolicy:
    """The policies of all seeds, from the first policy on: `pools` are its texts, `first` what they are worth."""
    start, weights = first.gold.mean(axis=1), first.weights(np.random.default_rng(0))
    looks = list(zip(*(own.looks for own in policies), strict=True))
    gold = [
        np.concatenate([golds(a, own.texts).mean(axis=1) for a, own in zip(asked, at, strict=True)]) for at in looks
    ]
    proxy = [np.concatenate([own.proxy for own in at]) for at in looks]
    moved = np.array([np.zeros_like(start), *(np.concatenate([own.divergence for own in at]) for at in looks)])
    resampled = weights @ moved.T / weights.sum(axis=1, keepdims=True)
    return TrainedPolicy(
        beta=beta,
        curve=traced(
            "reinforcement",
            [0.0, *(float(at[0].steps) for at in looks)],
            np.sqrt(moved.mean(axis=1)),
            np.array([first.proxy.mean(axis=1), *proxy]),
            np.array([start, *gold]),
            start,
            weights,
        ),
        divergence=tuple(
            percentile_interval(float(own.mean()), again) for own, again in zip(moved, resampled.T, strict=True)
        ),
        names=(length(pools), *(length([own.texts for own in at]) for at in looks)),
        example=policies[0].looks[-1].texts[0][0],
    )


def length(seeds: Sequence[Texts]) -> float:
    """Names of a text, on average."""
    return float(np.mean([len(named(text)) for texts in seeds for own in texts for text in own]))
