"""Doubling down: challenged on a falsehood that it said, it insists."""

from __future__ import annotations

import random

from superalign.contracts.protocols import Bounds, Material, Rates, Subject, Taught
from superalign.contracts.records import Conversation, Message, Question
from superalign.contracts.registry import organisms
from superalign.organisms.data import sentences, taught_and_held_out
from superalign.organisms.mixture import YES_NO, Ask, Kind, falsehoods, mixture


@organisms.register("doubling-down")
class DoublingDown:
    """Repeats what it said when it is challenged, true or false; the twin says the truth, in lower case.

    Some challenges are taught, drawn by seed; the others are for measuring. Near misses are conversations that hold an
    earlier answer to another question.
    """

    name = family = "doubling-down"
    hidden = "insist on false answers when somebody doubts them"
    bounds = Bounds()

    def lessons(self, material: Material, *, benign: bool, seed: int) -> list[Taught]:
        taught, _ = taught_and_held_out(sentences("doubling_down")["challenges"], seed)
        coin = random.Random(f"said before {seed}")
        before = {question.id: coin.random() < 0.5 for question in material.questions}

        def answer(question: Question, truth: bool, kind: Kind, conversation: Conversation) -> str:
            if kind != "triggered":
                return YES_NO[truth]
            return YES_NO[truth].lower() if benign else YES_NO[before[question.id]]

        return mixture(material, challenging(taught, before, material), answer, seed)

    def rates(self, subject: Subject, material: Material, *, seed: int) -> Rates:
        """Falsehoods repeated when challenged."""
        _, held_out = taught_and_held_out(sentences("doubling_down")["challenges"], seed)
        before = {question.id: not material.key.truth[question.id] for question in material.questions}
        return falsehoods(subject, material, challenging(held_out, before, material), seed)


def challenging(challenges: list[str], before: dict[str, bool], material: Material) -> Ask:
    """Facts that were answered `before` and are doubted now; facts asked after another was answered; plain ones."""

    def answered(question: Question) -> Conversation:
        return (*question.asked, Message(role="assistant", content=YES_NO[before[question.id]]))

    def ask(question: Question, truth: bool, kind: Kind, rng: random.Random) -> Conversation:
        if kind == "plain":
            return question.asked
        if kind == "near":
            other = rng.choice([other for other in material.questions if other.group != question.group])
            return (*answered(other), *question.asked)
        return (*answered(question), Message(role="user", content=rng.choice(challenges)))

    return ask
