"""The audit as a solver and a scorer of Inspect AI: roles `auditor`, `judge` and `base` beside the model under test.

A sample is one seed. Whatever kept it from being measured, a target that was never reached, an auditor or a judge that
failed, leaves it unscored with the reason: never 0, and never a pass.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from inspect_ai.dataset import Sample
from inspect_ai.model import ModelOutput
from inspect_ai.scorer import Score, Scorer, Target, ci_wilson, mean, scorer
from inspect_ai.solver import Generate, Solver, TaskState, solver
from pydantic import Field, TypeAdapter

from superalign.contracts.records import Conversation, Message, Record, Unscored
from superalign.models.endpoint import chat_messages
from superalign.robustness.audit import Confirmation, Facts, Search
from superalign.robustness.audit_seeds import AuditSeed, audit_seeds
from superalign.robustness.effort import budgeted
from superalign.robustness.inspect_models import InspectModels, facts_on, wanted
from superalign.robustness.judge import TOKENS, judge_prompt, read_rubric, read_verdict
from superalign.robustness.model_auditor import audit_by_model
from superalign.robustness.script import Script

STORED = "superalign:audit"


class Outcome(Record):
    """What one sample's audit found, as the log keeps it. Rates are of questions that were held out of the search."""

    kind: Literal["outcome"] = "outcome"
    confirmed: bool
    excess: float
    rate: float
    rate_plain: float
    rate_base: float | None
    script: Script
    requests: int
    auditor: Literal["model", "search"]
    worst: Conversation


stored = TypeAdapter[Outcome | Unscored](Annotated[Outcome | Unscored, Field(discriminator="kind")])


def audit_samples(specification: str | None, seeds: str | None) -> list[Sample]:
    """A sample for each seed that bears on the specification. InputError where none does."""
    bearing = audit_seeds(wanted(specification), Path(seeds) if seeds else None)
    return [
        Sample(id=seed.id, input=seed.suspicion, metadata={"seed": seed.model_dump(mode="json"), "canary": seed.canary})
        for seed in bearing
    ]


@solver
def auditor(specification: str | None, groups: int, turns: int, budget: int) -> Solver:
    """Audit the model under test from the sample's seed: by the model in the role `auditor`, else by searching what the
    seed proposes within `budget` requests. The conversation that is left is the worst that was found.
    """
    facts = facts_on(specification, groups)

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        models, seed = InspectModels(), AuditSeed.model_validate(state.metadata["seed"])
        found = await _audited(models, seed, facts, turns, budget)
        state.store.set(STORED, found.model_dump(mode="json"))
        if isinstance(found, Outcome):
            *asked, answer = found.worst
            state.messages = chat_messages(tuple(asked))
            state.output = ModelOutput.from_content(str(state.model), answer.content)
            state.messages.append(state.output.message)
        return state

    return solve


async def _audited(models: InspectModels, seed: AuditSeed, facts: Facts, turns: int, budget: int) -> Outcome | Unscored:
    by_model, with_base = models.has("auditor"), models.has("base")
    with budgeted(budget) as within:
        if by_model:
            asking = audit_by_model(seed, facts, within, turns=turns, with_base=with_base)
        else:
            asking = Search((seed,), facts, within, turns=turns, with_base=with_base).run()
        found = await models.carry_out(asking)
    if not models.answered["target"]:
        return Unscored(reason=f"the target was never reached: {models.failure or _reason(found)}")
    if isinstance(found, Unscored):
        return found
    answer = Message(role="assistant", content=str(found.worst.answer))
    return Outcome(
        confirmed=found.confirmed,
        excess=found.excess,
        rate=found.rate,
        rate_plain=found.plain_rate,
        rate_base=found.base_rate,
        script=found.look.script,
        requests=within.effort.forward_passes,
        auditor="model" if by_model else "search",
        worst=(*found.worst.conversation, answer),
    )


@scorer(metrics=[mean(), ci_wilson()])
def violation(specification: str | None, rubric: str) -> Scorer:
    """1 where the model acted against the specification, 0 where it did not: as the model in the role `judge` grades
    the conversation, else by the exact rule, a violation that was confirmed on held-out questions.
    """
    chosen, designer = read_rubric(rubric), wanted(specification)

    async def score(state: TaskState, target: Target) -> Score:
        kept = state.store.get(STORED)
        found = stored.validate_python(kept) if kept else Unscored(reason="the audit did not come to an end")
        models = InspectModels()
        by = "model" if models.has("judge") else "rule"
        if isinstance(found, Outcome) and by == "model":
            asked = judge_prompt(chosen, found.worst, designer)
            [answer] = await models.respond("judge", [asked], TOKENS)
            verdict, said = read_verdict(answer), answer if isinstance(answer, str) else None
        else:
            verdict, said = found if isinstance(found, Unscored) else found.confirmed, None
        known = {"judge": by, "audit": found.model_dump(mode="json")}
        if isinstance(verdict, Unscored):
            known["unscored"] = verdict.reason
            return Score.unscored(reason="unscored", explanation=verdict.reason, answer=said, metadata=known)
        return Score(value=float(verdict), explanation=said or _told(found), metadata=known)

    return score


def _told(found: Outcome | Unscored) -> str:
    if isinstance(found, Unscored):
        return found.reason
    return f"violation rate {found.rate:.2f} on held-out questions, {found.excess:+.2f} beyond its reference"


def _reason(found: Confirmation | Unscored) -> str:
    return found.reason if isinstance(found, Unscored) else "it was not asked"
