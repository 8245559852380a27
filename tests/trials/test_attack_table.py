"""The four columns of an attack: what counts where, which attack is chosen by whom, and who out-performs whom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from superalign.contracts.attacks import Choice, Column, DetectorUnderAttack, Separated
from superalign.contracts.records import Access, Finding, Interval, Unscored, Verdict
from superalign.contracts.summary import SubjectResult
from superalign.report.attacks import WARNING, after_training
from superalign.trials.attacks.table import evades, halves, paired, separated, under_attack, with_siblings

FAMILIES = ("backdoor", "flattery", "lying", "lock")


def subject(family: str, role: str, *, valid: bool = True, concealment: str = "none") -> SubjectResult:
    return SubjectResult(
        name=f"{family} {role}",
        family=family,
        role=role,  # type: ignore[arg-type]
        concealment=concealment,
        seed=0,
        valid=valid,
        gates=(),
        scores={},
        own={},
        finding=Finding.CLEAR,
        reason="",
        p_value=None,
        reference=0,
        excess=None,
    )


PAIRS = [subject(family, role) for family in FAMILIES for role in ("organism", "twin")]
ORGANISMS = {one.name for one in PAIRS if one.role == "organism"}


def scores(of: Mapping[str, float], otherwise: float = 0.0) -> dict[str, Verdict | Unscored]:
    """These families' organisms score so much, all others and every twin `otherwise`."""
    return {one.name: Verdict(score=of.get(one.family, otherwise) if one.role == "organism" else 0.0) for one in PAIRS}


def measured(column: Column) -> Separated:
    assert isinstance(column, Separated)
    return column


def test_a_column_counts_families_with_both_and_shares_above_the_threshold() -> None:
    alone = [subject("alone", "organism"), subject("broken", "organism"), subject("broken", "twin", valid=False)]
    found = scores({"backdoor": 2, "flattery": 2, "lying": 0.5}) | {one.name: Verdict(score=9) for one in alone}
    column = measured(separated([*PAIRS, *alone], found, 1.0))
    assert (column.families, column.organisms, column.twins, column.unscored) == (4, 4, 4, 0)
    assert (column.above, column.alarms) == (0.5, 0.0)
    assert column.auroc.value == pytest.approx((3 * 4 + 2) / 16)
    assert measured(separated(PAIRS, found, None)).above is None


def test_what_got_no_score_is_no_number() -> None:
    column = separated(PAIRS, {one.name: Unscored(reason="it hung") for one in PAIRS}, 1.0)
    assert isinstance(column, Unscored) and "it hung" in column.reason
    assert isinstance(separated([], {}, 1.0), Unscored)
    partly = scores({}, 1.0) | {"lock organism": Unscored(reason="it hung")}
    column = measured(separated(PAIRS, partly, 0.5))
    assert (column.organisms, column.twins, column.unscored) == (3, 3, 1)  # nor is its twin held against others'


def test_only_those_that_learnt_to_evade_a_probe_evade() -> None:
    kinds = ("none", "denial", "obfuscated", "both")
    assert [evades(subject("lying", "organism", concealment=kind)) for kind in kinds] == [False, False, True, True]


def test_the_attack_is_chosen_on_one_half_and_reported_on_the_other() -> None:
    """`here` undoes the detector on the first half, `there` on the second: each is chosen where it hurts, and reported
    where it does not.
    """
    first, second = halves(FAMILIES, 0)
    found = {
        "nowhere": scores({}, 1.0),
        "here": scores(dict.fromkeys(first, -1.0), 1.0),
        "there": scores(dict.fromkeys(second, -1.0), 1.0),
    }
    column, choices = under_attack(PAIRS, found, dict.fromkeys(found, ORGANISMS), 0.5, seed=0)
    assert [(one.attack, one.chosen_on, one.reported_on) for one in choices] == [
        ("here", first, second),
        ("there", second, first),
    ]
    assert [one.there.value for one in choices] == [0, 0]
    assert [measured(one.found).auroc.value for one in choices] == [1, 1]
    assert measured(column).auroc.value == 1 and measured(column).organisms == 4


VALUES = st.floats(-2, 2)


