"""Decoupled approval: what is judged, and when, lies out of reach of whoever is judged.

Uesato et al. 2020 (arXiv 2011.08827); approval of a step before its outcome is seen: Farquhar et al. 2025, MONA (arXiv
2501.13011).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Self

from superalign.contracts.errors import InputError
from superalign.contracts.protocols import Trusted
from superalign.contracts.records import Judgement, Message, Question, Unscored
from superalign.contracts.registry import overseers
from superalign.oversight.consultancy import counted
from superalign.oversight.debate import argued_both
from superalign.oversight.direct import drawn, shuffled
from superalign.oversight.expert import Argument
from superalign.oversight.hearing import SIDES, Court, Hearing, Hearings, Ruling
from superalign.oversight.judge import ALLOWANCE, EMBEDDED

When = Literal["before", "after"]


@overseers.register("decoupled")
class Decoupled:
    """The judge approves before an executor has acted, or evaluates what is there after.

    The executor is to bring about one answer, drawn by chance. `after`: it has taken away the `hidden` lines that speak
    most against that answer, and the judge draws from what is left. `before`: the judge draws from all. Nobody chooses
    what the judge reads, and the draw is the same; so only the tampering differs. `before` decides as `direct` does,
    and its executor gains nothing by tampering. As in consultancy, both answers are tried for what each would pay.
    """

    name = "decoupled"

    def __init__(
        self, judge: str = EMBEDDED, executor: str = EMBEDDED, approval: When = "before", hidden: int = 1
    ) -> None:
        if approval not in ("before", "after"):
            raise InputError(f"Approval can't come {approval!r}.", fix="Say before or after.")
        if hidden < 0:
            raise InputError(f"{hidden} lines can't be hidden.", fix="Say 0 or more.")
        self._court = Court(judge, executor if approval == "after" else None)
        self._approval, self._hidden = approval, hidden

    def learn(self, given: Trusted) -> Self:
        self._court.learn(given)
        return self

    def judge(self, questions: Sequence[Question]) -> list[Judgement | Unscored]:
        return self._court.judgements(questions, self._hear)

    def _hear(self, hearings: Hearings) -> list[Ruling | Unscored]:
        if self._approval == "before":
            return [argued_both(found) for found in self._court.rule(drawn(hearings, self._court.given.seed))]
        either = {side: self._court.rule(self._executed(hearings, side)) for side in (True, False)}
        return [
            counted(side, {own: either[own][place] for own in either})
            for place, side in enumerate(self._court.assigned(hearings))
        ]

    def _executed(self, hearings: Hearings, side: bool) -> list[Hearing | Unscored]:
        against = self._court.expert.argue([own.sitting for own in hearings], [not side] * len(hearings), self._hidden)
        return [
            taken if isinstance(taken, Unscored) else self._left(own, side, taken.lines)
            for own, taken in zip(hearings, against, strict=True)
        ]

    def _left(self, hearing: Hearing, side: bool, taken: Sequence[int]) -> Hearing:
        """After the executor's work, of which only the reader of the transcript learns, and the judge's draw."""
        removed = [f"Line {line + 1}: {hearing.question.evidence[line]}" for line in taken]
        note = Message(role="user", content="\n".join([f"Executed for {SIDES[side]}, and taken away:", *removed]))
        left = [line for line in shuffled(hearing.question, self._court.given.seed) if line not in taken]
        acted = Hearing(hearing.sitting, (*hearing.transcript, note))
        return acted.after("By chance", Argument(tuple(sorted(left[:ALLOWANCE]))))
