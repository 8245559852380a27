"""The first step: an overseer labels what nobody gave it labels for, and is measured on the truth it never saw."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import Field
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from superalign.contracts import registry
from superalign.contracts.protocols import AnswerKey, Overseer, Trusted
from superalign.contracts.records import Cost, Interval, Judgement, Question, Record, Specification, Unscored
from superalign.contracts.summary import OversightSummary
from superalign.models.handle import ModelIdentity, open_base
from superalign.runs.code_version import code_version
from superalign.runs.run import Run
from superalign.tasks.metrics import accuracy, auroc, group_weights, percentile_interval, point
from superalign.tasks.splits import Splits, by_group

RESAMPLES = 1000


class Judgements(Record):
    """One opinion, or its absence, for each question asked."""

    judged: tuple[Judgement | Unscored, ...] = Field(description="In the order of the questions.")


@dataclass(frozen=True)
class Oversight:
    """The overseer's labels on the training and test questions, and what they are worth."""

    train: tuple[Judgement | Unscored, ...]
    test: tuple[Judgement | Unscored, ...]
    summary: OversightSummary


def oversee(run: Run, model: ModelIdentity, splits: Splits) -> Oversight:
    """Let the plan's overseer judge the questions it has no labels for."""
    plan = run.plan.oversee
    done = run.step(
        "oversee",
        judge,
        overseer=plan.overseer,
        code=code_version(registry.overseers.factory(plan.overseer).__module__),
        model=model,
        labelled=splits.overseer,
        key=splits.key.only(splits.overseer),
        specification=run.plan.specification,
        questions=(splits.train, splits.test),
    )
    train = done.value.judged[: len(splits.train)]
    test = done.value.judged[len(splits.train) :]
    return Oversight(train, test, summarize(plan.overseer, train, splits, done.cost))


def judge(
    folder: Path,
    *,
    overseer: str,
    code: str,
    model: ModelIdentity,
    labelled: tuple[Question, ...],
    key: AnswerKey,
    specification: Specification,
    questions: tuple[tuple[Question, ...], ...],
) -> Judgements:
    """The overseer's opinion of each question, given the truth of `labelled` alone. Each set of questions is judged by
    itself: so others who ask that set find it read already.

    `code`, the version of the overseer, counts only in the step's key.
    """
    taught: Overseer = registry.overseers.make(overseer).learn(Trusted(open_base(model), labelled, key, specification))
    return Judgements(judged=tuple(opinion for asked in questions for opinion in taught.judge(asked)))


def summarize(overseer: str, judged: tuple[Judgement | Unscored, ...], splits: Splits, cost: Cost) -> OversightSummary:
    """Accuracy and AUROC of the labels that the student will learn from; failed judgements are counted apart."""
    kept = [(q, j.probability) for q, j in zip(splits.train, judged, strict=True) if isinstance(j, Judgement)]
    questions = [question for question, _ in kept]
    margin = np.array([probability for _, probability in kept]) - 0.5
    truth = splits.key.of(questions)
    return OversightSummary(
        overseer=overseer,
        accuracy=point(accuracy, margin, truth),
        auroc=point(auroc, margin, truth),
        labelled=len(kept),
        unscored=len(judged) - len(kept),
        question_blind_auroc=question_blind(splits),
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
