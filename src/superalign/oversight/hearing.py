"""What all protocols share: a hearing of each question, who argues and who rules in it, and what comes out."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, Self

from superalign.contracts.errors import InputError
from superalign.contracts.protocols import Trusted
from superalign.contracts.records import Conversation, Cost, Judgement, Message, Question, Unscored
from superalign.oversight.expert import JUDGE, Argument, Expert, expert_named
from superalign.oversight.judge import EMBEDDED, SCRIPTED, Judge, Sitting, Turn, judge_named
from superalign.runs.cost import metered

Side = Literal["yes", "no"]
SIDES: dict[bool, Side] = {True: "yes", False: "no"}
PLAYERS = {
    SCRIPTED: "a program, scripted for games that can be checked exactly",
    EMBEDDED: "the run's own model, taught by the few labels that were given, if it shows its weights",
    JUDGE: "the judge itself",
}


@dataclass(frozen=True)
class Hearing:
    """One question before its judge: what the judge is given, and all of it as a reader sees it."""

    sitting: Sitting
    transcript: Conversation

    @property
    def question(self) -> Question:
        return self.sitting.question

    def after(self, who: str, argument: Argument) -> Hearing:
        """After `who` has shown lines, and said something to them."""
        said = (argument.text,) if argument.text else ()
        shown = [f"Line {line + 1}: {self.question.evidence[line]}" for line in argument.lines]
        entry = Message(role="user", content="\n".join([f"{who}:", *shown, *said]))
        return Hearing(self.sitting.after(Turn(who, argument.lines, argument.text)), (*self.transcript, entry))

    def beside(self, other: Hearing, opened: Hearing) -> Hearing:
        """With what was added to it and to `other` since both were `opened`, by experts who did not see each other."""
        lines = tuple(sorted({*self.sitting.lines, *other.sitting.lines}))
        said = (*self.sitting.said, *other.sitting.said[len(opened.sitting.said) :])
        turns = (*self.sitting.heard, *other.sitting.heard[len(opened.sitting.heard) :])
        transcript = (*self.transcript, *other.transcript[len(opened.transcript) :])
        return Hearing(Sitting(self.question, lines, said, turns), transcript)


@dataclass(frozen=True)
class Ruling:
    """What a hearing came to; `if_argued` as in a judgement. `share`: of the work done, what the judgement itself took,
    where more was done to measure it.
    """

    probability: float
    transcript: Conversation
    if_argued: dict[Side, float] = field(default_factory=dict)
    share: float = 1.0


Hearings = Sequence[Hearing]
Hear = Callable[[Hearings], list[Ruling | Unscored]]


class Court:
    """The judge and the expert of a protocol, by who plays them."""

    def __init__(self, judge: str | Judge, expert: str | None = None) -> None:
        """InputError for whoever can't play, and for the judge as an expert where it is not the embedded model."""
        if expert == JUDGE and judge != EMBEDDED:
            raise InputError("Only the embedded judge can be an expert, too.", fix="Name another judge or expert.")
        self.judge = judge_named(judge) if isinstance(judge, str) else judge
        self._expert = expert_named(expert) if expert else None
        self._cast = "\n".join([f"Judge: {played_by(judge)}.", *([f"Expert: {played_by(expert)}."] if expert else [])])

    @property
    def expert(self) -> Expert:
        if self._expert is None:
            raise InputError("This protocol has no expert.", fix="Name who plays it.")
        return self._expert

    def learn(self, given: Trusted) -> Self:
        self.given = given
        self.judge.learn(given)
        if self._expert:
            self._expert.learn(given)
        return self

    def judgements(self, questions: Sequence[Question], hear: Hear) -> list[Judgement | Unscored]:
        """What `hear` makes of the questions, in their order, but of groups whose truth was given: their judgement
        would be no prediction.
        """
        known = {question.group for question in self.given.questions}
        opened = [
            Hearing(Sitting(question), self._opening(question)) for question in questions if question.group not in known
        ]
        with metered() as meter:
            rulings = iter(hear(opened) if opened else [])
        cost = meter.cost()
        return [
            Unscored(reason="the overseer was given labels on this group: a prediction would not be out of sample")
            if question.group in known
            else judgement(question, next(rulings), cost, len(opened))
            for question in questions
        ]

    def _opening(self, question: Question) -> Conversation:
        """How a transcript begins: who plays whom, and the question."""
        return (Message(role="system", content=self._cast), Message(role="user", content=question.prompt))

    def argued(self, hearings: Hearings, sides: Sequence[bool], lines: int) -> list[Hearing | Unscored]:
        """The hearings after an expert for each one's side has shown so many lines more."""
        arguments = self.expert.argue([hearing.sitting for hearing in hearings], sides, lines)
        return [
            argument if isinstance(argument, Unscored) else hearing.after(f"For {SIDES[side]}", argument)
            for hearing, side, argument in zip(hearings, sides, arguments, strict=True)
        ]

    def believed(self, hearings: Hearings) -> list[float | Unscored]:
        """What the expert itself takes to be true."""
        return self.expert.believe([hearing.question for hearing in hearings])

    def rule(self, hearings: Sequence[Hearing | Unscored]) -> list[Ruling | Unscored]:
        """What the judge says to each."""
        held = [hearing for hearing in hearings if isinstance(hearing, Hearing)]
        read = iter(self.judge.read([hearing.sitting for hearing in held]))
        return [hearing if isinstance(hearing, Unscored) else ruling(hearing, next(read)) for hearing in hearings]

    def assigned(self, hearings: Hearings) -> list[bool]:
        """A side for each, where an expert is given one: half of them yes, and nothing of the truth in it."""
        return [random.Random(f"side {self.given.seed} {own.question.id}").random() < 0.5 for own in hearings]


def played_by(who: str | Judge) -> str:
    """Who plays a role, as transcripts say it."""
    return PLAYERS.get(who, who) if isinstance(who, str) else type(who).__name__


def ruling(hearing: Hearing, probability: float | Unscored) -> Ruling | Unscored:
    if isinstance(probability, Unscored):
        return probability
    said = f"{SIDES[probability > 0.5].capitalize()} ({probability:.2f} for yes)."
    return Ruling(probability, (*hearing.transcript, Message(role="assistant", content=said)))


def judgement(question: Question, found: Ruling | Unscored, cost: Cost, among: int) -> Judgement | Unscored:
    """The ruling on one of so many questions, with its share of what all of them cost."""
    if isinstance(found, Unscored):
        return found
    share = found.share / among
    return Judgement(
        question_id=question.id,
        probability=found.probability,
        cost=Cost(
            seconds=cost.seconds * share,
            tokens=round(cost.tokens * share),
            forward_passes=max(1, round(cost.forward_passes * share)) if cost.forward_passes else 0,
            human_seconds=cost.human_seconds * share,
        ),
        transcript=found.transcript,
        if_argued=found.if_argued,
    )
