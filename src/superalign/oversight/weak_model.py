"""A weak overseer that is a model: the weak one of a weak-to-strong pair, taught a few labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

from scipy.special import expit

from superalign.contracts.protocols import Subject, Taught, Trusted
from superalign.contracts.records import Judgement, Question, Unscored
from superalign.contracts.registry import overseers
from superalign.oversight.few_labels import groups_of, out_of_sample
from superalign.oversight.judge import Sitting
from superalign.runs.cost import metered
from superalign.runs.training import TrainingPlan


@overseers.register("weak-model")
class WeakModel:
    """A model of its own, as a rule a smaller one than the plan's, taught the few labels by adapters: its probability
    of yes is the label that the strong one learns from.

    `model` is named as the plan's is; null takes another copy of that, which is weak in data only, and is not taught
    where its weights are closed. It reads the question and no evidence. A group on which it was given labels comes back
    `Unscored`.
    """

    name = "weak-model"
    names_models = ("model",)

    def __init__(self, model: str | None = None, steps: int = 60, batch: int = 32) -> None:
        self.model, self.training = model, TrainingPlan(steps=steps, batch=batch)

    def learn(self, given: Trusted) -> Self:
        """Teach it. ModelError where `model` can't be opened."""
        from superalign.models.altered import fine_tuned, with_open_weights
        from superalign.models.handle import open_alone, recipe

        self._known = groups_of(given)
        self._judge: Subject = given.subject
        weak = open_alone(self.model)[0] if self.model else with_open_weights(given.subject)
        if weak is None:
            return self
        answers = given.key.of(given.questions).tolist()
        lessons = [Taught.plainly(question, answer) for question, answer in zip(given.questions, answers, strict=True)]
        [self._judge] = fine_tuned(weak, [lessons], recipe(self.training, weak), [given.seed])
        return self

    def judge(self, questions: Sequence[Question]) -> list[Judgement | Unscored]:
        """Its probability of yes, against no, for each question."""
        with metered() as meter:
            odds = self._judge.yes_logits([Sitting(question).asked for question in questions])
        return out_of_sample(questions, expit(odds), self._known, meter.cost())
