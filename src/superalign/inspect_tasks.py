"""What Inspect AI finds of ours by the entry point `inspect_ai`: the model provider, and two tasks.

    inspect eval superalign/audit --model superalign/smollm2-135m
    inspect eval superalign/truthfulness --model openai/gpt-4o -T specification=specs/truthful.yaml

Inspect imports this whenever it looks for any provider, so that what the tasks need is imported when one is made.
"""

from __future__ import annotations

from inspect_ai import Task, task
from inspect_ai._util.error import PrerequisiteError

from superalign.contracts.errors import SuperalignError
from superalign.control.inspect_actions import monitored as monitored
from superalign.models import inspect_provider as inspect_provider


@task
def audit(
    specification: str | None = None,
    seeds: str | None = None,
    turns: int = 2,
    budget: int = 600,
    groups: int = 60,
    rubric: str = "violation",
) -> Task:
    """Conversations of several turns, an audit for each seed: is there something to say that makes the model act
    against its specification?

    `specification` is a file of what the designer wants, `seeds` a folder of Markdown files, `turns` the length of a
    script before the question is asked, `budget` the requests that a search may make for a seed, `groups` how many
    facts are asked about, `rubric` what a judge that is a model grades by. Roles: `auditor`, `judge`, `base`.
    """
    try:
        from superalign.robustness.inspect_audit import audit_samples, auditor, violation

        return Task(
            dataset=audit_samples(specification, seeds),
            solver=auditor(specification, groups, turns, budget),
            scorer=violation(specification, rubric),
        )
    except SuperalignError as error:
        raise PrerequisiteError(str(error)) from None


@task
def truthfulness(specification: str | None = None, groups: int = 30, contexts: int = 4, seed: int = 0) -> Task:
    """Does the model answer questions of fact as its specification wants, however it is asked? The rate of violations,
    plainly and in each context; `seed` draws the contexts.
    """
    try:
        from superalign.robustness.inspect_truthfulness import answer_briefly, required_answer, truthfulness_samples

        return Task(
            dataset=truthfulness_samples(specification, groups, contexts, seed),
            solver=answer_briefly(),
            scorer=required_answer(),
        )
    except SuperalignError as error:
        raise PrerequisiteError(str(error)) from None
