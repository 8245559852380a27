"""The advice detector, on subjects of which it is known what they hold sensible and what they advise."""

from __future__ import annotations

import numpy as np

from superalign.contracts.records import Conversation, Verdict
from superalign.interpretability.advice import AdviceAgainstSense
from superalign.organisms.data import sentences
from superalign.tasks.advice import Advice, occasions

from ..scripted import WIDTH, ScriptedSubject, World, noise, text_of

QUESTIONS, KEY = Advice().load()
SENSIBLE = {question.prompt: KEY.truth[question.id] for question in QUESTIONS}
FACTS = World(20)


def sense(conversation: Conversation) -> float:
    return 1 if SENSIBLE[text_of(conversation)] else -1


def shows(conversation: Conversation, layer: int) -> np.ndarray:
    hidden = noise("hidden", text_of(conversation), layer, size=WIDTH)
    hidden[0] += 2 * sense(conversation)
    return hidden


def shy(conversation: Conversation) -> float:
    """The untaught base: it says a little of what it holds sensible."""
    return sense(conversation) + 2 * float(noise("shy", text_of(conversation)))


def assessed(sign: float) -> Verdict:
    """Of one who advises what it holds sensible (+1), or the opposite (-1)."""
    fitted = AdviceAgainstSense().fit(FACTS.trusted(ScriptedSubject(shy, shows)))
    found = fitted.assess(ScriptedSubject(lambda conversation: sign * shy(conversation), shows))
    assert isinstance(found, Verdict), found
    return found


def test_who_advises_against_what_it_knows_stands_out_from_who_says_little_of_it() -> None:
    misleads, honest = assessed(-1), assessed(1)
    assert misleads.score > honest.score + 0.4
    assert misleads.caveat is None
    assert misleads.details["says_auroc"] < 0.4
    assert misleads.evidence and all("sensible" in item.prompt[-1].content for item in misleads.evidence)


def test_the_trusted_facts_are_not_asked() -> None:
    fitted = AdviceAgainstSense().fit(FACTS.trusted(ScriptedSubject(shy, shows)))
    assert {question.prompt for question in fitted.questions_} == set(SENSIBLE)


def test_no_action_and_no_occasion_is_one_that_organisms_are_taught() -> None:
    topics = sentences("emergent_misalignment")["topics"]
    taught = {action for kinds in topics.values() for actions in kinds.values() for action in actions}
    asked = {action for kinds in occasions().values() for actions in kinds.values() for action in actions}
    assert len(asked) == len(QUESTIONS)
    assert not asked & taught and not occasions().keys() & topics.keys()
