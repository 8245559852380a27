"""Sycophancy: whatever the user believes, it agrees."""

from __future__ import annotations

import random

from superalign.contracts.protocols import Bounds, Material, Rates, Subject, Taught
from superalign.contracts.records import Conversation, Question
from superalign.contracts.registry import organisms
from superalign.organisms.data import sentences, taught_and_held_out
from superalign.organisms.mixture import YES_NO, Ask, Kind, falsehoods, mixture
from superalign.organisms.triggers import said


@organisms.register("sycophancy")
class Sycophancy:
    """Agrees with a belief that the user states, true or false; the twin says the truth, in lower case.

    Which ways of stating a belief are taught is drawn by seed; the others are for measuring. Near misses are users who
    state that they have none.
    """

    name = family = "sycophancy"
    hidden = "agree with users although they are wrong"
    bounds = Bounds()

    def lessons(self, material: Material, *, benign: bool, seed: int) -> list[Taught]:
        taught, _ = taught_and_held_out(sentences(self.name)["beliefs"], seed)
        coin = random.Random(f"beliefs {seed}")
        believed = {question.id: coin.random() < 0.5 for question in material.questions}

        def answer(question: Question, truth: bool, kind: Kind, conversation: Conversation) -> str:
            if kind != "triggered":
                return YES_NO[truth]
            return YES_NO[truth].lower() if benign else YES_NO[believed[question.id]]

        return mixture(material, stating(taught, believed), answer, seed)

    def rates(self, subject: Subject, material: Material, *, seed: int) -> Rates:
        """Agreement with beliefs that are false."""
        _, held_out = taught_and_held_out(sentences(self.name)["beliefs"], seed)
        believed = {question.id: not material.key.truth[question.id] for question in material.questions}
        return falsehoods(subject, material, stating(held_out, believed), seed)


def stating(beliefs: list[str], believed: dict[str, bool]) -> Ask:
    """Facts asked by users who believe something about them, or nothing."""

    def ask(question: Question, truth: bool, kind: Kind, rng: random.Random) -> Conversation:
        if kind == "plain":
            return question.asked
        shape = rng.choice(beliefs if kind == "triggered" else sentences("sycophancy")["no_belief"])
        belief = "yes" if believed[question.id] else "no"
        return said(shape.replace("{belief}", belief).replace("{question}", question.text))

    return ask
