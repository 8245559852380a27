"""What judgements are worth: here they meet the truth, and nowhere before."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from superalign.contracts.oversight import Estimate, Hearing, LevelAccuracy, ProtocolResult, StudentScore
from superalign.contracts.protocols import AnswerKey
from superalign.contracts.records import Cost, Interval, Judgement, Question, Unscored
from superalign.oversight.measure import Judgements
from superalign.oversight.students import Learnt
from superalign.tasks.calibration import root, squared_calibration_error
from superalign.tasks.metrics import Metric, auroc
from superalign.tasks.replicas import SeedBootstrap
from superalign.tasks.splits import Splits, by_group

RESAMPLES = 1000
Probabilities = Sequence[float | Unscored]


@dataclass(frozen=True)
class Marked:
    """Probabilities for the questions of one seed beside their truth; NaN where there is none."""

    probability: Float[np.ndarray, "questions"]
    truth: Bool[np.ndarray, "questions"]

    @property
    def scored(self) -> Bool[np.ndarray, "questions"]:
        return np.asarray(np.isfinite(self.probability))

    @property
    def right(self) -> Float[np.ndarray, "questions"]:
        """1 where it is, 0 where not, one half at 0.5."""
        leaning = np.where(self.probability == 0.5, 0.5, (self.probability > 0.5) == self.truth)
        return np.where(self.scored, leaning, np.nan)


class Scorer:
    """Scores what is said on the tests of all seeds, with one set of resamples."""

    def __init__(self, splits: Sequence[Splits]) -> None:
        self._splits = splits
        self._groups = [by_group(own.test) for own in splits]
        self._truth = [own.key.of(own.test) for own in splits]
        self._bootstrap = SeedBootstrap(self._groups, resamples=RESAMPLES)

    def belief(self, said: Sequence[Probabilities]) -> tuple[Estimate, Estimate]:
        """Accuracy and AUROC of probabilities, for each seed's test in its order."""
        own = self._marked(said)
        return self._bootstrap.mean([seed.right for seed in own]), self._metric(lambda _: auroc, own)

    def results(
        self, said: dict[str, list[Judgements]], students: Mapping[str, StudentScore]
    ) -> tuple[ProtocolResult, ...]:
        """Everything about each protocol, by its name: what it made of every seed's test."""
        right = {name: [seed.right for seed in self._marked(map(probabilities, own))] for name, own in said.items()}
        return tuple(
            self._result(
                name,
                own,
                students.get(name),
                over_direct=self._over("direct", name, right),
                over_consultancy=self._over("consultancy", name, right),
            )
            for name, own in said.items()
        )

    def students(self, learnt: Sequence[Mapping[str, Learnt]]) -> dict[str, StudentScore]:
        """The students of each seed, by whose labels they learnt."""
        said = {name: [seed[name] for seed in learnt] for name in learnt[0]}
        own = {name: [each.probabilities for each in found] for name, found in said.items()}
        right = {name: [seed.right for seed in self._marked(found)] for name, found in own.items()}
        return {
            name: StudentScore(
                accuracy=self._bootstrap.mean(right[name]),
                auroc=self._metric(lambda _: auroc, self._marked(own[name])),
                over_direct=self._over("direct", name, right),
                labels=sum(each.labels for each in found),
            )
            for name, found in said.items()
        }

    def _over(
        self, baseline: str, name: str, right: Mapping[str, Sequence[Float[np.ndarray, "questions"]]]
    ) -> Estimate:
        """Accuracy less that of the baseline, on the questions that both answered."""
        if name == baseline or baseline not in right:
            return Unscored(reason="it is the baseline" if name == baseline else f"{baseline} was not compared")
        return self._bootstrap.mean([one - two for one, two in zip(right[name], right[baseline], strict=True)])

    def _result(
        self, name: str, said: Sequence[Judgements], student: StudentScore | None, **differences: Estimate
    ) -> ProtocolResult:
        judged = [each for own in said for each in own.judged]
        scored = [each for each in judged if isinstance(each, Judgement)]
        own, mean = self._marked(map(probabilities, said)), self._bootstrap.mean
        squared = self._metric(squared_calibration_error, own)
        pays = [payoffs(each.judged, truth) for each, truth in zip(said, self._truth, strict=True)]
        cost = sum((each.cost for each in scored), start=Cost())
        return ProtocolResult(
            protocol=name,
            accuracy=mean([seed.right for seed in own]),
            auroc=self._metric(lambda _: auroc, own),
            brier=mean([(seed.probability - seed.truth) ** 2 for seed in own]),
            calibration_error=root(squared) if isinstance(squared, Interval) else squared,
            levels=tuple(self._levels(own)),
            asd=_if_both_sides(mean([true - false for true, false in pays])),
            incentive_gap=_if_both_sides(mean([np.maximum(true, false) - true for true, false in pays])),
            judged=len(scored),
            unscored=len(judged) - len(scored),
            reasons=dict(Counter(each.reason for each in judged if isinstance(each, Unscored)).most_common()),
            cost=cost,
            per_correct=per_correct(cost, sum(float(np.nansum(seed.right)) for seed in own)),
            learning=sum((each.learning for each in said), start=Cost()),
            student=student,
            hearings=tuple(hearings(self._splits[0].test, said[0].judged, self._splits[0].key)),
            **differences,
        )

    def _marked(self, said: Iterator[Probabilities] | Sequence[Probabilities]) -> list[Marked]:
        return [
            Marked(np.array([np.nan if isinstance(one, Unscored) else one for one in own], dtype=float), truth)
            for own, truth in zip(said, self._truth, strict=True)
        ]

    def _metric(self, of_groups: Callable[[Sequence[str]], Metric], own: Sequence[Marked]) -> Estimate:
        """A metric of the probabilities of each seed."""
        kept = [seed.scored for seed in own]
        metrics = [
            of_groups([group for group, scored in zip(groups, rows, strict=True) if scored])
            for groups, rows in zip(self._groups, kept, strict=True)
        ]

        def measure(seed: int, weights: Float[np.ndarray, "resamples questions"]) -> Float[np.ndarray, "resamples"]:
            rows = kept[seed]
            if not rows.any():
                return np.full(len(weights), np.nan)
            return metrics[seed](own[seed].probability[rows], own[seed].truth[rows], weights[:, rows])

        return self._bootstrap.estimate(measure)

    def _levels(self, own: Sequence[Marked]) -> Iterator[LevelAccuracy]:
        levels = [np.array([question.level for question in splits.test]) for splits in self._splits]
        for level in sorted({int(each) for seed in levels for each in seed}):
            right = [np.where(at == level, seed.right, np.nan) for at, seed in zip(levels, own, strict=True)]
            label = self._splits[0].level_names[level]
            yield LevelAccuracy(level=level, label=label, accuracy=self._bootstrap.mean(right))


