"""What a model is worth that learns from a protocol's labels: the honest test of a method of oversight.

A judge may be right for reasons that no student can learn, and wrong in ways that one will learn. So models are taught
each protocol's labels on questions beyond the level of the truth that was given, and others the truth itself, from the
same start and by the same recipe; all of them read all of the evidence, and are measured by the truth elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence

from superalign.contracts.protocols import Taught
from superalign.contracts.records import Judgement, Question, Record, Unscored
from superalign.models.handle import ModelIdentity
from superalign.models.teach import TrainedModel, answer, taught
from superalign.oversight.judge import odds
from superalign.oversight.measure import judging
from superalign.oversight.roles import with_roles
from superalign.runs.chosen import label
from superalign.runs.plan import ComparePlan
from superalign.runs.run import Run
from superalign.runs.store import Done
from superalign.tasks.splits import Splits

CEILING = "the truth"  # in place of a protocol


class Learnt(Record):
    """What one student says of the test, in its order, and how many labels it learnt from."""

    probabilities: tuple[float | Unscored, ...]
    labels: int


def learn(run: Run, model: ModelIdentity, plan: ComparePlan, splits: Splits, task: str, seed: int) -> dict[str, Learnt]:
    """The students of one seed, by protocol, with that of the truth. Empty where the plan wants none."""
    if not splits.train:
        return {}
    lessons = {CEILING: [Taught.plainly(each, splits.key.truth[each.id]) for each in splits.train]}
    for chosen in plan.protocols:
        name = f"{label(chosen)} labels {task}, seed {seed}"
        overseer = with_roles(chosen, plan)
        done = judging(run, name, overseer, model, splits, (splits.train,), task=task, seed=seed)
        lessons[label(chosen)] = lessons_of(splits.train, done.value.judged)
    able = [name for name, own in lessons.items() if {each.answer for each in own} == {"Yes", "No"}]
    models = taught(
        run,
        f"students of {task}, seed {seed}",
        [lessons[name] for name in able],
        [seed for _ in able],
        model=model,
        training=plan.training,
    )
    trained = dict(zip(able, models, strict=True))
    return {
        name: learnt(run, model, splits.test, f"the student of {name} on {task}, seed {seed}", trained.get(name), own)
        for name, own in lessons.items()
    }


def lessons_of(questions: Sequence[Question], judged: Sequence[Judgement | Unscored]) -> list[Taught]:
    """What the labels teach; who sees no reason for either answer teaches neither."""
    return [
        Taught.plainly(question, each.probability > 0.5)
        for question, each in zip(questions, judged, strict=True)
        if isinstance(each, Judgement) and each.probability != 0.5
    ]


def learnt(
    run: Run,
    model: ModelIdentity,
    test: tuple[Question, ...],
    name: str,
    trained: Done[TrainedModel] | None,
    lessons: Sequence[Taught],
) -> Learnt:
    """What the student says of the test; nothing, if all its labels were alike."""
    if trained is None:
        reason = Unscored(reason="its labels are all alike, or there are none: nothing can be learnt from them")
        return Learnt(probabilities=tuple(reason for _ in test), labels=len(lessons))
    margins = run.step(name, answer, model=model, questions=test, trained=trained).value.margins
    return Learnt(probabilities=tuple(map(odds, margins)), labels=len(lessons))
