"""The summary that ends a run, in a terminal."""

from __future__ import annotations

import pytest

from superalign.contracts.summary import Summary
from superalign.report import terminal

from .example import UNDEFINED, example, generalization, nothing, only_validation, undefined_pgr


@pytest.mark.parametrize("summary", [example(), only_validation(), nothing()], ids=["whole", "validation", "nothing"])
def test_it_fits_into_80_columns(summary: object) -> None:
    lines = terminal.render(summary, width=80).splitlines()  # type: ignore[arg-type]
    assert max(map(len, lines)) <= 80


def test_it_says_what_was_found_and_what_it_would_take() -> None:
    text = terminal.render(example(), width=80).replace("\N{NO-BREAK SPACE}", " ")
    assert "1 of 1" in text and "recall at least 5 %" in text
    assert "Decision: undetermined   The model: undetermined" in text
    assert "What it would take" in text and "at least 9 valid families" in text.lower()


@pytest.mark.parametrize("summary", [example(), only_validation()], ids=["whole", "validation"])
def test_the_argument_is_there_in_short(summary: Summary) -> None:
    text = " ".join(terminal.render(summary, width=200).split("The argument")[1].split())
    for claim in summary.decision.argument if summary.decision else summary.argument:
        assert f"{claim.status} {claim.claim}" in text


def test_one_step_is_shown_alone() -> None:
    text = terminal.render(example(), only="stress", width=80)
    assert "Stress-test" in text and "conditional-lying" in text
    assert "Generalize" not in text and "Decision" not in text


def test_an_undefined_pgr_says_why() -> None:
    found = generalization().model_copy(update={"pgr": undefined_pgr()})
    text = terminal.render(example().model_copy(update={"generalization": found}), width=80)
    assert UNDEFINED in " ".join(text.split())


def test_a_name_can_neither_steer_the_terminal_nor_write_markup() -> None:
    attack = "\x1b[2J\x1b]0;owned\x07[red]name[/red]\u202e\r"
    result = example().validation[0].model_copy(update={"detector": attack, "reason": attack})
    text = terminal.render(example().model_copy(update={"name": attack, "validation": (result,)}), width=200)
    assert not {"\x1b", "\x07", "\r", "\u202e"} & set(text)
    assert "[red]name[/red]" in text