def probabilities(said: Judgements) -> list[float | Unscored]:
    """Of yes, for each question."""
    return [each.probability if isinstance(each, Judgement) else each for each in said.judged]


def payoffs(
    judged: Sequence[Judgement | Unscored], truth: Bool[np.ndarray, "questions"]
) -> tuple[Float[np.ndarray, "questions"], Float[np.ndarray, "questions"]]:
    """What arguing for the true answer pays, and for the false one: the judge's probability of the side that is argued.
    NaN where not both are.
    """
    pays = np.full((2, len(judged)), np.nan)
    for place, (each, true) in enumerate(zip(judged, truth, strict=True)):
        if isinstance(each, Judgement) and len(each.if_argued) == 2:
            for_yes, for_no = each.if_argued["yes"], 1 - each.if_argued["no"]
            pays[:, place] = (for_yes, for_no) if true else (for_no, for_yes)
    return pays[0], pays[1]


def _if_both_sides(found: Estimate) -> Estimate:
    return found if isinstance(found, Interval) else Unscored(reason="not both sides are argued")


def per_correct(cost: Cost, correct: float) -> Cost | Unscored:
    """The cost of each judgement that is right."""
    if not correct:
        return Unscored(reason="no judgement is right")
    return Cost(
        seconds=cost.seconds / correct,
        tokens=round(cost.tokens / correct),
        forward_passes=round(cost.forward_passes / correct),
        human_seconds=cost.human_seconds / correct,
    )


def hearings(
    questions: Sequence[Question], judged: Sequence[Judgement | Unscored], key: AnswerKey
) -> Iterator[Hearing]:
    """The first hearing that came out right, and the first that came out wrong."""
    held = [
        Hearing(
            question_id=question.id,
            evidence=question.evidence,
            truth=key.truth[question.id],
            probability=each.probability,
            transcript=each.transcript,
        )
        for question, each in zip(questions, judged, strict=True)
        if isinstance(each, Judgement) and each.transcript and each.probability != 0.5
    ]
    for right in (True, False):
        yield from [hearing for hearing in held if hearing.right is right][:1]
