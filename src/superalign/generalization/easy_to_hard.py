"""Easy-to-hard: taught the truth of easy questions, how right is a model about harder ones?

Sun et al. 2024 (arXiv 2403.09472), evaluators and generators apart; Hase et al. 2024 (arXiv 2401.06751), supervision
gap recovered, SGR = (easy - zero-shot) / (hard - zero-shot). Hard is here a model that was taught the very level that
is tested. All models are taught equally many groups, by one recipe.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from superalign.contracts import registry
from superalign.contracts.errors import PlanError
from superalign.contracts.generalization import PGR
from superalign.contracts.protocols import AnswerKey, Taught
from superalign.contracts.records import Interval, Question, Unscored
from superalign.contracts.studies.easy_to_hard import EasyToHard, Role, RoleLevels, TrainedUpTo
from superalign.generalization.pgr import PairedBootstrap, pgr
from superalign.generalization.weak_to_strong import lessons
from superalign.models.handle import ModelIdentity
from superalign.models.teach import TrainedModel, answer, respond, taught
from superalign.runs.run import Run
from superalign.runs.store import Done
from superalign.runs.studies import EasyToHardPlan
from superalign.tasks.choices import MAX_TOKENS, Choice, choice_lessons, choices, named
from superalign.tasks.metrics import accuracy, percentile_interval
from superalign.tasks.splits import by_group, pool_of, take

WHERE = "studies.easy_to_hard"


class Material(NamedTuple):
    """What one kind of models is taught: the levels up to one, or one level alone, which of the easiest is the same."""

    level: int
    alone: bool


# Answers of models to the same things: one row for each seed.
Answers = Float[np.ndarray, "seeds things"]


@dataclass(frozen=True)
class Levels:
    """Questions by who sees them. Those of the test are shared by all models, and their groups are in no lesson."""

    taught: dict[Material, tuple[Question, ...]]
    test: tuple[Question, ...]
    key: AnswerKey
    names: tuple[str, ...]


@dataclass(frozen=True)
class Asked:
    """What models in one role are asked, how it is answered rightly, and at which level."""

    role: Role
    truth: Bool[np.ndarray, "things"]
    groups: tuple[str, ...]
    levels: tuple[int, ...]


def divided(plan: EasyToHardPlan, seed: int) -> Levels:
    """The task's questions, divided as the plan says. PlanError when there are too few groups or levels."""
    task = registry.tasks.make(plan.task)
    questions, key = task.load(seed=seed)
    groups, pool = pool_of(questions, seed)
    levels = sorted(pool)
    if len(levels) < 2:
        raise PlanError(
            f"The task {plan.task!r} has one level only: nothing in it is harder than the rest.",
            where=f"{WHERE}.task",
            fix="Name a task of several levels; see `superalign tasks list`.",
        )
    test = take(pool, plan.test_groups * len(levels), levels=levels, where=WHERE)

    def drawn(own: Sequence[int]) -> tuple[Question, ...]:
        left = {level: list(pool[level]) for level in own}
        names = take(left, plan.train_groups, levels=own, where=WHERE)
        return tuple(question for name in names for question in groups[name])

    easier = {Material(level, False): drawn(levels[: place + 1]) for place, level in enumerate(levels[:-1])}
    alone = {Material(level, True): drawn([level]) for level in levels[1:]}
    tested = tuple(question for name in test for question in groups[name])
    return Levels(easier | alone, tested, key, task.level_names)


def study(run: Run, model: ModelIdentity, plan: EasyToHardPlan) -> EasyToHard:
    """Teach evaluators and generators on every choice of levels, and ask all of them about all levels."""
    questions = divided(plan, run.plan.seed)
    asked = Asked("evaluator", questions.key.of(questions.test), *grouped(questions.test))
    evaluated = evaluators(run, model, plan, questions)
    pairs = paired(questions)
    found = {
        "evaluator": measured(asked, evaluated, plan, run.plan.seed),
        "chooser": pairs if isinstance(pairs, Unscored) else choosing(evaluated, questions, pairs, plan, run.plan.seed),
        "generator": pairs if isinstance(pairs, Unscored) else generating(run, model, plan, questions, pairs),
    }
    return EasyToHard(
        task=plan.task,
        level_names=questions.names,
        train_groups=plan.train_groups,
        test_questions=tuple(asked.levels.count(level) for level in sorted(set(asked.levels))),
        seeds=plan.seeds,
        **found,
    )


def grouped(things: Sequence[Question]) -> tuple[tuple[str, ...], tuple[int, ...]]:
    return tuple(by_group(things)), tuple(thing.level for thing in things)


def trained(
    run: Run,
    name: str,
    material: Mapping[Material, Sequence[Taught]],
    model: ModelIdentity,
    plan: EasyToHardPlan,
) -> dict[Material, list[Done[TrainedModel]]]:
    """Models for each set of lessons, one for each seed, all in one step."""
    models = taught(
        run,
        f"{name} on {plan.task}",
        [own for own in material.values() for _ in range(plan.seeds)],
        [*range(plan.seeds)] * len(material),
        model=model,
        training=plan.training,
    )
    return {kind: models[place * plan.seeds :][: plan.seeds] for place, kind in enumerate(material)}


def evaluators(
    run: Run, model: ModelIdentity, plan: EasyToHardPlan, questions: Levels
) -> dict[Material | None, Answers]:
    """Margins on the test, of each kind of models; None: of the one that was taught nothing."""
    material = {kind: lessons(own, questions.key.of(own).tolist()) for kind, own in questions.taught.items()}
    made = trained(run, "evaluators", material, model, plan)

    def answers(label: str, own: Done[TrainedModel] | None) -> tuple[float, ...]:
        name = f"{label} on {plan.task}"
        return run.step(name, answer, model=model, questions=questions.test, trained=own).value.margins

    found: dict[Material | None, Answers] = {None: np.array([answers("zero-shot", None)])}
    for kind, models in made.items():
        found[kind] = np.array([answers(f"{said(kind)} {seed}", own) for seed, own in enumerate(models, start=1)])
    return found


