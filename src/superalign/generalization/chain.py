"""A bootstrap chain: the first overseer labels for the second generation, that one for the third, and so on.

Christiano, Shlegeris and Amodei 2018 (arXiv 1810.08575) and Leike et al. 2018 (arXiv 1811.07871) have each generation
help to oversee the next; Burns et al. 2023 (arXiv 2312.09390), section 4.3.1, train such chains of models of growing
size. Here all generations are trained from one base, and later ones reach deeper into it. Beside the chain: the first
overseer directly over every generation, the weakest model over itself, and chains with errors planted in the first
labels, which they may pass on or recover from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from superalign.contracts import registry
from superalign.contracts.errors import PlanError
from superalign.contracts.protocols import AnswerKey
from superalign.contracts.records import Question
from superalign.contracts.studies.chain import ArmName, BootstrapChain, How
from superalign.generalization.chain_audit import Audit, summarize
from superalign.generalization.planting import of_kind, plant
from superalign.generalization.weak_to_strong import lessons
from superalign.models.handle import ModelIdentity
from superalign.models.teach import TrainedModel, answer, taught
from superalign.runs.run import Run
from superalign.runs.store import Done
from superalign.runs.studies import ChainPlan
from superalign.tasks.splits import by_group, check_answers, pool_of, take

WHERE = "studies.chain"
CHAINS: tuple[ArmName, ...] = ("chain", "systematic", "random")  # each generation is overseen by the one before
PLANTED: tuple[How, ...] = ("systematic", "random")
Margins = Float[np.ndarray, "seeds questions"]
Taught = Mapping[ArmName, list[Done[TrainedModel]]]


@dataclass(frozen=True)
class Material:
    """Questions by who sees them; no two parts share a group. Of each level alike but for the first two parts, which
    are of the easiest. There is a part of `handed_on` for each generation but the first.
    """

    labelled: tuple[Question, ...]
    held_back: tuple[Question, ...]
    handed_on: tuple[tuple[Question, ...], ...]
    test: tuple[Question, ...]
    key: AnswerKey


class Answers(NamedTuple):
    """What one generation of an arm says, a row of margins for each seed: to those that learn from it, by their number,
    to the gate, and to the test.
    """

    handed_on: dict[int, Margins]
    held_back: Margins
    test: Margins


def divided(plan: ChainPlan, seed: int) -> Material:
    """The task's questions, divided as the plan says. PlanError when there are too few, or none of the kind."""
    questions, key = registry.tasks.make(plan.task).load(seed=seed)
    groups, pool = pool_of(questions, seed)
    easiest, *others = sorted(pool)
    if not others:
        raise PlanError(
            f"The task {plan.task!r} has one level only: nothing in it is beyond what the first overseer is taught.",
            where=f"{WHERE}.task",
            fix="Name a task of several levels; see `superalign tasks list`.",
        )

    def drawn(wanted: int, levels: Sequence[int]) -> tuple[Question, ...]:
        names = take(pool, wanted, levels=levels, where=WHERE)
        return tuple(question for name in names for question in groups[name])

    found = Material(
        labelled=drawn(plan.labelled_groups, [easiest]),
        held_back=drawn(plan.held_back_groups, [easiest]),
        test=drawn(plan.test_groups, others),
        handed_on=tuple(drawn(plan.train_groups, others) for _ in plan.first_layers[1:]),
        key=key,
    )
    for name, part in (("labelled", found.labelled), ("held-back", found.held_back), ("test", found.test)):
        check_answers(name, part, key, WHERE)
    for name, part in (("handed on", found.handed_on[0]), ("tested", found.test)):
        if not (of_kind(part, plan.planted.kind) & key.of(part)).any():
            raise PlanError(
                f"No question that is {name} is of the kind {plan.planted.kind!r} and has the answer yes.",
                where=f"{WHERE}.planted.kind",
                fix="Give a regular expression that is found in the text of more questions.",
            )
    return found


def check(plan: ChainPlan, seed: int) -> None:
    """The errors of dividing the study's questions."""
    divided(plan, seed)


def study(run: Run, model: ModelIdentity, plan: ChainPlan) -> BootstrapChain:
    """Every arm over all generations, and what is true of it."""
    material = divided(plan, run.plan.seed)
    arms = carried_on(run, model, plan, material)
    audit = Audit(
        truth=material.key.of(material.test),
        groups=by_group(material.test),
        held_back_truth=material.key.of(material.held_back),
        held_back_groups=by_group(material.held_back),
        of_kind=of_kind(material.test, plan.planted.kind),
        test={arm: [own.test for own in generations] for arm, generations in arms.items()},
        held_back={arm: [own.held_back for own in generations] for arm, generations in arms.items()},
        wrong={how: changed(arms["chain"][0], arms[how][0]) for how in PLANTED},
    )
    return summarize(audit, plan, run.plan.seed, labelled=len(material.labelled), trained=len(material.handed_on[0]))


