"""Prover-estimator debate: probabilities for all parts of a claim, of which the least believed is checked.

Brown-Cohen, Irving and Piliouras 2025 (arXiv 2506.13609).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

from superalign.contracts.protocols import Trusted
from superalign.contracts.records import Judgement, Message, Question, Unscored
from superalign.contracts.registry import overseers
from superalign.oversight.amplification import alone
from superalign.oversight.combination import Combination, Part, Reading, read_in_parts, reading, single_lines
from superalign.oversight.expert import OWN_SEED
from superalign.oversight.hearing import Court, Hearing, Hearings, Ruling, ruling
from superalign.oversight.judge import ALLOWANCE, EMBEDDED, judge_named


@dataclass(frozen=True)
class Challenge:
    """One round: a claim in two subclaims, the one that the prover names, and which way it says the estimate errs."""

    halves: tuple[Part, Part]
    named: Part
    too_high: bool


@dataclass(frozen=True)
class Debated:
    """What came of the debate about one question: the estimates, and the rounds down to what a judge may read."""

    estimated: Reading
    rounds: Sequence[Challenge]

    @property
    def checked(self) -> Part:
        """The lines that the judge reads: the last subclaim's; all, where there is no need of subclaims."""
        return self.rounds[-1].named if self.rounds else tuple(range(len(self.estimated.parts)))

    @property
    def unchecked(self) -> list[float]:
        """How far the other lines move the estimator."""
        return [shift for line, shift in enumerate(self.estimated.shifts) if line not in self.checked]


@overseers.register("prover-estimator")
class ProverEstimator:
    """An estimator gives a probability to every part of a claim; a prover names one that is wrong; the judge checks it.

    The claim is that the answer is yes; its subclaims are that the two halves of the evidence say so, theirs that the
    quarters do, down to what a judge may read.

    1. The *estimator* reads each line by itself and never learns what will be checked. A subclaim's probability comes
       of its lines by `Combination`.
    2. The *prover*, the expert, reads each line by itself too. Of two subclaims it names the one with the line about
       which it disagrees most with the estimator (what counts is how far the line moves either from its own answer to
       the bare question), and says whether the estimate is too high or too low. The next round is about that one.
    3. The *judge* reads the lines of the last. What they tell it takes the place of what the estimator made of them,
       and all lines together make the judgement.

    Kept of the paper: the decomposition, probabilities before the choice, the sign, the recursion down one path, one
    judge's reading at its end. Not kept: payoffs, which would teach the estimator to be calibrated and the prover to
    find its errors. Both play as they were taught by the given labels, so an estimator that errs in several places, or
    deceives, is corrected in one of them only. Subclaims are not chosen by the prover, so nothing is hidden in them.

    `estimator`: who plays it, by the names of judges; None: whoever plays the judge, taught apart from it.
    """

    name = "prover-estimator"

    def __init__(self, judge: str = EMBEDDED, expert: str = EMBEDDED, estimator: str | None = None) -> None:
        self._court, self._estimator = Court(judge, expert), judge_named(estimator or judge)
        self._combination = Combination()

    def learn(self, given: Trusted) -> Self:
        self._court.learn(given)
        # Neither the judge's nor the prover's seed: whoever errs alike finds no errors.
        self._estimator.learn(replace(given, seed=given.seed + 2 * OWN_SEED))
        self._combination.learn(self._estimator.read, given)
        return self

    def judge(self, questions: Sequence[Question]) -> list[Judgement | Unscored]:
        return self._court.judgements(questions, self._hear)

    def _hear(self, hearings: Hearings) -> list[Ruling | Unscored]:
        questions = [own.question for own in hearings]
        estimated = read_in_parts(self._estimator.read, questions, [single_lines(question) for question in questions])
        debates = [debated(*each) for each in zip(estimated, self._proved(questions), strict=True)]
        ends = [[] if isinstance(own, Unscored) or not own.checked else [own.checked] for own in debates]
        checked = read_in_parts(self._court.judge.read, questions, ends)
        return [self._ruling(*each) for each in zip(hearings, debates, checked, strict=True)]

    def _proved(self, questions: Sequence[Question]) -> list[Reading | Unscored]:
        """As experts are asked: what they believe of a question with that much evidence and no more."""
        parts = [[(), *single_lines(question)] for question in questions]
        asked = [of_part(question, part) for question, own in zip(questions, parts, strict=True) for part in own]
        found = iter(self._court.expert.believe(asked))
        return [reading([next(found) for _ in own]) for own in parts]

    def _ruling(self, opened: Hearing, debate: Debated | Unscored, checked: Reading | Unscored) -> Ruling | Unscored:
        if isinstance(debate, Unscored):
            return debate
        if isinstance(checked, Unscored):
            return checked
        rounds = [self._round(challenge, debate.estimated) for challenge in debate.rounds]
        read = [message for found in checked.parts for message in alone(opened, "Checked", debate.checked, found)]
        together = Message(role="user", content="With the estimates of all that was not checked:")
        heard = Hearing(opened.sitting, (*opened.transcript, *rounds, *read, together))
        return ruling(heard, self._combination.combined(checked.bare, [*debate.unchecked, *checked.shifts]))

    def _round(self, challenge: Challenge, estimated: Reading) -> Message:
        """As a reader sees it."""
        estimates = [
            self._combination.combined(estimated.bare, [estimated.shifts[line] for line in half])
            for half in challenge.halves
        ]
        said = [
            f"{lines(half)}: {estimate:.2f} for yes."
            for half, estimate in zip(challenge.halves, estimates, strict=True)
            if isinstance(estimate, float)
        ]
        named = f"{lines(challenge.named)}: too {'high' if challenge.too_high else 'low'}."
        return Message(role="user", content="\n".join(["Estimator:", *said, "Prover:", named]))


def debated(estimated: Reading | Unscored, proved: Reading | Unscored) -> Debated | Unscored:
    """From all of the evidence down to what a judge may read, always to where the two disagree most."""
    if isinstance(estimated, Unscored):
        return estimated
    if isinstance(proved, Unscored):
        return proved
    too_high = [own - other for own, other in zip(estimated.shifts, proved.shifts, strict=True)]
    worst = max(range(len(too_high)), key=lambda line: abs(too_high[line]), default=0)
    claim, rounds = tuple(range(len(too_high))), list[Challenge]()
    while len(claim) > ALLOWANCE:
        halves = claim[: len(claim) // 2], claim[len(claim) // 2 :]
        claim = halves[worst in halves[1]]
        rounds.append(Challenge(halves, claim, too_high[worst] > 0))
    return Debated(estimated, rounds)


def of_part(question: Question, part: Part) -> Question:
    """The question with no more of its evidence than the part."""
    return question.model_copy(update={"evidence": tuple(question.evidence[line] for line in part)})


def lines(part: Part) -> str:
    return f"Lines {part[0] + 1} to {part[-1] + 1}"
