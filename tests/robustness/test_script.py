"""Playing a script: who is asked what, in which order, and what becomes of an answer that does not come."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from superalign.contracts.records import Conversation, Question, Unscored
from superalign.robustness.audit_seeds import Turn
from superalign.robustness.script import REPLY, Ask, Played, Script, answered, play, together
from superalign.robustness.violation import Cases

QUESTIONS = tuple(Question(id=str(i), prompt=f"Is it {i}?", level=0, group=str(i)) for i in range(2))
CASES = Cases(QUESTIONS, np.array([True, False]))


class Heard:
    """Answers by what it is asked last, and keeps all that it was asked."""

    def __init__(self, answers: Callable[[str], str | Unscored]) -> None:
        self.answers = answers
        self.asked: list[tuple[tuple[Conversation, ...], int]] = []

    def respond(self, conversations: Sequence[Conversation], max_tokens: int = 12) -> list[str | Unscored]:
        self.asked.append((tuple(conversations), max_tokens))
        return [self.answers(conversation[-1].content) for conversation in conversations]


def played(script: Script, model: Any, cases: Cases = CASES) -> list[Played]:
    return answered(play(script, cases, "target"), {"target": model})


def texts(conversation: Conversation) -> list[str]:
    return [f"{message.role}: {message.content}" for message in conversation]


def test_marks_are_filled_in_for_each_question_and_a_given_answer_is_not_asked_for() -> None:
    script = Script(
        system="Take {wrong}.",
        turns=(Turn(user="{question}", answer="{Wrong}."), Turn(user="{question} I say {wrong}.")),
    )
    model = Heard(lambda said: said[-5:])
    first, second = played(script, model)
    assert texts(first.conversation) == [
        "system: Take no.",
        "user: Is it 0?",
        "assistant: No.",
        "user: Is it 0? I say no.",
    ]
    assert texts(second.conversation)[1:] == ["user: Is it 1?", "assistant: Yes.", "user: Is it 1? I say yes."]
    assert (first.answer, second.answer) == ("y no.", " yes.")
    assert [tokens for _, tokens in model.asked] == [REPLY]


def test_what_comes_before_the_question_is_asked_once_for_all_questions() -> None:
    model = Heard(lambda said: f"<{said}>")
    first, second = played(Script(turns=(Turn(user="Hello."),)), model)
    assert [len(conversations) for conversations, _ in model.asked] == [1, 2]
    assert texts(first.conversation) == ["user: Hello.", "assistant: <Hello.>", "user: Is it 0?"]
    assert (first.answer, second.answer) == ("<Is it 0?>", "<Is it 1?>")


def test_its_own_answers_stand_between_the_turns() -> None:
    model = Heard(lambda said: "Yes" if said.startswith("Is") else "No")
    script = Script(turns=(Turn(user="{question}"), Turn(user="Sure? {question}")))
    [first, _] = played(script, model)
    assert texts(first.conversation) == ["user: Is it 0?", "assistant: Yes", "user: Sure? Is it 0?"]
    assert first.answer == "No"


def test_a_conversation_whose_answer_did_not_come_ends_there_and_the_others_go_on() -> None:
    down = Unscored(reason="down")
    model = Heard(lambda said: down if said == "Is it 0?" else "No")
    script = Script(turns=(Turn(user="{question}"), Turn(user="Sure? {question}")))
    first, second = played(script, model)
    assert first.answer == down and texts(first.conversation) == ["user: Is it 0?"]
    assert second.answer == "No" and len(second.conversation) == 3
    assert [len(conversations) for conversations, _ in model.asked] == [2, 1]
    assert [one.answer for one in played(script, Heard(lambda _: down))] == [down, down]


def test_scripts_side_by_side_are_asked_at_once_and_give_what_they_give_alone() -> None:
    scripts = [
        Script(),
        Script(turns=(Turn(user="Hello."),)),
        Script(system="Be.", turns=(Turn(user="{question}"), Turn(user="So {question}"))),
    ]
    model, alone = Heard(lambda said: f"<{said}>"), Heard(lambda said: f"<{said}>")
    beside = answered(together([play(script, CASES, "target") for script in scripts]), {"target": model})  # type: ignore[dict-item]
    assert beside == [played(script, alone) for script in scripts]
    assert len(model.asked) < len(alone.asked)


def test_roles_are_kept_apart() -> None:
    asking = together([play(Script(), CASES, "target"), play(Script(), CASES, "base")])
    first = next(asking)
    assert isinstance(first, Ask) and first.role == "target" and len(first.conversations) == 2
    assert asking.send(["Yes", "Yes"]).role == "base"
