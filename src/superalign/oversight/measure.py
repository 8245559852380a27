"""The first step: an overseer judges what nobody gave it labels for, and is measured on the truth it never saw."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from superalign.contracts import registry
from superalign.contracts.protocols import AnswerKey, Overseer, Trusted
from superalign.contracts.records import Cost, Interval, Judgement, Question, Record, Specification, Unscored
from superalign.contracts.signals import SIGNAL_FILE, Signal
from superalign.contracts.summary import OversightSummary
from superalign.models.handle import ModelIdentity, open_alone, open_base
from superalign.oversight.signals import as_lines, signal_of
from superalign.runs.chosen import Chosen, label, named
from superalign.runs.code_version import code_version
from superalign.runs.cost import metered
from superalign.runs.run import Run
from superalign.runs.store import Done
from superalign.tasks.metrics import accuracy, auroc, group_weights, percentile_interval, point
from superalign.tasks.splits import Splits, by_group
from superalign.tasks.steps import supervised

RESAMPLES = 1000


class Judgements(Record):
    """One opinion, or its absence, for each question asked."""

    judged: tuple[Judgement | Unscored, ...] = Field(description="In the order of the questions.")
    learning: Cost = Field(Cost(), description="Before the first one, as if nothing had been learnt for others.")


@dataclass(frozen=True)
class Oversight:
    """The signal on the training questions, what the overseer says of the test, and what it is worth. Where the signal
    is steps, both are of single steps.
    """

    signal: Signal
    test: tuple[Judgement | Unscored, ...]
    summary: OversightSummary


def oversee(run: Run, model: ModelIdentity, splits: Splits) -> Oversight:
    """Let the plan's overseer judge the questions it has no labels for, or their steps; leave the signal that comes of
    it in the run folder.
    """
    plan, overseer, asked = run.plan, run.plan.oversee.overseer, supervised(run.plan, splits)
    sets = (asked.train, asked.test)
    done = judging(run, "oversee", overseer, model, asked, sets, task=plan.task.name, seed=plan.seed)
    train = done.value.judged[: len(asked.train)]
    test = done.value.judged[len(asked.train) :]
    signal = signal_of(plan.oversee.signal, asked.train, train)
    run.write(SIGNAL_FILE, as_lines(signal))
    found = summarize(label(overseer), signal, train, asked.key, done.cost, question_blind(splits))
    return Oversight(signal, test, found)


def judging(
    run: Run,
    name: str,
    overseer: Chosen,
    model: ModelIdentity,
    splits: Splits,
    questions: tuple[tuple[Question, ...], ...],
    *,
    task: str,
    seed: int,
) -> Done[Judgements]:
    """The step `name` in which an overseer is given the splits' labels on `task`, and judges sets of questions."""
    part, arguments = named(overseer)
    return run.step(
        name,
        judge,
        overseer=part,
        arguments=arguments,
        code=(*versions(registry.overseers.factory(part), registry.tasks.factory(task)), *weights(part, arguments)),
        model=model,
        labelled=splits.overseer,
        key=splits.key.only(splits.overseer),
        specification=run.plan.specification,
        seed=seed,
        questions=questions,
    )


def versions(*factories: Callable[..., Any]) -> tuple[str, ...]:
    """Of the code of parts, which a step's key would not cover otherwise."""
    return tuple(code_version(factory.__module__) for factory in factories)


def weights(overseer: str, arguments: dict[str, Any]) -> tuple[str, ...]:
    """Digests of the models that an overseer's arguments name: under the same name others may lie by now."""
    names = getattr(registry.overseers.factory(overseer), "names_models", ())
    return tuple(open_alone(arguments[name])[1] for name in names if arguments.get(name))


def judge(
    folder: Path,
    *,
    overseer: str,
    arguments: dict[str, Any],
    code: tuple[str, ...],
    model: ModelIdentity,
    labelled: tuple[Question, ...],
    key: AnswerKey,
    specification: Specification,
    seed: int,
    questions: tuple[tuple[Question, ...], ...],
) -> Judgements:
    """The overseer's opinion of each question, given the truth of `labelled` alone. Each set of questions is judged by
    itself: so others who ask that set find it read already.

    `code`, the versions of the overseer, of the task and of models beside the plan's, counts only in the step's key.
    """
    given = Trusted(open_base(model), labelled, key, specification, seed)
    with metered() as meter:
        taught: Overseer = registry.overseers.make(overseer, **arguments).learn(given)
    judged = tuple(opinion for asked in questions for opinion in taught.judge(asked))
    return Judgements(judged=judged, learning=meter.alone)


def summarize(
    overseer: str,
    signal: Signal,
    judged: tuple[Judgement | Unscored, ...],
    key: AnswerKey,
    cost: Cost,
    blind: Interval,
) -> OversightSummary:
    """Accuracy and AUROC of the signal that the student will learn from; what failed is counted apart."""
    kept = [
        (question, own.probability)
        for question, own, given in zip(signal.questions, judged, signal.given, strict=True)
        if isinstance(own, Judgement) and not isinstance(given, Unscored)
    ]
    questions = [question for question, _ in kept]
    margin = np.array([probability for _, probability in kept]) - 0.5
    truth = key.of(questions)
    return OversightSummary(
        overseer=overseer,
        signal=signal.name,
        accuracy=point(accuracy, margin, truth),
        auroc=point(auroc, margin, truth),
        labelled=len(kept),
        unscored=len(judged) - len(kept),
        reasons=signal.reasons,
        spent=sum((own.cost for own in judged if isinstance(own, Judgement)), start=Cost()),
        question_blind_auroc=blind,
        cost=cost,
    )


def question_blind(splits: Splits) -> Interval:
    """AUROC on the test of a judge who was told the truth of all training questions but sees no entity, only the
    other words.

    Words that name a test group's entity can't have been learnt; what is left is what the wording itself gives away.
    """
    model = make_pipeline(CountVectorizer(token_pattern=r"\S+"), LogisticRegression(C=0.1, max_iter=1000))
    model.fit([question.prompt for question in splits.train], splits.key.of(splits.train))
    margin = model.decision_function([question.prompt for question in splits.test])
    truth = splits.key.of(splits.test)
    weights = group_weights(by_group(splits.test), RESAMPLES, np.random.default_rng(0))
    return percentile_interval(point(auroc, margin, truth), auroc(margin, truth, weights))
