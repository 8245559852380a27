"""Answers are told by the model that wrote them, and honest ones are not told from themselves."""

from __future__ import annotations

import pytest

from superalign.contracts.attribution import AttributionStudy
from superalign.contracts.egress import Output
from superalign.contracts.records import Interval, Unscored
from superalign.models.generate import Sampling
from superalign.testing.tiny import tiny_subject
from superalign.trials.attribution import attribution_study, margin, prompts_for, told_apart
from superalign.trials.attribution import drawn as drawn_by


@pytest.fixture(scope="module")
def study() -> tuple[AttributionStudy, list[Output]]:
    other = tiny_subject("another", seed=3)
    return attribution_study(tiny_subject(), dtype="float32", prompts=8, tokens=8, others=[other])


def test_impostors_are_told_by_their_tokens(study: tuple[AttributionStudy, list[Output]]) -> None:
    found = study[0]
    same = {one.name: one.same for one in found.sources}
    honest = same["honest"]
    assert isinstance(honest, Interval) and honest.value == 1
    assert {"weights of 8 bits", "weights of 4 bits", "patched", "in bfloat16", "another seed", "another"} < set(same)
    for one in found.told:
        if one.statistic == "margin" and one.tokens == 8:
            assert isinstance(one.auroc, Interval) and one.auroc.value > 0.9


def test_honest_outputs_can_be_read_back(study: tuple[AttributionStudy, list[Output]]) -> None:
    assert all(Output.model_validate_json(one.model_dump_json()) == one for one in study[1])
    assert len({one.prompt for one in study[1]}) == 8


def test_honest_answers_are_not_told_from_themselves() -> None:
    tiny, how = tiny_subject(), Sampling(1.0, 1.0, 1)
    own = drawn_by(tiny, tiny, "honest", prompts_for(6), how, how, 6)
    found = told_apart(own, own, margin, 4)
    assert isinstance(found, Interval) and found.value == 0.5
    assert isinstance(told_apart(own, own, margin, 100), Unscored)
