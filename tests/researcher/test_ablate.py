"""A found solution is taken apart into single differences from the baseline."""

from __future__ import annotations

from pathlib import Path

from superalign.contracts.research import Expression
from superalign.researcher.ablate import ablations
from superalign.researcher.problems.location import Location

MEAN, MEDIAN = (Expression(part="report", inputs=(Expression(part=name),)) for name in ("mean", "median"))


def of(child: Expression) -> Expression:
    return Expression(part="report", inputs=(child,))


def test_each_parameter_and_each_input_is_set_back_alone(tmp_path: Path) -> None:
    language = Location().card.language
    trimmed = Expression(part="trimmed", parameters={"share": 0.3})
    found = of(Expression(part="average", inputs=(trimmed, Expression(part="median"))))
    baseline = of(
        Expression(part="average", inputs=(trimmed.model_copy(update={"parameters": {"share": 0.1}}), trimmed))
    )
    cut = ablations(found, baseline, language)
    assert len(cut) == 2
    assert {expression.inputs[0].inputs[0].parameters["share"] for expression in cut.values()} == {0.1, 0.3}
    assert found not in cut.values() and baseline not in cut.values()


def test_a_difference_at_one_place_leaves_nothing_between(tmp_path: Path) -> None:
    assert ablations(MEDIAN, MEAN, Location().card.language) == {}