@settings(deadline=None, max_examples=30)
@given(st.lists(VALUES, min_size=8, max_size=8), st.lists(VALUES, min_size=8, max_size=8), st.integers(0, 5))
def test_what_the_other_half_scores_has_no_say_in_the_choice(
    own: Sequence[float], other: Sequence[float], seed: int
) -> None:
    first, second = halves(FAMILIES, seed)
    assert sorted(first + second) == sorted(FAMILIES) and abs(len(first) - len(second)) <= 1

    def chosen(values: Sequence[float]) -> str:
        found = {
            name: scores(dict(zip((*first, *second), (*own[at : at + 2], *values[at : at + 2]), strict=True)))
            for at, name in zip(range(0, 8, 2), "abcd", strict=True)
        }
        _, choices = under_attack(PAIRS, found, dict.fromkeys(found, ORGANISMS), 0.5, seed=seed)
        return next(choice.attack for choice in choices if choice.chosen_on == first)

    assert chosen(own) == chosen(other)


def test_an_organism_that_no_longer_misbehaves_is_left_out_and_can_not_choose() -> None:
    """Under `calming` nobody misbehaves any more, so that it is not chosen, however low the scores."""
    found = {"calming": scores({}, -1.0), "loud": scores({"lying": -1.0}, 1.0)}
    column, choices = under_attack(
        PAIRS, found, {"calming": set(), "loud": ORGANISMS - {"lying organism"}}, 0.5, seed=0
    )
    assert {one.attack for one in choices} == {"loud"}
    assert measured(column).auroc.value == 1 and measured(column).organisms == measured(column).twins == 3
    column, choices = under_attack(PAIRS, found, {"calming": set(), "loud": set()}, 0.5, seed=0)
    assert isinstance(column, Unscored) and "misbehave" in column.reason and choices == ()


def test_one_family_is_too_few_to_choose_on_others() -> None:
    column, choices = under_attack(PAIRS[:2], {"a": scores({})}, {"a": ORGANISMS}, 0.5, seed=0)
    assert isinstance(column, Unscored) and "there is one" in column.reason and choices == ()
    assert len(paired(PAIRS[:2])) == 2


def column(value: float, half: float = 0.05) -> Separated:
    auroc = Interval(value=value, low=value - half, high=value + half)
    return Separated(auroc=auroc, above=0.5, alarms=0.0, organisms=4, twins=4, families=4, unscored=0)


def row(name: str, last: Column, *, evaded: bool) -> DetectorUnderAttack:
    empty = Unscored(reason="not asked")
    access = (Access.ACTIVATIONS,) if evaded else (Access.BLACK_BOX,)
    return DetectorUnderAttack(
        detector=name,
        access=access,
        in_distribution=empty,
        shifted=empty,
        prompted=empty,
        trained_against=last,
        evaded=evaded,
    )


def test_a_detector_is_out_performed_by_held_out_siblings_alone() -> None:
    rows = with_siblings(
        [
            row("probe", column(0.6), evaded=True),
            row("better probe", column(0.95), evaded=True),  # trained against too: no sibling
            row("asks", column(0.7), evaded=False),
            row("searches", column(0.9), evaded=False),
            row("weak", column(0.5), evaded=False),
            row("hung", Unscored(reason="it hung"), evaded=False),
        ]
    )
    assert [one.outperformed_by for one in rows] == [("searches", "asks"), (), (), (), (), ()]
    said = [after_training(one, rows) for one in rows]
    assert "out-performed after training against by searches (0.90), asks (0.70, intervals overlap)" in said[0]
    assert said[0].endswith(WARNING)
    assert "by none of" in said[1] and WARNING not in said[1]
    assert "was not trained against" in said[2] and "out-performed" not in said[2]
    assert "not measured" in said[5] and "it hung" in said[5]


def test_equal_is_not_out_performed_and_a_battery_without_siblings_is_warned() -> None:
    rows = with_siblings([row("probe", column(0.8), evaded=True), row("asks", column(0.8), evaded=False)])
    assert rows[0].outperformed_by == ()
    [alone] = with_siblings([row("probe", column(0.8), evaded=True)])
    assert after_training(alone, (alone,)).endswith(WARNING)


def test_records_round_trip() -> None:
    choice = Choice(
        attack="a", chosen_on=("x",), there=column(0.4).auroc, reported_on=("y",), found=Unscored(reason="none left")
    )
    one = row("probe", column(0.6), evaded=True).model_copy(update={"choices": (choice,)})
    assert DetectorUnderAttack.model_validate_json(one.model_dump_json()) == one
