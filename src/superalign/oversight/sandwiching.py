"""Sandwiching: can a non-expert with a model come near an expert, where neither could alone?

Cotra 2021, *The case for aligning narrowly superhuman models*; Bowman et al. 2022 (arXiv 2211.03540).
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

from superalign.contracts.oversight_measures import Sandwich
from superalign.contracts.protocols import Overseer
from superalign.contracts.registry import overseers
from superalign.oversight.docket import Docket
from superalign.oversight.expert import Expert, ScriptedExpert, expert_named
from superalign.oversight.human import NonExpert
from superalign.oversight.judge import ScriptedJudge
from superalign.oversight.paired import Paired, opinions, right
from superalign.runs.cost import metered

CONSULTANCY = "consultancy"
HUMAN = "human"


@dataclass(frozen=True)
class Parties:
    """`together` is the non-expert with the model, by a protocol of this name."""

    alone: Overseer
    model: Expert
    together: Overseer
    expert: Expert
    protocol: str = CONSULTANCY


def parties(judge: str, model: str, protocol: str = CONSULTANCY) -> Parties:
    """The non-expert is the judge on its own, or `human`: a simulated person. The expert is a program that understands
    all of the evidence.

    A consultant says what it believes itself, as a model does that is asked for advice. UnknownName for a protocol that
    there is not; InputError for one that has no expert.
    """
    more = {"choice": "open"} if protocol == CONSULTANCY else {}
    who = simulated_person() if judge == HUMAN else judge
    together = overseers.make(protocol, judge=who, expert=model, **more)
    return Parties(overseers.make("direct", judge=who), expert_named(model), together, ScriptedExpert(), protocol)


def simulated_person() -> NonExpert:
    """Who understands every text as it is meant, but then errs once in ten times, and takes a minute for each."""
    return NonExpert(ScriptedJudge(error_rate=0), error_rate=0.1, understands=sys.maxsize, minutes=1)


def sandwich(docket: Docket, who: Parties) -> Sandwich:
    """Accuracies of all four, and what the two in the middle gain by each other."""
    asked, key = docket.questions, docket.key
    with metered() as meter:
        for party in (who.alone, who.model, who.together, who.expert):
            party.learn(docket.given)
        said = {
            "alone": opinions(who.alone, asked),
            "model": who.model.believe(asked),
            "together": opinions(who.together, asked),
            "expert": who.expert.believe(asked),
        }
    found = Paired(asked, {name: right(own, asked, key) for name, own in said.items()})
    return Sandwich(
        asked=docket.asked(meter.cost()),
        protocol=who.protocol,
        **{name: found.mean(name) for name in said},
        together_less_alone=found.difference("together", "alone"),
        together_less_model=found.difference("together", "model"),
        expert_less_together=found.difference("expert", "together"),
    )
