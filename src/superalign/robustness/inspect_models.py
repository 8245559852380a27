"""What our tasks for Inspect share: its models by role, asked as an audit wants, and the designer's specification."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from inspect_ai._util.error import PrerequisiteError
from inspect_ai.model import GenerateConfig, Model, get_model, model_roles
from inspect_ai.util import LimitExceededError, collect

from superalign.contracts.records import Conversation, Specification, Unscored
from superalign.contracts.registry import tasks
from superalign.models.endpoint import answer_text, chat_messages, fault
from superalign.robustness.audit import Facts
from superalign.robustness.script import Asking, Result
from superalign.runs.cost import count
from superalign.runs.plan import load_specification
from superalign.tasks.specification import default_specification


def wanted(specification: str | None) -> Specification:
    """The designer's specification in a file, or the default one. InputError where there is none in it."""
    return load_specification(Path(specification)) if specification else default_specification()


def facts_on(specification: str | None, groups: int) -> Facts:
    """The easiest facts of the task that the specification is tested by."""
    designer = wanted(specification)
    questions, key = tasks.make(designer.clauses[0].tested_by[0].task).load()
    return Facts(designer, tuple(questions), key).easiest(groups)


class InspectModels:
    """The model under test is the role `target`; any other role is one that the evaluation was given."""

    def __init__(self) -> None:
        self.answered: Counter[str] = Counter()  # by role
        self.failure: str | None = None  # the target's last

    def has(self, role: str) -> bool:
        return role in model_roles()

    async def carry_out(self, asking: Asking[Result]) -> Result:
        """Ask until there is a result. What Inspect's limits end, or the user has to mend, is raised."""
        answers: Sequence[str | Unscored] | None = None
        while True:
            try:
                ask = asking.send(answers)  # type: ignore[arg-type]  # the first thing sent to a generator is None
            except StopIteration as done:
                result: Result = done.value
                return result
            answers = await self.respond(ask.role, ask.conversations, ask.max_tokens)

    async def respond(self, role: str, conversations: Sequence[Conversation], max_tokens: int) -> list[str | Unscored]:
        """Greedy answers of the model in this role, asked side by side as far as its connections go."""
        model = get_model() if role == "target" else get_model(role=role, required=True)
        count(forward_passes=len(conversations))
        answers = await collect(*(_answer(model, one, max_tokens) for one in conversations))
        failures = [answer.reason for answer in answers if isinstance(answer, Unscored)]
        self.answered[role] += len(answers) - len(failures)
        if role == "target" and failures:
            self.failure = failures[-1]
        return answers


async def _answer(model: Model, conversation: Conversation, max_tokens: int) -> str | Unscored:
    config = GenerateConfig(temperature=0.0, max_tokens=max_tokens)
    try:
        output = await model.generate(chat_messages(conversation), config=config)
    except (LimitExceededError, PrerequisiteError):
        raise
    except Exception as error:  # a provider may raise anything
        return Unscored(reason=fault(error))
    if output.error:
        return Unscored(reason=f"the model failed: {output.error}")
    return answer_text(output, max_tokens)
