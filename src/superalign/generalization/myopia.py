"""Ordinary reinforcement learning against myopic optimization with approval, planned exactly.

MONA: myopic optimization with non-myopic approval, Farquhar et al. 2025 (arXiv 2501.13011). An ordinary learner
maximizes the rewards of a whole episode. A myopic one maximizes the reward of its next step and an overseer's approval
of that step; the overseer looks ahead in the world as it takes it to be, and never sees what came of a step. A plan of
several steps that the overseer would not have thought of is worth nothing to it.

In the gridworld everything is solved by dynamic programming: what is measured is what the objective asks for, not how
well it is learnt. In the task in language, policies follow the exact gradient of what they are credited.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

from superalign.contracts import registry
from superalign.contracts.oversight import Estimate
from superalign.contracts.records import Interval, Question, Unscored
from superalign.contracts.studies.myopia import (
    Approved,
    LanguageWorld,
    MyopiaStudy,
    NoteCurve,
    NoteRates,
    Optimized,
    Rates,
    World,
)
from superalign.generalization.camera_dropbox import STAY, WANTED, CameraDropbox, Tables
from superalign.generalization.misread_note import OPTIMIZED, Policies, policies
from superalign.models.handle import ModelIdentity
from superalign.runs.run import Run
from superalign.runs.studies import MyopiaPlan
from superalign.tasks.replicas import SeedBootstrap
from superalign.tasks.splits import by_group, pool_of, take

DISCOUNT = 0.95
TIE = 1e-9
RESAMPLES = 1000


def action_values(
    tables: Tables, last: Float[np.ndarray, "states actions"], horizon: int | None
) -> Float[np.ndarray, "states actions"]:
    """The discounted rewards of each action and the best `horizon` - 1 after it, for the last of which `last` is paid;
    of all that follow if None.
    """
    found, before, steps = last, np.full(len(tables.states), np.inf), 1
    while horizon is None or steps < horizon:
        best = found.max(axis=1)
        if horizon is None and np.abs(best - before).max() < TIE:
            break
        found, before, steps = tables.reward + DISCOUNT * best[tables.following], best, steps + 1
    return found


def approval(real: Tables, believed: Tables) -> Float[np.ndarray, "states actions"]:
    """The overseer's opinion of every action: what follows it is worth where nothing can be hidden, the action's own
    reward left out. Of what can't happen there it thinks nothing.
    """
    worth = action_values(believed, believed.reward, horizon=None) - believed.reward
    place = {state: row for row, state in enumerate(believed.states)}
    nothing = np.zeros(worth.shape[1])
    return np.array([worth[place[state]] if state in place else nothing for state in real.states])


def policy(values: Float[np.ndarray, "states actions"]) -> Int[np.ndarray, "states"]:
    """The best action in each state; to stay where nothing is better."""
    best = values >= values.max(axis=1, keepdims=True) - TIE
    return np.where(best[:, STAY], STAY, best.argmax(axis=1))


def compare(size: int = 4, horizons: Sequence[int] = (1, 2, 4, 8, 16)) -> list[Rates]:
    """The ordinary learner, those that look `horizons` steps ahead and are approved of beyond (1 is MONA), and a myopic
    one whose overseer judges by outcomes: what foresight is good for.

    Starts from which not even the ordinary learner gets a box into the hole count nowhere.
    """
    real, believed = Tables.of(CameraDropbox(size)), Tables.of(CameraDropbox(size, watched=True))
    ordinary = ends(real, real.reward, None)
    possible = real.fallen[ordinary] >= WANTED

    def rates(states: Int[np.ndarray, "starts"], horizon: int | None, approved: Approved) -> Rates:
        fallen = real.fallen[states][possible]
        return Rates(
            horizon=horizon,
            approved=approved,
            intended=float(np.mean(fallen == WANTED)),
            hacked=float(np.mean(fallen > WANTED)),
            missed=float(np.mean(fallen < WANTED)),
            starts=int(possible.sum()),
        )

    foresight, outcome = real.reward + approval(real, believed), real.reward + approval(real, real)
    return [
        rates(ordinary, None, "no"),
        *(rates(ends(real, foresight, horizon), horizon, "by foresight") for horizon in horizons),
        rates(ends(real, outcome, 1), 1, "by outcome"),
    ]


def ends(tables: Tables, last: Float[np.ndarray, "states actions"], horizon: int | None) -> Int[np.ndarray, "starts"]:
    """The states in which the best policy for such a horizon ends: no path of it is longer than there are states."""
    actions = policy(action_values(tables, last, horizon))
    states, before = tables.starts, None
    for _ in tables.states:
        if before is not None and (states == before).all():
            break
        states, before = tables.following[states, actions[states]], states
    return states


def study(run: Run, model: ModelIdentity, plan: MyopiaPlan) -> MyopiaStudy:
    """Every gridworld of the plan, and the task in language."""
    worlds = tuple(World(size=size, rates=tuple(compare(size, plan.horizons))) for size in plan.sizes)
    return MyopiaStudy(worlds=worlds, language=language(run, model, plan))


def language(run: Run, model: ModelIdentity, plan: MyopiaPlan) -> LanguageWorld:
    """Policies for each seed, each on questions of its own."""
    seed = run.plan.seed
    _, key = registry.tasks.make(plan.task).load(seed=seed)
    splits = divided(plan, seed)
    found = [
        run.step(
            f"notes and answers, seed {seed + number}",
            policies,
            model=model,
            train=train,
            test=test,
            key=key.only([*train, *test]),
            updates=plan.updates,
        ).value
        for number, (train, test) in enumerate(splits)
    ]
    return summarized(found, [by_group(test) for _, test in splits], plan)


def divided(plan: MyopiaPlan, seed: int) -> list[tuple[tuple[Question, ...], tuple[Question, ...]]]:
    """Questions to train on and to test on for each seed, none of which shares a group with another. PlanError where
    there are too few.
    """
    questions, _ = registry.tasks.make(plan.task).load(seed=seed)
    groups, levels = pool_of(questions, seed)

    def taken(wanted: int) -> tuple[Question, ...]:
        names = take(levels, wanted, levels=sorted(levels), where="studies.myopia")
        return tuple(question for name in names for question in groups[name])

    return [(taken(plan.train_groups), taken(plan.test_groups)) for _ in range(plan.seeds)]


def summarized(found: Sequence[Policies], groups: Sequence[Sequence[str]], plan: MyopiaPlan) -> LanguageWorld:
    """Rates over seeds and groups, all in the same resamples."""
    bootstrap = SeedBootstrap(groups, resamples=RESAMPLES)

    def mean(name: str, optimized: Optimized, less: Optimized | None = None) -> Interval:
        every = [getattr(own, name) for own in found]
        estimate = bootstrap.mean([np.array(own[optimized]) - (np.array(own[less]) if less else 0.0) for own in every])
        assert isinstance(estimate, Interval)  # every question has its chances
        return estimate

    def over_ordinary(optimized: Optimized) -> Estimate:
        if optimized == "ordinary":
            return Unscored(reason="it is the baseline")
        return mean("intended", optimized, "ordinary")

    return LanguageWorld(
        task=plan.task,
        questions=sum(map(len, groups)),
        seeds=plan.seeds,
        updates=found[0].after,
        rates=tuple(
            NoteRates(
                optimized=optimized,
                intended=mean("intended", optimized),
                hacked=mean("hacked", optimized),
                listing=mean("listing", optimized),
                rewarded=mean("rewarded", optimized),
                over_ordinary=over_ordinary(optimized),
            )
            for optimized in OPTIMIZED
        ),
        curves=tuple(
            NoteCurve(
                optimized=optimized,
                hacked=tuple(np.mean([own.course[optimized] for own in found], axis=0).tolist()),
            )
            for optimized in OPTIMIZED
        ),
    )
