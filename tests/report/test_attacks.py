"""A trial's detectors under attack, in a terminal and on the page."""

from __future__ import annotations

import pytest

from superalign.contracts.attacks import (
    Attacks,
    Choice,
    Column,
    DetectorUnderAttack,
    PromptAttack,
    RateUnderAttack,
    Separated,
)
from superalign.contracts.records import Access, Cost, Interval, Unscored
from superalign.report import html, terminal

from .example import example

LONG = "the detector needs access to weights, which this subject does not allow"


def column(value: float, low: float, high: float, above: float | None = 0.5) -> Separated:
    auroc = Interval(value=value, low=low, high=high)
    return Separated(auroc=auroc, above=above, alarms=0.0, organisms=12, twins=11, families=11, unscored=1)


def row(name: str, *columns: Column, evaded: bool = False, by: tuple[str, ...] = ()) -> DetectorUnderAttack:
    there = Interval(value=0.51, low=0.2, high=0.8)
    choice = Choice(
        attack="evaluation",
        chosen_on=("conditional-lying", "password-lock"),
        there=there,
        reported_on=("backdoor", "sycophancy"),
        found=columns[2],
    )
    return DetectorUnderAttack(
        detector=name,
        access=(Access.ACTIVATIONS,),
        in_distribution=columns[0],
        shifted=columns[1],
        prompted=columns[2],
        trained_against=columns[3],
        choices=(choice,),
        evaded=evaded,
        outperformed_by=by,
    )


def attacked() -> Attacks:
    none = Unscored(reason=LONG)
    wide = column(0.934, 0.123, 1.0)
    return Attacks(
        name="suite",
        model="smollm2-135m",
        task="elements",
        benign=8,
        attacks=tuple(PromptAttack(name=name, suffix="Thank you.") for name in ("evaluation", "politeness", "format")),
        rates=tuple(
            RateUnderAttack(
                subject=f"subject-{number}",
                family="conditional-lying",
                attack=attack,
                before=0.96,
                rate=rate,
                at_least=0.75,
            )
            for number in (512, 107)
            for attack, rate in (("evaluation", 0.91), ("politeness", 0.4), ("format", 1.0))
        ),
        detectors=(
            row("knowledge", wide, wide, wide, column(0.61, 0.31, 0.9), evaded=True, by=("context-search",)),
            row("context-search", wide, none, wide, column(0.88, 0.62, 0.99, None)),
            row("a-detector-with-quite-a-long-name", none, none, none, none, evaded=True),
        ),
        cost=Cost(seconds=100.0),
    )


def test_in_a_terminal_it_fits_into_80_columns_and_says_what_follows() -> None:
    lines = terminal.render_attacks(attacked(), width=80).splitlines()
    assert max(map(len, lines)) <= 80
    text = " ".join(" ".join(lines).split()).replace("\N{NO-BREAK SPACE}", " ")
    assert "out-performed after training against by context-search (0.88, intervals overlap)" in text
    assert "Never train against the only instrument." in text
    assert "6 of 12" in text and "40 % (left out)" in text


def test_what_was_not_measured_shows_no_number_and_says_why() -> None:
    lines = terminal.render_attacks(attacked(), width=200).splitlines()
    [cells] = [line for line in lines if line.startswith("a-detector-with-quite-a-long-name  ") and "[" not in line][:1]
    assert not any(character.isdigit() for character in cells) and cells.count("not measured") == 4
    text = "\n".join(lines)
    assert text.count(LONG) >= 3
    assert "valid model got no score" in text.replace("\N{NO-BREAK SPACE}", " ")


def test_the_page_has_the_table_where_there_was_an_attack() -> None:
    page = html.render(example(), attacked())
    assert 'id="attacks"' in page and "Trained against" in page and LONG in page
    assert 'id="attacks"' not in html.render(example())


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", "\x1b[2Jowned"])
def test_a_name_can_do_no_harm(name: str) -> None:
    found = attacked()
    bad = found.detectors[0].model_copy(update={"detector": name, "shifted": Unscored(reason=name)})
    found = found.model_copy(update={"detectors": (bad, *found.detectors[1:])})
    assert "<script>" not in html.render(example(), found)
    assert "\x1b" not in terminal.render_attacks(found, width=80)
