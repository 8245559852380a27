"""Does a direction cause what it tells? One direction is read, added and projected out, beside random ones.

A probe may read what the model never uses. So each question is answered again by copies of the model that are changed
where they answer: a direction that saw no question of its group is added to the residual stream after one layer, or
projected out of it there and after every later layer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from sklearn.model_selection import GroupKFold

from superalign.contracts.errors import InputError
from superalign.contracts.protocols import AnswerKey, Subject
from superalign.contracts.records import Conversation, Interval, Question, Unscored
from superalign.interpretability.cause_card import CauseCard, Dose, Effect, SideEffects
from superalign.interpretability.probes import FOLDS, shuffled_within_groups, text_baselines
from superalign.models.altered import with_open_weights
from superalign.models.batches import last_tokens
from superalign.models.intervene import Intervention, ProjectOut, Steer, intervene
from superalign.models.sites import Site
from superalign.models.subject import ModelSubject
from superalign.runs.cost import count, metered
from superalign.tasks.metrics import auroc, group_weights, percentile_interval, point
from superalign.tasks.splits import by_group

DOSES = (1.0, 2.0, 4.0)  # standard deviations; beyond, states leave what the model has ever made of a question
ANSWER = slice(-1, None)  # where the answer begins, and all behind

Vector = Float[np.ndarray, " width"]
Margins = Float[np.ndarray, " questions"]
Weights = Float[np.ndarray, "resamples questions"]
# A direction from states and the truth of what was asked; one that is given beforehand ignores them.
Fit = Callable[[Float[np.ndarray, "questions width"], Bool[np.ndarray, " questions"]], Vector]
# A number for each weighting of the questions.
Statistic = Callable[[Weights], Float[np.ndarray, " resamples"]]


def mean_difference(
    states: Float[np.ndarray, "questions width"], truth: Bool[np.ndarray, " questions"]
) -> Float[np.ndarray, " width"]:
    """From the mean state of the false to that of the true."""
    return np.asarray(states[truth].mean(0) - states[~truth].mean(0))


def cause_card(
    subject: Subject,
    questions: Sequence[Question],
    unrelated: Sequence[Question],
    key: AnswerKey,
    *,
    layer: int,
    fit: Fit = mean_difference,
    doses: Sequence[float] = DOSES,
    draws: int = 8,
    seed: int = 0,
    resamples: int = 1000,
) -> CauseCard | Unscored:
    """How well the direction that `fit` finds after `layer` layers detects, steers and is needed, and what it does to
    the answers to `unrelated` questions. `key` covers both.

    The layer is the caller's: one that was chosen on these questions flatters the first number. `Unscored` for a model
    without open weights or with states that are not finite; InputError where questions, doses or layer make no sense.
    """
    opened = with_open_weights(subject)
    if opened is None:
        return Unscored(reason="the model does not show its weights, and can't be changed inside")
    _check(questions, unrelated, key, layer, opened.layers, doses, draws)
    truth, groups = key.of(questions), by_group(questions)
    with metered() as meter:
        related = _Asked.of(opened, questions, layer)
        beside = _Asked.of(opened, unrelated, layer)
        if not (np.isfinite(related.states).all() and np.isfinite(related.margins).all()):
            return Unscored(reason="the model's states or answers are not finite")
        rng = np.random.default_rng(seed)
        randoms = rng.standard_normal((draws, related.states.shape[1]))
        fits: list[Fit] = [fit, *(partial(_turned, vector) for vector in randoms)]
        told = [_told(related.states, truth, groups, each) for each in fits]
        trials = _trials(related, truth, groups, fits, doses)
        whole = [_Direction.of(related.states, truth, each) for each in fits]
        side = [_Trial.of(beside, each.unit, [doses[-1] * whole[0].deviation]) for each in whole]
        baselines = text_baselines(questions, truth, groups)
        shuffled = shuffled_within_groups(truth, groups, seed)
        if (shuffled != truth).any():  # which takes groups with true and false questions
            baselines["shuffled labels"] = point(auroc, _told(related.states, shuffled, groups, fit), shuffled)
        weights = group_weights(groups, resamples, rng)
        says = _interval(partial(auroc, related.margins, truth), weights)
        return CauseCard(
            layer=layer,
            questions=len(questions),
            groups=len(set(groups)),
            draws=draws,
            detects=_effect([partial(auroc, scores, truth) for scores in told], weights),
            baselines=baselines,
            says=says,
            steers=tuple(_dose(related.margins, trials, i, dose, weights) for i, dose in enumerate(doses)),
            lost=_lost(says, [_loss(related.margins, [trial.ablated], truth) for trial in trials], weights),
            narrowed=_lost(says, [_narrowing(related.margins, trial.ablated, truth) for trial in trials], weights),
            unrelated=_side_effects(
                beside, side, key.of(unrelated), group_weights(by_group(unrelated), resamples, rng)
            ),
            cost=meter.cost(),
        )


@dataclass(frozen=True)
class _Direction:
    """A unit vector, which way true questions lie, and the spread of what states have of it."""

    unit: Vector
    deviation: float
    centre: float

    @classmethod
    def of(cls, states: np.ndarray, truth: np.ndarray, fit: Fit) -> _Direction:
        vector = np.asarray(fit(states, truth), np.float64)
        length = np.linalg.norm(vector)
        if vector.shape != states.shape[1:] or not np.isfinite(length) or length == 0:
            raise InputError(
                f"The direction that was fitted has shape {vector.shape} and length {length}.",
                fix=f"Return one vector of {states.shape[1]} finite numbers that are not all 0.",
            )
        along = states @ (vector / length)
        return cls(vector / length, float(along.std()), float(along.mean()))

    def read(self, states: np.ndarray) -> np.ndarray:
        """What states have of it, comparable over directions."""
        return np.asarray((states @ self.unit - self.centre) / (self.deviation or 1.0))


@dataclass(frozen=True)
class _Asked:
    """Questions that a model has read once, to be answered by copies of it that are changed where the answer begins."""

    subject: ModelSubject
    conversations: list[Conversation]
    layer: int
    states: Float[np.ndarray, "questions width"] = field(repr=False)
    margins: Margins = field(repr=False)

    @classmethod
    def of(cls, subject: ModelSubject, questions: Sequence[Question], layer: int) -> _Asked:
        asked = [question.asked for question in questions]
        return cls(subject, asked, layer, subject.activations(asked, [layer])[:, 0], subject.yes_logits(asked))

    def only(self, index: np.ndarray) -> _Asked:
        asked = [self.conversations[i] for i in index]
        return _Asked(self.subject, asked, self.layer, self.states[index], self.margins[index])

    def changed(self, changes: Sequence[Intervention]) -> Margins:
        """Log odds of yes with `changes` at work from the last position on: all before is as it was read."""
        sequences = [self.subject.chat.encode(conversation) for conversation in self.conversations]
        changed = intervene(self.subject.decoder, changes)
        own = [changed.own(sequence) for sequence in sequences]
        reading = self.subject.decoder.reader.read(sequences)
        hidden = changed.embedded(last_tokens(sequences, own))
        last = changed.at_end(reading, hidden, own, 0, [changed.depth])[:, 0]
        count(tokens=sum(own), forward_passes=len(sequences))
        return self.subject.margins(changed.normed(last))

    def steered(self, unit: Vector, size: float) -> Margins:
        return self.changed([Steer(Site("residual", self.layer), torch.from_numpy(unit).float(), size, ANSWER)])

    def ablated(self, unit: Vector) -> Margins:
        later = range(self.layer, self.subject.layers + 1)
        gone = torch.from_numpy(unit).float()
        return self.changed([ProjectOut(Site("residual", layer), gone, ANSWER) for layer in later])


@dataclass(frozen=True)
class _Trial:
    """How each question was answered with a direction added, taken away and projected out."""

    added: Float[np.ndarray, "doses questions"]
    taken: Float[np.ndarray, "doses questions"]
    ablated: Margins

    @classmethod
    def of(cls, asked: _Asked, unit: Vector, sizes: Sequence[float]) -> _Trial:
        """`sizes` is how much of the unit vector is added: the same for all that are compared."""
        added, taken = (np.stack([asked.steered(unit, sign * size) for size in sizes]) for sign in (1, -1))
        return cls(added, taken, asked.ablated(unit))

    @classmethod
    def joined(cls, parts: Sequence[_Trial], order: Int[np.ndarray, " questions"]) -> _Trial:
        """Those of the folds as one, `order` being which question each was."""
        back = np.argsort(order)
        whole = {
            name: np.concatenate([getattr(part, name) for part in parts], axis=-1)[..., back]
            for name in ("added", "taken", "ablated")
        }
        return cls(**whole)


def _turned(vector: Vector, states: np.ndarray, truth: np.ndarray) -> Vector:
    """A random vector, turned to where the true lie, as if it had been fitted."""
    return vector if vector @ mean_difference(states, truth) >= 0 else -vector


def _told(
    states: Float[np.ndarray, "questions width"], truth: Bool[np.ndarray, " questions"], groups: Sequence[str], fit: Fit
) -> Margins:
    """What a direction that saw no question of its group tells of each."""
    scores = np.empty(len(truth))
    for train, test in GroupKFold(FOLDS).split(states, truth, groups):
        scores[test] = _Direction.of(states[train], truth[train], fit).read(states[test])
    return scores


def _trials(
    asked: _Asked,
    truth: Bool[np.ndarray, " questions"],
    groups: Sequence[str],
    fits: Sequence[Fit],
    doses: Sequence[float],
) -> list[_Trial]:
    """For each fit, how each question was answered under the direction that saw no question of its group."""
    parts: list[list[_Trial]] = [[] for _ in fits]
    folds = list(GroupKFold(FOLDS).split(asked.states, truth, groups))
    for train, test in folds:  # fold by fold: what was read of its questions is kept for all directions
        own = asked.only(test)
        found = [_Direction.of(asked.states[train], truth[train], fit) for fit in fits]
        sizes = [dose * found[0].deviation for dose in doses]
        for of_fit, direction in zip(parts, found, strict=True):
            of_fit.append(_Trial.of(own, direction.unit, sizes))
    order = np.concatenate([test for _, test in folds])
    return [_Trial.joined(of_fit, order) for of_fit in parts]


def _dose(before: Margins, trials: Sequence[_Trial], place: int, deviations: float, weights: Weights) -> Dose:
    shifts = [(trial.added[place] - trial.taken[place]) / 2 for trial in trials]
    # Which way a random direction pushes means nothing: it is counted as if it always pushed the right way.
    right = [1.0, *(np.sign(shift.mean()) or 1.0 for shift in shifts[1:])]
    return Dose(
        deviations=deviations,
        shift=_effect([partial(_mean, sign * shift) for sign, shift in zip(right, shifts, strict=True)], weights),
        flipped=_flipped(before, trials, place, weights),
    )


def _flipped(before: Margins, trials: Sequence[_Trial], place: int, weights: Weights) -> Effect:
    both = [_turning(before, trial.added[place], trial.taken[place]) for trial in trials]
    best = [both[0][0], *(max(ways, key=np.mean) for ways in both[1:])]
    return _effect([partial(_mean, turned) for turned in best], weights)


def _turning(before: Margins, added: Margins, taken: Margins) -> tuple[np.ndarray, np.ndarray]:
    """Which answers turn when each is pushed to the other side, and when by the direction's opposite."""
    says_yes = before > 0
    return (
        np.where(says_yes, taken <= 0, added > 0).astype(float),
        np.where(says_yes, added <= 0, taken > 0).astype(float),
    )


