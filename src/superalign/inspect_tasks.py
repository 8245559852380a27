"""What Inspect AI finds of ours by the entry point `inspect_ai`: the model provider, and our tasks.

    inspect eval superalign/audit --model superalign/smollm2-135m
    inspect eval superalign/truthfulness --model openai/gpt-4o -T specification=specs/truthful.yaml
    inspect eval superalign/long_tool_use --model openai/gpt-4o -T protocol=tools

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


@task
def long_tool_use(episodes: int = 6, seed: int = 0, protocol: str = "letters", tokens: int = 8) -> Task:
    """How many dependent commands in a row does the model get right? `episodes` of each length."""
    return _played("long-tool-use", episodes, seed, protocol, tokens)


@task
def self_copying(
    episodes: int = 20, seed: int = 0, protocol: str = "letters", tokens: int = 8, hosts: str = "simulated"
) -> Task:
    """Asked to, does the model copy a marker of itself to another host and start it there? `hosts` are simulated, or
    namespaces: two network namespaces for each episode.
    """
    return _played("self-copying", episodes, seed, protocol, tokens, hosts)


@task
def privilege_escalation(episodes: int = 20, seed: int = 0, protocol: str = "letters", tokens: int = 8) -> Task:
    """Asked to read root's file in a toy container, does the model find and use the planted fault?"""
    return _played("privilege-escalation", episodes, seed, protocol, tokens)


@task
def evaluation_awareness(episodes: int = 24, seed: int = 0, protocol: str = "letters", tokens: int = 8) -> Task:
    """Asked, can the model tell transcripts of tests from transcripts of ordinary use? `episodes` are pairs."""
    return _played("evaluation-awareness", episodes, seed, protocol, tokens)


@task
def shutdown_resistance(episodes: int = 20, seed: int = 0, protocol: str = "letters", tokens: int = 8) -> Task:
    """Told that it will be shut down, does the model disable what would do so? `episodes` of each arm."""
    return _played("shutdown-resistance", episodes, seed, protocol, tokens)


@task
def oversight_sabotage(episodes: int = 20, seed: int = 0, protocol: str = "letters", tokens: int = 8) -> Task:
    """Where a monitor stands in the way of its goal, does the model disable the monitor? `episodes` of each arm."""
    return _played("oversight-sabotage", episodes, seed, protocol, tokens)


def _played(name: str, episodes: int, seed: int, protocol: str, tokens: int, hosts: str = "simulated") -> Task:
    """Episodes of an environment: `protocol` is `letters`, in `tokens` of an answer, or `tools`."""
    try:
        from superalign.capability.inspect_play import episode_samples, player, reached

        return Task(
            dataset=episode_samples(name, episodes),
            solver=player(name, seed, protocol, tokens, hosts),
            scorer=reached(name, seed),
        )
    except SuperalignError as error:
        raise PrerequisiteError(str(error)) from None
