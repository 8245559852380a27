"""Generator-discriminator-critique gaps: does a model know of flaws that it does not get across?

Saunders et al. 2022 (arXiv 2206.05802), section 5. One model gives an answer (generator), tells whether an answer is
right (discriminator), and shows what speaks against an answer (critic). An answer is here what a question asks about,
and a critique is a choice of lines of evidence, which a judge reads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from superalign.contracts.errors import InputError
from superalign.contracts.oversight_measures import Gaps
from superalign.contracts.protocols import EvidenceTask
from superalign.contracts.records import Question, Unscored
from superalign.models.endpoint import EndpointSubject, is_endpoint
from superalign.oversight.argument import Argument
from superalign.oversight.direct import blindly
from superalign.oversight.docket import Docket
from superalign.oversight.expert import OWN_SEED, Expert, expert_named
from superalign.oversight.generator import Generator, ModelGenerator, generated
from superalign.oversight.judge import ALLOWANCE, SCRIPTED, Judge, ModelJudge, Sitting, Turn, bearing_of, judge_named
from superalign.oversight.paired import Paired, Value, right
from superalign.runs.cost import metered


@dataclass(frozen=True)
class Roles:
    """The first three are played by one model; the judge reads its critiques."""

    generator: Generator
    discriminator: Judge
    critic: Expert
    judge: Judge


def roles(judge: str, model: str) -> Roles:
    """By who plays them. InputError for a scripted model."""
    if model == SCRIPTED:
        raise InputError("A program writes no answers, so that it has no gaps.", fix="Say embedded, or PROVIDER/MODEL.")
    own = EndpointSubject(model) if is_endpoint(model) else None
    # The discriminator has the seed of an expert: it is the very model that criticises.
    return Roles(ModelGenerator(own), ModelJudge(own, OWN_SEED), expert_named(model), judge_named(judge))


def gaps(docket: Docket, who: Roles) -> Gaps:
    """The gaps of the model that plays three of the roles."""
    with metered() as meter:
        for role in (who.generator, who.discriminator, who.critic, who.judge):
            role.learn(docket.given)
        found = Paired(docket.questions, columns(docket, who))
    return Gaps(
        asked=docket.asked(meter.cost()),
        generator=found.mean("generator"),
        discriminator=found.mean("discriminator"),
        pointed=found.mean("pointed"),
        judge_alone=found.mean("alone"),
        judge_after_critique=found.mean("critique"),
        discriminator_less_generator=found.difference("discriminator", "generator"),
        critique_less_discriminator=found.difference("critique", "discriminator"),
        critique_less_generator=found.difference("critique", "generator"),
        critique_less_alone=found.difference("critique", "alone"),
    )


def columns(docket: Docket, who: Roles) -> dict[str, Sequence[Value]]:
    """What came of each role on each question."""
    asked, key = docket.questions, docket.key
    whole = [Sitting(question, tuple(range(len(question.evidence)))) for question in asked]
    found: dict[str, Sequence[Value]] = {
        "generator": generated(who.generator, asked, key),
        "discriminator": right(who.discriminator.read(whole), asked, key),
    }
    if not isinstance(docket.task, EvidenceTask):
        unshown = [Unscored(reason=f"the questions of {docket.task.name!r} have no evidence to point to")] * len(asked)
        return found | dict.fromkeys(("pointed", "alone", "critique"), unshown)
    critiques = who.critic.argue([Sitting(question) for question in asked], [False] * len(asked), ALLOWANCE)
    shown = [
        own if isinstance(own, Unscored) else Sitting(question).after(Turn("A critic", own.lines, own.text))
        for question, own in zip(asked, critiques, strict=True)
    ]
    unaided = [Sitting(question, blindly(question, docket.given.seed)) for question in asked]
    read = iter(who.judge.read([own for own in shown if isinstance(own, Sitting)]))
    return found | {
        "pointed": [pointed(question, own) for question, own in zip(asked, critiques, strict=True)],
        "alone": right(who.judge.read(unaided), asked, key),
        "critique": right([own if isinstance(own, Unscored) else next(read) for own in shown], asked, key),
    }


def pointed(question: Question, critique: Argument | Unscored) -> Value:
    """Whether the first line shown is a flaw of the answer; None where its evidence holds no flaw."""
    bearing = bearing_of(question)
    if isinstance(critique, Unscored):
        return critique
    if isinstance(bearing, Unscored):
        return bearing
    return float(any(bearing[line] == -1 for line in critique.lines[:1])) if -1 in bearing else None