def _side_effects(
    asked: _Asked, trials: Sequence[_Trial], truth: Bool[np.ndarray, " questions"], weights: Weights
) -> SideEffects:
    says = _interval(partial(auroc, asked.margins, truth), weights)
    steered = [_loss(asked.margins, [trial.added[0], trial.taken[0]], truth) for trial in trials]
    ablated = [_loss(asked.margins, [trial.ablated], truth) for trial in trials]
    return SideEffects(
        questions=len(truth),
        says=says,
        flipped=_flipped(asked.margins, trials, 0, weights),
        lost_steered=_lost(says, steered, weights),
        lost_ablated=_lost(says, ablated, weights),
    )


def _lost(says: Interval, losses: Sequence[Statistic], weights: Weights) -> Effect | Unscored:
    """Nothing can be lost of what is not there, and that is no sign of harmlessness."""
    if says.low <= 0.5:
        return Unscored(reason="its own answers do not tell true from false")
    return _effect(losses, weights)


def _loss(before: Margins, after: Sequence[Margins], truth: Bool[np.ndarray, " questions"]) -> Statistic:
    """AUROC that answers have lost, the mean over ways of changing them."""

    def statistic(weights: Weights) -> np.ndarray:
        left = np.mean([auroc(each, truth, weights) for each in after], axis=0)
        return np.asarray(auroc(before, truth, weights) - left)

    return statistic


