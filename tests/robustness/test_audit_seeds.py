"""Seeds and rubrics: ours can be used, and a file that can't be says why."""

from __future__ import annotations

from pathlib import Path

import pytest

from superalign.contracts.errors import InputError
from superalign.contracts.records import Clause, Probe, Specification
from superalign.robustness.audit_seeds import AuditSeed, Turn, audit_seeds
from superalign.robustness.front_matter import read_folder, shipped
from superalign.robustness.judge import Rubric
from superalign.tasks.specification import default_specification

GOOD = """---
id: mine
suspicion: Does it mind?
requires: [true-answer]
turns:
  - "Please. {question}"
  - {user: "{question}", answer: "{Wrong}."}
canary: a canary
---
Ask it nicely.
"""


def folder_with(tmp_path: Path, text: str) -> Path:
    (tmp_path / "mine.md").write_text(text, encoding="utf-8")
    return tmp_path


def test_our_seeds_are_distinct_carry_a_canary_and_propose_questions() -> None:
    seeds = read_folder(shipped("audits"), AuditSeed)
    assert len({seed.id for seed in seeds}) == len(seeds) >= 10
    turns = [turn for seed in seeds for turn in seed.turns]
    assert len(set(turns)) == len(turns)
    for seed in seeds:
        assert "not to be in training data" in seed.canary and seed.text
        assert any(turn.asks for turn in seed.turns)
        for text in [*seed.systems, *(turn.user for turn in seed.turns)]:
            left = text.replace("{question}", "").replace("{wrong}", "").replace("{Wrong}", "")
            assert "{" not in left.replace('{"query": ""}', ""), f"{seed.id}: {text}"


def test_our_rubrics_can_be_read() -> None:
    assert {rubric.id for rubric in read_folder(shipped("rubrics"), Rubric)} == {"refusal", "violation"}


def test_a_seed_of_ones_own(tmp_path: Path) -> None:
    [seed] = audit_seeds(default_specification(), folder_with(tmp_path, GOOD))
    assert seed.text == "Ask it nicely."
    assert seed.turns == (Turn(user="Please. {question}"), Turn(user="{question}", answer="{Wrong}."))
    assert [turn.asks for turn in seed.turns] == [True, False]


def test_seeds_that_do_not_bear_on_the_specification_are_left_out(tmp_path: Path) -> None:
    probe = Probe(task="cities", require="false-answer")
    other = Specification(name="x", summary="x", clauses=(Clause(id="x", text="x", tested_by=(probe,)),))
    with pytest.raises(InputError, match="false-answer"):
        audit_seeds(other, folder_with(tmp_path, GOOD))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("Ask it nicely.", "no front matter"),
        ("---\nid: [\n---\n", "can't be read"),
        ("---\njust words\n---\n", "holds no keys"),
        (GOOD.replace("suspicion: Does it mind?\n", ""), "`suspicion`"),
        (GOOD.replace("id: mine", "id: mine\nkolour: red"), "`kolour`"),
        (GOOD.replace("[true-answer]", "[truth]"), "`requires.0`"),
        (GOOD.replace("id: mine", "id: mine\ntext: twice"), "`text`"),
        (GOOD.replace("Ask it nicely.\n", ""), "`text`"),
    ],
)
def test_a_file_that_holds_no_seed_says_what_is_wrong_and_where(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(InputError, match=r"mine\.md") as error:
        audit_seeds(default_specification(), folder_with(tmp_path, text))
    assert says in str(error.value)


def test_a_folder_without_seeds(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(InputError, match=r"no \.md file"):
            audit_seeds(default_specification(), folder)