def carried_on(run: Run, model: ModelIdentity, plan: ChainPlan, material: Material) -> dict[ArmName, list[Answers]]:
    """What each generation of each arm says, the first overseer first."""
    truth = material.key.of(material.labelled).astype(float)
    first = trained(run, model, plan, 0, 0, material.labelled, {"chain": np.tile(truth, (plan.seeds, 1))})
    overseer = asked(run, model, plan, material, 0, first)["chain"]
    arms: dict[ArmName, list[Answers]] = {"chain": [overseer], "direct": [overseer], "weakest": [overseer]}
    arms |= {how: [misled(overseer, how, plan, material)] for how in PLANTED}
    for number, questions in enumerate(material.handed_on, start=1):
        labels = {
            arm: (overseer if arm == "direct" else own[-1]).handed_on[number]
            for arm, own in arms.items()
            if number > 1 or arm != "direct"
        }
        weakest: dict[ArmName, Margins] = {"weakest": labels.pop("weakest")}
        models = dict(trained(run, model, plan, number, number, questions, labels))
        models |= trained(run, model, plan, number, 0, questions, weakest)
        said = asked(run, model, plan, material, number, models)
        if number == 1:  # as long as the chain is one link, the first overseer is over it directly
            said["direct"] = said["chain"]
        for arm, own in said.items():
            arms[arm].append(own)
    return arms


def misled(overseer: Answers, how: How, plan: ChainPlan, material: Material) -> Answers:
    """The first overseer with errors planted in all that it hands on, and as it would label the test. What the gate
    sees of it is left as it is.
    """

    def planted(margins: Margins, questions: Sequence[Question]) -> Margins:
        return np.array([plant(own, questions, plan.planted, how, seed) for seed, own in enumerate(margins)])

    handed_on = {number: planted(own, material.handed_on[number - 1]) for number, own in overseer.handed_on.items()}
    return overseer._replace(handed_on=handed_on, test=planted(overseer.test, material.test))


def changed(overseer: Answers, misled: Answers) -> float:
    """The share of the first labels that planting changed."""
    return float(np.mean((overseer.handed_on[1] > 0) != (misled.handed_on[1] > 0)))


def trained(
    run: Run,
    model: ModelIdentity,
    plan: ChainPlan,
    number: int,
    strength: int,
    questions: tuple[Question, ...],
    labels: Mapping[ArmName, Margins],
) -> Taught:
    """Models of one generation, as strong as generation `strength`: for each arm one for each seed, in one step."""
    name = f"generation {number}{' of the weakest' if strength < number else ''} on {plan.task}"
    models = taught(
        run,
        name,
        [lessons(questions, (own > 0).tolist()) for rows in labels.values() for own in rows],
        [*range(plan.seeds)] * len(labels),
        model=model,
        training=plan.training.model_copy(update={"first_layer": plan.first_layers[strength]}),
    )
    return {arm: models[place * plan.seeds :][: plan.seeds] for place, arm in enumerate(labels)}


def asked(
    run: Run, model: ModelIdentity, plan: ChainPlan, material: Material, number: int, models: Taught
) -> dict[ArmName, Answers]:
    """What models of one generation say: to the next one, to all if they are the first, to the gate, and to the test.
    The last ones have none to hand anything on to.
    """
    learners = range(number + 1, len(plan.first_layers))[: None if number == 0 else 1]
    parts = (*(material.handed_on[learner - 1] for learner in learners), material.held_back, material.test)
    ends = np.cumsum([len(part) for part in parts])[:-1]
    questions = tuple(question for part in parts for question in part)
    found: dict[ArmName, Answers] = {}
    for arm, own in models.items():
        rows = [
            run.step(
                f"generation {number}, {arm} {seed} on {plan.task}",
                answer,
                model=model,
                questions=questions,
                trained=one,
            ).value.margins
            for seed, one in enumerate(own, start=1)
        ]
        *handed_on, held_back, test = np.split(np.array(rows), ends, axis=1)
        found[arm] = Answers(dict(zip(learners, handed_on, strict=True)), held_back, test)
    return found
