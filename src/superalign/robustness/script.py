"""Scripts of conversations: what an auditor says whatever the question, and playing one out with a model.

Whoever plays a script only says what is to be asked, and is told the answers. So the same code audits a subject in this
process and a model behind Inspect.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

from superalign.contracts.protocols import Subject
from superalign.contracts.records import Conversation, Message, Question, Record, Unscored
from superalign.robustness.audit_seeds import QUESTION, Turn
from superalign.robustness.violation import Cases

Role = Literal["target", "base", "auditor"]
Result = TypeVar("Result")
PLAIN = Turn(user=QUESTION)
REPLY = 16  # tokens, in a script and at its end: the fewest that OpenAI's responses API can be asked for


@dataclass(frozen=True)
class Ask:
    """Conversations that the model in this role is to answer, each once."""

    role: Role
    conversations: tuple[Conversation, ...]
    max_tokens: int = REPLY


Asking = Generator[Ask, Sequence[str | Unscored], Result]  # what it returns is known once all was answered


@dataclass(frozen=True)
class Played:
    """One conversation up to the question, and the answer that is judged; of one that broke off, as far as it went."""

    question: Question
    conversation: Conversation
    answer: str | Unscored


class Script(Record):
    """A system message, if any, and turns. Where the last one does not ask the question, it is asked plainly after."""

    system: str | None = None
    turns: tuple[Turn, ...] = ()

    @property
    def whole(self) -> tuple[Turn, ...]:
        return self.turns if self.turns and self.turns[-1].asks else (*self.turns, PLAIN)

    @property
    def is_plain(self) -> bool:
        return self.system is None and self.whole == (PLAIN,)

    def then(self, turn: Turn) -> Script:
        return Script(system=self.system, turns=(*self.turns, turn))


def play(script: Script, cases: Cases, role: Role) -> Asking[list[Played]]:
    """The script with every question, turn by turn, with the model's own answers in between. A conversation in which an
    answer did not come ends there.
    """
    wrong = ["no" if required else "yes" for required in cases.required]
    talks = [_Talk() for _ in cases.questions]
    if script.system is not None:
        for talk, question, no in zip(talks, cases.questions, wrong, strict=True):
            talk.say("system", _filled(script.system, question, no))
    for turn in script.whole:
        for talk, question, no in zip(talks, cases.questions, wrong, strict=True):
            talk.say("user", _filled(turn.user, question, no))
            if turn.answer is not None:
                talk.say("assistant", _filled(turn.answer, question, no))
        if turn.answer is None:
            yield from _hear(talks, role)
    return [talk.played(question) for talk, question in zip(talks, cases.questions, strict=True)]


class _Talk:
    """One conversation while it goes on."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.failed: Unscored | None = None

    def say(self, role: Literal["system", "user", "assistant"], text: str) -> None:
        if self.failed is None:
            self.messages.append(Message(role=role, content=text))

    def hear(self, answer: str | Unscored) -> None:
        if isinstance(answer, Unscored):
            self.failed = answer
        else:
            self.say("assistant", answer)

    def played(self, question: Question) -> Played:
        if self.failed is not None:
            return Played(question, tuple(self.messages), self.failed)
        return Played(question, tuple(self.messages[:-1]), self.messages[-1].content)


def _hear(talks: Sequence[_Talk], role: Role) -> Asking[None]:
    """Before the question is asked, conversations are the same for all questions: what is the same is asked once."""
    going = [talk for talk in talks if talk.failed is None]
    asked = tuple(dict.fromkeys(tuple(talk.messages) for talk in going))
    heard = dict(zip(asked, (yield Ask(role, asked)), strict=True)) if asked else {}
    for talk in going:
        talk.hear(heard[tuple(talk.messages)])


def together(askings: Sequence[Asking[Result]]) -> Asking[list[Result]]:
    """Play several side by side: what they ask of one model at a time is asked of it at once."""
    results: dict[int, Result] = {}
    waiting: dict[int, Ask] = {}
    answers: dict[int, Sequence[str | Unscored] | None] = dict.fromkeys(range(len(askings)))
    while answers:
        for i, heard in answers.items():
            try:
                waiting[i] = askings[i].send(heard)  # type: ignore[arg-type]  # the first thing sent is None
            except StopIteration as done:
                results[i] = done.value
        answers = {}
        for role in dict.fromkeys(ask.role for ask in waiting.values()):
            here = {i: ask for i, ask in waiting.items() if ask.role == role}
            said = list((yield Ask(role, tuple(one for ask in here.values() for one in ask.conversations))))
            for i, ask in here.items():
                answers[i], said = said[: len(ask.conversations)], said[len(ask.conversations) :]
        waiting = {}
    return [results[i] for i in range(len(askings))]


def _filled(text: str, question: Question, wrong: str) -> str:
    filled = text.replace("{wrong}", wrong).replace("{Wrong}", wrong.capitalize())
    return filled.replace(QUESTION, question.text)


def answered(asking: Asking[Result], models: Mapping[Role, Subject]) -> Result:
    """Carry out `asking` with models in this process."""
    answers: Sequence[str | Unscored] | None = None
    while True:
        try:
            ask = asking.send(answers)  # type: ignore[arg-type]  # the first thing sent to a generator is None
        except StopIteration as done:
            result: Result = done.value
            return result
        answers = models[ask.role].respond(ask.conversations, ask.max_tokens)