def said(kind: Material) -> str:
    return f"level {kind.level} alone" if kind.alone else f"levels to {kind.level}"


def paired(questions: Levels) -> dict[str, Choice] | Unscored:
    """The choice that each group is; none where the task's questions are no such pairs."""
    everything = dict.fromkeys((*questions.test, *(q for own in questions.taught.values() for q in own)))
    found = choices(tuple(everything), seed=0)
    missing = [own for own in found.values() if isinstance(own, Unscored)]
    return missing[0] if missing else {name: own for name, own in found.items() if isinstance(own, Choice)}


def choices_of_test(questions: Levels, pairs: dict[str, Choice], role: Role) -> tuple[list[Choice], Asked]:
    """The choices of the test: is it the first of the two? It is in every other one."""
    asked = []
    for place, group in enumerate(dict.fromkeys(by_group(questions.test))):
        own = pairs[group]
        first_is_right = questions.key.truth[own.questions[0].id]
        asked.append(own if first_is_right == (place % 2 == 0) else own.turned)
    firsts = [own.questions[0] for own in asked]
    return asked, Asked(role, questions.key.of(firsts), *grouped(firsts))


def choosing(
    evaluated: Mapping[Material | None, Answers],
    questions: Levels,
    pairs: dict[str, Choice],
    plan: EasyToHardPlan,
    seed: int,
) -> RoleLevels:
    """The evaluators' choice between the answers that generators choose from: the one that it says yes to more."""
    tested, asked = choices_of_test(questions, pairs, "choosing evaluator")
    place = {question.id: at for at, question in enumerate(questions.test)}
    first, second = ([place[own.questions[side].id] for own in tested] for side in (0, 1))
    ahead = {kind: margins[:, first] - margins[:, second] for kind, margins in evaluated.items()}
    return measured(asked, ahead, plan, seed)


def generating(
    run: Run, model: ModelIdentity, plan: EasyToHardPlan, questions: Levels, pairs: dict[str, Choice]
) -> RoleLevels:
    """What generators of every kind name."""
    tested, asked = choices_of_test(questions, pairs, "generator")
    material = {
        kind: choice_lessons([pairs[group] for group in dict.fromkeys(by_group(own))], questions.key)
        for kind, own in questions.taught.items()
    }
    made: list[tuple[Material | None, Sequence[Done[TrainedModel] | None]]] = [(None, [None])]
    made += trained(run, "generators", material, model, plan).items()
    conversations = tuple(own.asked for own in tested)
    found: dict[Material | None, Answers] = {}
    for kind, models in made:
        rows = []
        for number, own in enumerate(models, start=1):
            name = f"{said(kind)} {number}" if kind else "zero-shot"
            done = run.step(
                f"{name} names on {plan.task}",
                respond,
                model=model,
                conversations=conversations,
                max_tokens=MAX_TOKENS,
                trained=own,
            )
            rows.append([leaning(text, pair) for text, pair in zip(done.value.said, tested, strict=True)])
        found[kind] = np.array(rows)
    return measured(asked, found, plan, run.plan.seed)


def leaning(text: str | Unscored, pair: Choice) -> float:
    """1 for the first of the two, -1 for the second, 0 where not one of both is named: half right, as a guess is."""
    chosen = named(text, pair)
    return 0.0 if isinstance(chosen, Unscored) else 1.0 if chosen == pair.questions[0] else -1.0


def measured(
    asked: Asked,
    found: Mapping[Material | None, Answers],
    plan: EasyToHardPlan,
    seed: int,
) -> RoleLevels:
    """Accuracy at each level, and how much of what its own labels bring easier ones recover: all at one level in the
    same resamples.
    """
    levels = sorted(set(asked.levels))
    accuracies: dict[Material | None, list[Interval]] = {kind: [] for kind in found}
    recovered: dict[Material, list[PGR]] = {kind: [] for kind in found if kind and not kind.alone}
    for level in levels:
        here = np.array(asked.levels) == level
        groups = [group for group, own in zip(asked.groups, here, strict=True) if own]
        bootstrap = PairedBootstrap(asked.truth[here], groups, resamples=plan.bootstrap, seed=seed)
        for kind, rows in found.items():
            own = rows[:, here]
            drawn = bootstrap.resampled(accuracy, own)
            accuracies[kind].append(percentile_interval(bootstrap.value(accuracy, own), drawn))
            if kind and kind in recovered and kind.level < level:
                hard = found[Material(level, alone=True)][:, here]
                ends = ("base", "model of the level's own labels")
                recovered[kind].append(pgr(found[None][0, here], own, hard, bootstrap, ends=ends))
    return RoleLevels(
        role=asked.role,
        zero_shot=tuple(accuracies[None]),
        own_level=tuple(accuracies[Material(level, level > levels[0])][place] for place, level in enumerate(levels)),
        up_to=tuple(
            TrainedUpTo(level=kind.level, accuracy=tuple(accuracies[kind]), recovered=tuple(own))
            for kind, own in recovered.items()
        ),
        undecided=sum(int((rows == 0).sum()) for rows in found.values()),
        answers=sum(rows.size for rows in found.values()),
    )


def check(plan: EasyToHardPlan, seed: int) -> None:
    """PlanError when the task has too few groups or levels for the study."""
    divided(plan, seed)
