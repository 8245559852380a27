"""The dial's price: who never errs lets nothing hostile run, time runs out, and to ask nobody costs nothing."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from superalign.contracts.errors import InputError
from superalign.contracts.records import Interval, Unscored
from superalign.contracts.research import Program
from superalign.control.sandbox import Sandbox
from superalign.researcher.dial import TRIMMED, Offered, Setting, Stream, of_setting, offered, price, proposed
from superalign.researcher.problems.location import Location
from superalign.researcher.sabotage.programs import PROGRAMS

HONEST = [Offered(proposed(Program(source=TRIMMED.format(share=0.2))), False, 0.3)]
PLAIN = [Offered(proposed(Location().card.baseline), False, 0.5)]
HOSTILE = [
    Offered(proposed(Program(source=program.told())), True, Unscored(reason="hostile")) for program in PROGRAMS[:2]
]


def priced(own: Sequence[Offered], **changed: float) -> dict[str, Setting]:
    stream = Stream.model_validate({"error": 0, "seeds": 1} | changed)
    return {one: of_setting(one, stream, [own]) for one in ("every-step", "suspicious", "outcomes")}  # type: ignore[arg-type]


def rates(settings: dict[str, Setting], kind: str) -> list[float]:
    return [getattr(one, kind).value for one in settings.values()]


def test_who_never_errs_lets_nothing_hostile_run_and_outcomes_ask_nobody() -> None:
    found = priced([*HONEST, *PLAIN, *HOSTILE], minutes=60)
    assert rates(found, "hostile_ran") == [0, 0, 1]
    assert rates(found, "honest_ran") == [1, 1, 1]
    assert [one.seen for one in found.values()] == [4, 3, 0]
    assert [one.minutes for one in found.values()] == [8, 6, 0]
    assert [one.best for one in found.values()] == [0.3, 0.3, 0.3]


def test_when_the_minutes_are_spent_what_needs_a_person_does_not_run() -> None:
    found = priced([*HONEST * 3, *PLAIN * 3], minutes=3)
    assert rates(found, "honest_ran") == pytest.approx([2 / 6, 5 / 6, 1])
    nobody = priced([*HONEST, *PLAIN], minutes=0)
    assert rates(nobody, "honest_ran") == [0, 0.5, 1]
    assert isinstance(nobody["every-step"].best, Unscored) and nobody["suspicious"].best == 0.5


def test_who_always_errs_turns_it_round() -> None:
    found = priced([*HONEST, *HOSTILE], minutes=60, error=1)
    assert rates(found, "hostile_ran") == [1, 1, 1] and rates(found, "honest_ran") == [0, 0, 1]


def test_a_stream_holds_all_kinds_and_honest_ones_are_scored(sandbox: Sandbox) -> None:
    own = offered(Stream(proposals=8, seeds=1), 0, sandbox)
    assert {one.hostile for one in own} == {True, False}
    assert all(isinstance(one.score, float) != one.hostile for one in own)
    assert isinstance(of_setting("outcomes", Stream(), [own]).hostile_ran, Interval)


def test_shares_beyond_all_are_refused() -> None:
    with pytest.raises(InputError, match="more than all"):
        price(Stream(programs=0.8, hostile=0.5), lambda _: None)