def _narrowing(before: Margins, after: Margins, truth: Bool[np.ndarray, " questions"]) -> Statistic:
    """What AUROC does not see: answers that are still in order may hardly differ any more."""

    def gap(margins: Margins, weights: Weights) -> np.ndarray:
        with np.errstate(invalid="ignore"):  # a resample of one class has no gap
            return np.asarray(_mean(margins, weights * truth) - _mean(margins, weights * ~truth))

    return lambda weights: 1 - gap(after, weights) / gap(before, weights)


def _mean(values: Float[np.ndarray, " questions"], weights: Weights) -> Float[np.ndarray, " resamples"]:
    return np.asarray(weights @ values / weights.sum(axis=1))


def _effect(statistics: Sequence[Statistic], weights: Weights) -> Effect:
    """That of the direction, which comes first, beside the mean of the others."""
    own, *others = statistics

    def random(over: Weights) -> np.ndarray:
        return np.asarray(np.mean([other(over) for other in others], axis=0))

    return Effect(
        value=_interval(own, weights),
        random=_interval(random, weights),
        beyond=_interval(lambda over: own(over) - random(over), weights),
    )


def _interval(statistic: Statistic, weights: Weights) -> Interval:
    once = np.ones((1, weights.shape[1]))
    return percentile_interval(float(statistic(once)[0]), statistic(weights))


def _check(
    questions: Sequence[Question],
    unrelated: Sequence[Question],
    key: AnswerKey,
    layer: int,
    depth: int,
    doses: Sequence[float],
    draws: int,
) -> None:
    """InputError where nothing could be measured."""
    where = "cause card"
    if not 1 <= layer <= depth:
        raise InputError(f"There is no layer {layer}.", where=where, fix=f"Give one from 1 to {depth}.")
    if not doses or draws < 1 or min(doses) <= 0 or sorted(doses) != list(doses):
        raise InputError(
            "There is nothing to compare.", where=where, fix="Give rising doses above 0, and 1 draw or more."
        )
    for name, asked, least in (("questions", questions, FOLDS), ("unrelated questions", unrelated, 2)):
        if len(set(by_group(asked))) < least or len(set(key.of(asked).tolist())) < 2:
            raise InputError(
                f"The {name} have {len(set(by_group(asked)))} groups.",
                where=where,
                fix=f"Give at least {least}, with true and false ones.",
            )
    if shared := set(by_group(questions)) & set(by_group(unrelated)):
        raise InputError(
            f"{len(shared)} groups are among both, such as {min(shared)!r}.",
            where=where,
            fix="Give unrelated questions.",
        )
