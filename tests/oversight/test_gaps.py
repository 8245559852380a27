"""Gaps of programs that play perfectly, and of programs with one fault each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from superalign.contracts.errors import InputError
from superalign.contracts.oversight_measures import Gaps, Measured
from superalign.contracts.protocols import Trusted
from superalign.contracts.records import Conversation, Interval, Question, Unscored
from superalign.oversight import generator as generators
from superalign.oversight.direct import blindly
from superalign.oversight.expert import ScriptedExpert
from superalign.oversight.gaps import Roles, gaps, roles
from superalign.oversight.generator import ModelGenerator, taught_generator
from superalign.oversight.judge import ALLOWANCE, ScriptedJudge, Sitting
from superalign.tasks.choices import Choice, choice_between, choices, named
from superalign.testing.tiny import tiny_subject
from tests.oversight.docketed import Says, game, settled
from tests.scripted import TextSubject, text_of

EXACT = ScriptedJudge(error_rate=0)
# A critic that argues for no shows a false claim's flaw; of a true one it can hide what tells, but in two lines.
AFTER_CRITIQUE = (1 + (1 / 4 + 3 / 4 * 0.5)) / 2


def reads(conversation: Conversation) -> str:
    """Answers a choice as the passage says."""
    *lines, asked = text_of(conversation).splitlines()
    about = asked.removeprefix("Is the ").partition(" or ")[0].rpartition(" ")[0]
    return next(line.rpartition(" is ")[2].removesuffix(".") for line in lines if f"The {about} is" in line)


def wrong(conversation: Conversation) -> str:
    """The other of the two."""
    one, _, other = text_of(conversation).removesuffix("?").rpartition(" or ")
    return other if one.endswith(reads(conversation)) else one.rpartition(" ")[2]


class Backwards(ScriptedExpert):
    """Argues for the other side."""

    def argue(self, sittings: Sequence[Sitting], sides: Sequence[bool], lines: int = 1):  # type: ignore[no-untyped-def]
        return super().argue(sittings, [not side for side in sides], lines)


def perfect() -> Roles:
    return Roles(ModelGenerator(TextSubject(reads)), EXACT, ScriptedExpert(), EXACT)


def value(found: Measured) -> float:
    assert isinstance(found, Interval), found
    return found.value


def test_a_perfect_model_has_no_gap_but_what_a_one_sided_critic_leaves() -> None:
    docket = game()
    found = gaps(docket, perfect())
    assert (value(found.generator), value(found.discriminator), value(found.pointed)) == (1, 1, 1)
    assert value(found.discriminator_less_generator) == 0
    assert value(found.judge_after_critique) == pytest.approx(AFTER_CRITIQUE)
    drawn = [1.0 if settled(question, blindly(question, 0)) else 0.5 for question in docket.questions]
    assert value(found.judge_alone) == pytest.approx(sum(drawn) / len(drawn))
    assert value(found.critique_less_discriminator) == pytest.approx(AFTER_CRITIQUE - 1)
    assert Gaps.model_validate_json(found.model_dump_json()) == found


def test_each_fault_shows_in_its_own_number() -> None:
    docket = game()
    lying = ModelGenerator(TextSubject(wrong))
    assert value(gaps(docket, replace(perfect(), generator=lying)).generator) == 0
    unsure = gaps(docket, replace(perfect(), discriminator=Says(lambda _: 0.5)))
    assert value(unsure.discriminator) == 0.5 and value(unsure.discriminator_less_generator) == -0.5
    backwards = gaps(docket, replace(perfect(), critic=Backwards()))
    assert value(backwards.pointed) == pytest.approx(0)
    assert value(gaps(docket, replace(perfect(), judge=Says(lambda _: 0.9))).judge_after_critique) == 0.5


def test_the_discriminator_reads_everything_and_the_judge_no_more_than_its_allowance() -> None:
    seen: dict[str, set[int]] = {"judge": set(), "discriminator": set()}

    def watch(who: str):  # type: ignore[no-untyped-def]
        return Says(lambda sitting: seen[who].add(len(sitting.lines)) or 0.5)

    gaps(game(), replace(perfect(), judge=watch("judge"), discriminator=watch("discriminator")))
    assert seen == {"judge": {ALLOWANCE}, "discriminator": {2, 4, 8, 16}}


def test_what_was_not_answered_is_not_counted_as_wrong() -> None:
    some = ModelGenerator(TextSubject(lambda c: reads(c) if "red" in text_of(c) else "I can't say."))
    assert value(gaps(game(), replace(perfect(), generator=some)).generator) == 1
    none = ModelGenerator(TextSubject(lambda _: "I can't say."))
    assert isinstance(gaps(game(), replace(perfect(), generator=none)).generator, Unscored)


def test_without_evidence_there_is_no_critique_and_the_rest_is_measured() -> None:
    docket = game("cities", groups=20)
    key = {q.prompt: docket.key.truth[q.id] for q in docket.questions}
    knowing = Says(lambda sitting: float(key[sitting.question.prompt]))
    found = gaps(docket, Roles(ModelGenerator(TextSubject(lambda _: "no")), knowing, ScriptedExpert(), EXACT))
    assert value(found.discriminator) == 1
    assert isinstance(found.pointed, Unscored) and "no evidence" in found.pointed.reason
    assert isinstance(found.critique_less_discriminator, Unscored)


def test_a_program_has_no_gaps() -> None:
    with pytest.raises(InputError, match="writes no answers"):
        roles("scripted", "scripted")


def test_both_orders_are_asked_and_the_order_tells_nothing() -> None:
    docket = game(groups=400)
    pairs = [own for own in choices(docket.questions, 0).values() if isinstance(own, Choice)]
    first = [docket.key.truth[own.questions[0].id] for own in pairs]
    assert len(pairs) == 400 and 0.4 < sum(first) / len(first) < 0.6


def test_a_generator_is_taught_the_right_one_of_both_orders(monkeypatch: pytest.MonkeyPatch) -> None:
    told = []
    monkeypatch.setattr(generators, "fine_tuned", lambda subject, lessons, *_: told.extend(lessons[0]) or [subject])
    docket = game(groups=8)
    taught_generator(Trusted(tiny_subject(), docket.questions, docket.key, docket.given.specification))
    assert len(told) == 16
    assert all(lesson.answer == reads(lesson.conversation) for lesson in told)
    assert sum(text_of(own.conversation).endswith(f"or {own.answer}?") for own in told) == 8


WORDS = st.lists(st.sampled_from(["is", "it", "a", "b"]), min_size=1).map(" ".join)


@given(WORDS, WORDS, WORDS)
def test_a_choice_holds_both_answers(one: str, other: str, frame: str) -> None:
    asked = [asks(f"{frame} {own} now?") for own in (one, other)]
    found = choice_between(*asked)
    if isinstance(found, Unscored):
        return
    assert all(own and own in question.prompt for own, question in zip(found.answers, asked, strict=True))
    assert " or ".join(found.answers) in found.prompt


def asks(prompt: str) -> Question:
    return Question(id=f"t/{prompt}", prompt=prompt, level=0, group="g")


def test_an_answer_that_holds_the_other_is_told_from_it() -> None:
    short, longer, longest = (asks(f"Is it in {own}?") for own in ("Guinea", "New Guinea", "Guinea Bissau"))
    assert isinstance(choice_between(short, longest), Unscored)  # the shorter has nothing of its own
    found = choice_between(short, longer)
    assert isinstance(found, Choice) and found.prompt == "Is it in Guinea or New Guinea?"
    assert named("new guinea", found) == longer and named("It is Guinea.", found) == short
    assert isinstance(named("Guinea or New Guinea", found), Unscored)
    assert isinstance(named("Guineas", found), Unscored)
