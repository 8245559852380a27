"""The checker of proofs agrees with truth tables, which know nothing of rules or steps."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

from hypothesis import given, settings
from hypothesis import strategies as st

from superalign.contracts.records import Question
from superalign.tasks.proof import ASKED, Proof, Step, checked, parsed

ATOMS = ("it rains", "it snows", "the dog barks", "the bell rings")
atoms = st.sampled_from(ATOMS)
steps = st.builds(Step, atoms, atoms, atoms, atoms)
sound_steps = st.builds(lambda known, new: Step(known, new, known, new), atoms, atoms)


def entails(facts: Sequence[str], rules: Sequence[tuple[str, str]], conclusion: str) -> bool:
    """Whether the conclusion holds in every row of the truth table in which the facts and rules do."""
    names = sorted({*facts, *(name for rule in rules for name in rule), conclusion})
    rows = [dict(zip(names, row, strict=True)) for row in product([True, False], repeat=len(names))]
    return all(
        row[conclusion]
        for row in rows
        if all(row[fact] for fact in facts) and all(row[b] or not row[a] for a, b in rules)
    )


@given(step=steps)
def test_a_step_applies_where_its_rule_and_premise_entail_its_conclusion(step: Step) -> None:
    """But for a conclusion that only repeats the premise: that needs no rule."""
    if step.premise != step.conclusion:
        entailed = entails([step.premise], [(step.condition, step.consequence)], step.conclusion)
        assert checked({step.premise}, [step]) == [entailed]


@settings(max_examples=300)
@given(known=atoms, lines=st.lists(steps | sound_steps, min_size=1, max_size=5))
def test_what_is_proved_is_entailed(known: str, lines: list[Step]) -> None:
    """By what is given and the rules so far, up to the first step that does not follow."""
    follow = checked({known}, lines)
    for end in range(1, len(lines) + 1):
        if all(follow[:end]):
            rules = [(step.condition, step.consequence) for step in lines[:end]]
            assert entails([known], rules, lines[end - 1].conclusion)


@settings(max_examples=300)
@given(known=atoms, lines=st.lists(sound_steps, min_size=1, max_size=6))
def test_a_step_from_nowhere_does_not_follow(known: str, lines: list[Step]) -> None:
    said = [known, *(step.conclusion for step in lines)]
    assert checked({known}, lines) == [step.premise in said[: place + 1] for place, step in enumerate(lines)]


def test_the_answer_is_what_the_truth_table_says() -> None:
    """Of what is given and all rules that are named: the question has its answer without any of the steps."""
    questions, key = Proof().load(limit=200)
    for question in questions:
        asked = ASKED.fullmatch(question.prompt)
        lines = [parsed(line) for line in question.evidence]
        assert asked and all(lines)
        if len(lines) <= 8:  # 2^17 rows for each of the longest
            rules = [(step.condition, step.consequence) for step in lines if step]
            assert entails([asked["given"].lower()], rules, asked["goal"]) == key.truth[question.id]


@given(step=steps)
def test_a_line_is_read_as_it_was_written(step: Step) -> None:
    assert parsed(step.line) == step


def test_what_is_no_step_does_not_follow() -> None:
    question = Question(
        id="proof/0-0/a",
        prompt="It rains. Does it follow that it snows?",
        level=0,
        group="0-0",
        evidence=("It rains, so it snows.", "If it rains then it snows. It rains. So it snows."),
    )
    assert Proof().bearing(question) == (-1, 1)


def test_lines_out_of_order_do_not_follow() -> None:
    questions, key = Proof().load()
    question = next(q for q in questions if q.level == 2 and key.truth[q.id])
    swapped = (*question.evidence[4:], *question.evidence[:4])
    assert Proof().bearing(question.model_copy(update={"evidence": swapped})) == (-1, 1, 1, 1, 1, 1, 1, 1)


def test_a_line_that_is_shown_alone_answers_for_its_rule() -> None:
    task = Proof()
    for question in task.load(limit=40)[0]:
        whole = task.bearing(question)
        alone = [task.bearing(question.model_copy(update={"evidence": (line,)})) for line in question.evidence]
        assert [own[0] for own in alone] == list(whole)
