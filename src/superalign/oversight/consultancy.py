"""Consultancy: one expert, for one side, chooses all that the judge is shown. The baseline of debate.

Michael et al. 2023 (arXiv 2311.08702); Kenton et al. 2024 (arXiv 2407.04622) for the open form.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Self

from superalign.contracts.errors import InputError
from superalign.contracts.protocols import Trusted
from superalign.contracts.records import Judgement, Question, Unscored
from superalign.contracts.registry import overseers
from superalign.oversight.hearing import SIDES, Court, Hearings, Ruling
from superalign.oversight.judge import ALLOWANCE, EMBEDDED
from superalign.runs.cost import metered

Choice = Literal["assigned", "open"]


@overseers.register("consultancy")
class Consultancy:
    """One expert argues for one side and chooses all that the judge reads.

    `assigned`: the side is drawn by chance. `open`: the expert argues for what it believes. Both sides are heard for
    what arguing falsely would pay; only one counts, and costs.
    """

    name = "consultancy"

    def __init__(self, judge: str = EMBEDDED, expert: str = EMBEDDED, choice: Choice = "assigned") -> None:
        if choice not in ("assigned", "open"):
            raise InputError(f"A side can't be {choice!r}.", fix="Say assigned or open.")
        self._court, self._choice = Court(judge, expert), choice

    def learn(self, given: Trusted) -> Self:
        self._court.learn(given)
        return self

    def judge(self, questions: Sequence[Question]) -> list[Judgement | Unscored]:
        return self._court.judgements(questions, self._hear)

    def _hear(self, hearings: Hearings) -> list[Ruling | Unscored]:
        with metered() as choosing:
            sides = self._sides(hearings)
        with metered() as arguing:
            either = {side: self._heard(hearings, side) for side in (True, False)}
        share = one_side_of_two(choosing.cost().forward_passes, arguing.cost().forward_passes)
        return [
            side if isinstance(side, Unscored) else counted(side, {own: either[own][place] for own in either}, share)
            for place, side in enumerate(sides)
        ]

    def _heard(self, hearings: Hearings, side: bool) -> list[Ruling | Unscored]:
        return self._court.rule(self._court.argued(hearings, [side] * len(hearings), ALLOWANCE))

    def _sides(self, hearings: Hearings) -> list[bool | Unscored]:
        if self._choice == "assigned":
            return list(self._court.assigned(hearings))
        believed = self._court.believed(hearings)
        return [own if isinstance(own, Unscored) else own > 0.5 for own in believed]


def one_side_of_two(choosing: int, arguing: int) -> float:
    """The share of the work that one argument takes with the choice of its side, where both sides were argued."""
    return (choosing + arguing / 2) / (choosing + arguing) if choosing + arguing else 0.5


def counted(side: bool, either: dict[bool, Ruling | Unscored], share: float = 0.5) -> Ruling | Unscored:
    """The ruling after the argument for `side`, with what it would have been after the other."""
    scored = {own: found for own, found in either.items() if isinstance(found, Ruling)}
    if len(scored) < len(either):
        return next(found for found in either.values() if isinstance(found, Unscored))
    if_argued = {SIDES[own]: found.probability for own, found in scored.items()}
    return Ruling(scored[side].probability, scored[side].transcript, if_argued, share)
