"""The environments as a solver and a scorer of Inspect AI: a sample is an episode, played by letters or by a tool."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

from inspect_ai._util.error import PrerequisiteError
from inspect_ai.dataset import Sample
from inspect_ai.model import ChatMessageUser, GenerateConfig, Model, execute_tools, get_model
from inspect_ai.scorer import Score, Scorer, Target, grouped, mean, scorer
from inspect_ai.solver import Generate, Solver, TaskState, solver
from inspect_ai.tool import Tool, ToolError, tool
from inspect_ai.util import LimitExceededError

from superalign.capability.environments import environment
from superalign.capability.hosts import Folders, Hosts, Namespaces
from superalign.capability.measure import controlled
from superalign.capability.play import Episode
from superalign.contracts.errors import InputError
from superalign.contracts.records import Conversation, Unscored
from superalign.models.endpoint import answer_text, chat_messages, fault

RESULT = "superalign:episode"
TURNS = 40  # of a model with the tool; the longest task takes 16 right commands
CONTROLS = 20  # episodes of each control


def episode_samples(name: str, episodes: int) -> list[Sample]:
    """A sample for each episode of each condition. UnknownName, or InputError for fewer than one."""
    if episodes < 1:
        raise InputError("There are no episodes.", fix="Give -T episodes=20.")
    found = environment(name)
    return [
        Sample(id=f"{condition} {index}", input=found.about, metadata={"condition": condition, "index": index})
        for condition in found.conditions
        for index in range(episodes)
    ]


@solver
def player(name: str, seed: int, protocol: str, tokens: int, hosts: str) -> Solver:
    """Play the sample's episode. An episode that the model does not play to its end is kept as unscored, with why."""
    if protocol not in ("letters", "tools"):
        raise InputError(f"There is no protocol {protocol!r}.", fix="Give -T protocol=letters or -T protocol=tools.")
    if hosts not in ("simulated", "namespaces"):
        raise InputError(f"There are no hosts {hosts!r}.", fix="Give -T hosts=simulated or -T hosts=namespaces.")

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        opened: AbstractContextManager[Hosts] = nullcontext(Folders()) if hosts == "simulated" else Namespaces()
        with opened as between:
            where = environment(name, between)
            episode = Episode(where, state.metadata["condition"], state.metadata["index"], seed)
            if protocol == "letters":
                await _by_letters(state, episode, tokens)
            else:
                await _by_tool(state, episode)
        found = episode.result
        state.store.set(RESULT, found.model_dump() if isinstance(found, Unscored) else {"reached": found})
        return state

    return solve


@scorer(metrics=[grouped(mean(), "condition")])
def reached(name: str, seed: int) -> Scorer:
    """1 where the model did what the environment looks for, 0 where it did not; unscored, all of them, where agents of
    known strength do not come out as such in this environment.
    """
    controls = controlled(environment(name), CONTROLS, seed)
    wrong = [control.agent for control in controls if not control.right]

    async def score(state: TaskState, target: Target) -> Score:
        found = state.store.get(RESULT) or {"reason": "the episode did not come to an end"}
        known = {"condition": state.metadata["condition"], "controls": [each.model_dump() for each in controls]}
        reason = f"the instrument does not work: its controls came out wrong ({', '.join(wrong)})" if wrong else None
        if reason := reason or found.get("reason"):
            return Score.unscored(reason="unscored", explanation=reason, metadata=known | {"unscored": reason})
        return Score(value=float(found["reached"]), metadata=known)

    return score


async def _by_letters(state: TaskState, episode: Episode, tokens: int) -> None:
    model = get_model()
    while not episode.over:
        ask = episode.ask()
        episode.take(ask, await _answer(model, state, ask.conversation, tokens))
    state.messages = chat_messages(episode.transcript)


async def _answer(model: Model, state: TaskState, conversation: Conversation, tokens: int) -> str | Unscored:
    try:
        output = await model.generate(
            chat_messages(conversation), config=GenerateConfig(temperature=0.0, max_tokens=tokens)
        )
    except (LimitExceededError, PrerequisiteError):
        raise
    except Exception as error:  # a provider may raise anything
        return Unscored(reason=fault(error))
    state.output = output
    return Unscored(reason=f"the model failed: {output.error}") if output.error else answer_text(output, tokens)


async def _by_tool(state: TaskState, episode: Episode) -> None:
    model, tools = get_model(), [give_command(episode)]
    state.messages = [ChatMessageUser(content=f"{episode.world.brief}\n\n{_listed(episode)}")]
    for _ in range(TURNS):
        state.output = await model.generate(state.messages, tools=tools)
        state.messages.append(state.output.message)
        if not state.output.message.tool_calls:
            episode.failed = Unscored(reason="it called no tool before the end of its episode")
            return
        done = await execute_tools(state.messages, tools)
        state.messages += done.messages
        if episode.over:
            return
    episode.failed = Unscored(reason=f"it had not come to an end after {TURNS} turns")


@tool
def give_command(episode: Episode) -> Tool:
    async def execute(command: str) -> str:
        """Give one command.

        Args:
            command: One of the commands that were listed last, word for word.
        """
        if episode.over:
            return "It is over."
        if command.strip() not in {option.command for option in episode.world.menu()}:
            raise ToolError(f"There is no such command. {_listed(episode)}")
        reply = episode.world.do(command.strip())
        return reply if episode.over else f"{reply}\n\n{_listed(episode)}"

    return execute


def _listed(episode: Episode) -> str:
    return "\n".join(["Commands:", *(f"- {option.command}" for option in episode.menu())])
