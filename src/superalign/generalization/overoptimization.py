"""What a learned reward is still worth when it is optimized: proxy and gold reward against distance from the start.

Gao, Schulman and Hilton 2022 (arXiv 2210.10760). For d, the square root of the KL divergence from the policy at first,
the gold reward that is gained follows d (a - b d) for best-of-n (equation 1) and d (a - b log d) for reinforcement
learning (equation 2). Here a policy chooses among given candidates, drawn evenly at first; so both policies, and their
KL divergence, are exact: best of n draws, and the optimum of reward less `temperature` times KL, which is what
reinforcement learning with a KL penalty ends at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from superalign.contracts import registry
from superalign.contracts.errors import InputError
from superalign.contracts.records import Interval, Unscored
from superalign.contracts.studies.overoptimization import (
    Combined,
    Curve,
    Optimizer,
    OveroptimizationStudy,
    Point,
    ProxyResult,
    Supervised,
)
from superalign.generalization.learned_rewards import Rewards, rewards
from superalign.generalization.policy_gradient import UPDATES
from superalign.models.handle import ModelIdentity
from superalign.runs.code_version import code_version
from superalign.runs.run import Run
from superalign.runs.studies import OveroptimizationPlan
from superalign.tasks.metrics import group_weights, percentile_interval, seed_weights

Policy = Float[np.ndarray, "prompts candidates"]
RESAMPLES = 1000
EXACT: tuple[Optimizer, ...] = ("best-of-n", "reinforcement")
VARIANCE_WEIGHT = 0.5  # of an ensemble's disagreement: what Coste et al. use for best-of-n
DRAWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
TEMPERATURES = tuple(float(t) for t in np.geomspace(16, 1 / 16, 17))


@dataclass(frozen=True)
class Candidates:
    """What may be answered to each prompt: the proxy's reward and the gold one. Prompts of a group are resampled
    together; so are those of a seed, where there are several of the proxy's training.
    """

    proxy: Float[np.ndarray, "prompts candidates"]
    gold: Float[np.ndarray, "prompts candidates"]
    groups: Sequence[str]
    seeds: Sequence[int] = ()

    def __post_init__(self) -> None:
        if self.proxy.shape != self.gold.shape or len(self.groups) != len(self.proxy) or self.proxy.shape[1] < 2:
            raise InputError(
                f"Rewards of {self.proxy.shape} and {self.gold.shape} for {len(self.groups)} groups are no candidates.",
                fix="Give both rewards of at least two candidates for every prompt, and its group.",
            )
        if not (np.isfinite(self.proxy).all() and np.isfinite(self.gold).all()):
            raise InputError("A candidate has no reward.", fix="Leave out prompts of which a reward is missing.")

    def weights(self, rng: np.random.Generator) -> Float[np.ndarray, "resamples prompts"]:
        """How often each prompt counts in each resample: of seeds, and of the groups in them."""
        seeds = np.array(self.seeds or [0] * len(self.groups))
        names = np.unique(seeds)
        drawn = len(names) * seed_weights(len(names), RESAMPLES, rng)
        found = np.zeros((RESAMPLES, len(seeds)))
        for seed, times in zip(names, drawn.T, strict=True):
            own = seeds == seed
            groups = [group for group, among in zip(self.groups, own, strict=True) if among]
            found[:, own] = times[:, None] * group_weights(groups, RESAMPLES, rng)
        return found


def best_of(candidates: Candidates, draws: float) -> Policy:
    """How likely each candidate is to be the one of the largest proxy reward among `draws`, with replacement; equal
    rewards share.
    """
    size = candidates.proxy.shape[1]
    below = (candidates.proxy[:, None, :] < candidates.proxy[:, :, None]).sum(axis=2)
    equal = (candidates.proxy[:, None, :] == candidates.proxy[:, :, None]).sum(axis=2)
    return np.asarray((((below + equal) / size) ** draws - (below / size) ** draws) / equal)


def reinforced(candidates: Candidates, temperature: float) -> Policy:
    """The policy of the largest proxy reward less `temperature` times its KL divergence from the first one. Rewards are
    in units of their spread over all candidates.
    """
    scaled = candidates.proxy / (candidates.proxy.std() or 1.0) / temperature
    weights = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def divergence(policy: Policy) -> float:
    """KL divergence from drawing evenly, in nats, on average over prompts."""
    with np.errstate(divide="ignore", invalid="ignore"):
        nats = np.where(policy > 0, policy * np.log(policy * policy.shape[1]), 0.0)
    return float(max(nats.sum(axis=1).mean(), 0.0))


def curve(candidates: Candidates, optimizer: Optimizer, *, learnt: Sequence[Policy] = (), seed: int = 0) -> Curve:
    """Rewards over all strengths of optimization; a policy `learnt` by its gradient has been looked at already.

    InputError where no strength moves the policy.
    """
    strengths, found = policies_of(candidates, optimizer, learnt)
    distances = np.sqrt([divergence(policy) for policy in found])
    if not (distances > 1e-6).any():
        raise InputError("The proxy tells no two candidates apart.", fix="Take one that does.")
    proxy, gold = (
        np.array([(policy * reward).sum(axis=1) for policy in found]) for reward in (candidates.proxy, candidates.gold)
    )
    start, weights = candidates.gold.mean(axis=1), candidates.weights(np.random.default_rng(seed))
    return traced(optimizer, strengths, distances, proxy, gold, start, weights)


def traced(
    optimizer: Optimizer,
    strengths: Sequence[float],
    distances: Float[np.ndarray, "points"],
    proxy: Float[np.ndarray, "points prompts"],
    gold: Float[np.ndarray, "points prompts"],
    start: Float[np.ndarray, "prompts"],
    weights: Float[np.ndarray, "resamples prompts"],
) -> Curve:
    """The curve through policies at these distances from the first one, whose gold reward is `start`."""
    resampled = weights @ gold.T / weights.sum(axis=1, keepdims=True)
    gained = resampled - (weights @ start / weights.sum(axis=1))[:, None]
    mean = gold.mean(axis=1) - start.mean()
    fits = np.array([fitted(distances, own, optimizer) for own in gained])
    initial, falling = fitted(distances, mean, optimizer)
    left = mean - designed(distances, optimizer) @ np.array([initial, falling])
    best, places = int(mean.argmax()), resampled.argmax(axis=1)
    return Curve(
        optimizer=optimizer,
        points=tuple(
            Point(
                strength=strength,
                distance=float(distance),
                proxy=float(own.mean()),
                gold=percentile_interval(float(true.mean()), again),
            )
            for strength, distance, own, true, again in zip(strengths, distances, proxy, gold, resampled.T, strict=True)
        ),
        initial=percentile_interval(initial, fits[:, 0]),
        falling=percentile_interval(falling, fits[:, 1]),
        peak=peak(initial, falling, float(distances.max()), optimizer),
        unexplained=float(left.var() / mean.var()) if mean.var() > 0 else 0.0,
        best=percentile_interval(strengths[best], np.array(strengths)[places]),
        lost=percentile_interval(float(mean[best] - mean[-1]), resampled[:, best] - resampled[:, -1]),
        gained=percentile_interval(float(mean[-1]), gained[:, -1]),
    )


def policies_of(
    candidates: Candidates, optimizer: Optimizer, learnt: Sequence[Policy]
) -> tuple[Sequence[float], Sequence[Policy]]:
    """The policy at each strength of optimization."""
    if optimizer == "best-of-n":
        return DRAWS, [best_of(candidates, draws) for draws in DRAWS]
    if optimizer == "reinforcement":
        return TEMPERATURES, [reinforced(candidates, temperature) for temperature in TEMPERATURES]
    return UPDATES, learnt


def designed(distances: Float[np.ndarray, "points"], optimizer: Optimizer) -> Float[np.ndarray, "points 2"]:
    """The gold reward gained is this times (a, b): equations 1 and 2."""
    safe = np.maximum(distances, 1e-12)
    falling = -(distances**2) if optimizer == "best-of-n" else -distances * np.log(safe)
    return np.stack([distances, falling], axis=1)


def fitted(
    distances: Float[np.ndarray, "points"], gained: Float[np.ndarray, "points"], optimizer: Optimizer
) -> tuple[float, float]:
    """a and b, by least squares."""
    a, b = np.linalg.lstsq(designed(distances, optimizer), gained, rcond=None)[0]
    return float(a), float(b)


def peak(initial: float, falling: float, furthest: float, optimizer: Optimizer) -> float | Unscored:
    """Where the fit is largest: a / 2b, or exp(a / b - 1)."""
    if falling <= 0 or initial <= 0:
        return Unscored(reason="the fitted gold reward does not rise and then fall")
    ratio = initial / falling
    found = ratio / 2 if optimizer == "best-of-n" else float(np.exp(min(ratio - 1, 700.0)))
    return found if found <= furthest else Unscored(reason="no distance that was measured is as far as the fit's peak")


def ensemble(proxies: Sequence[Float[np.ndarray, "prompts candidates"]], combined: Combined) -> np.ndarray:
    """One reward of several, each in units of its own spread: Coste et al. 2023 (arXiv 2310.02743)."""
    scaled = np.stack([proxy / (proxy.std() or 1.0) for proxy in proxies])
    if combined == "worst":
        return np.asarray(scaled.min(axis=0))
    less = VARIANCE_WEIGHT * scaled.var(axis=0) if combined == "mean less variance" else 0.0
    return np.asarray(scaled.mean(axis=0) - less)


def study(run: Run, model: ModelIdentity, plan: OveroptimizationPlan) -> OveroptimizationStudy:
    """Rewards learnt from comparisons of every number and kind, alone and in ensembles, each optimized both ways."""
    seed = run.plan.seed
    code = code_version(registry.tasks.factory(plan.task).__module__)
    found = [
        run.step(f"rewards, seed {seed + n}", rewards, model=model, plan=plan, number=n, seed=seed, code=code).value
        for n in range(plan.seeds)
    ]
    gold = np.concatenate([np.array(own.gold) for own in found])
    ensembles: list[Combined] = ["alone", "mean", "worst", "mean less variance"] if plan.members > 1 else ["alone"]
    return OveroptimizationStudy(
        task=plan.task,
        seeds=plan.seeds,
        prompts=len(gold),
        candidates=plan.candidates,
        steps=plan.steps,
        noise=plan.noise,
        first=float(gold.mean()),
        best=float(gold.max(axis=1).mean()),
        proxies=tuple(
            result(found, gold, supervised, comparisons, combined, plan)
            for supervised in found[0].proxy
            for comparisons in plan.comparisons
            for combined in ensembles
        ),
    )


def result(
    found: Sequence[Rewards],
    gold: Float[np.ndarray, "prompts candidates"],
    supervised: Supervised,
    comparisons: int,
    combined: Combined,
    plan: OveroptimizationPlan,
) -> ProxyResult:
    """One reward of every seed, in units of its spread there, on the candidates of all of them."""
    every = [[np.array(one) for one in own.proxy[supervised][comparisons]] for own in found]
    proxies = [ensemble(own[:1], "mean") if combined == "alone" else ensemble(own[1:], combined) for own in every]
    seeds = np.repeat(range(plan.seeds), plan.prompts)
    groups = [f"{seed} {prompt}" for prompt, seed in enumerate(seeds)]
    candidates = Candidates(np.concatenate(proxies), gold, groups, seeds.tolist())
    curves = [curve(candidates, optimizer) for optimizer in EXACT]
    if combined == "alone":
        learnt = np.concatenate([np.array(own.learnt[supervised][comparisons]) for own in found], axis=1)
        curves.append(curve(candidates, "policy gradient", learnt=list(learnt)))
    return ProxyResult(
        supervised=supervised,
        combined=combined,
        members=1 if combined == "alone" else plan.members,
        comparisons=comparisons,
        agreement=agreement(candidates),
        curves=tuple(curves),
    )


def agreement(candidates: Candidates) -> Interval:
    """Of pairs of candidates of one prompt that differ in gold reward, the share that the proxy orders alike; equal
    proxies count half.
    """
    better = candidates.gold[:, :, None] > candidates.gold[:, None, :]
    ahead = np.sign(candidates.proxy[:, :, None] - candidates.proxy[:, None, :])
    pairs, alike = better.sum(axis=(1, 2)), (better * (1 + ahead) / 2).sum(axis=(1, 2))
    weights = candidates.weights(np.random.default_rng(0))
    return percentile_interval(float(alike.sum() / pairs.sum()), weights @ alike / (weights @ pairs))
