"""Records of what is inside a model."""

from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from superalign.contracts.readings import TokenValues
from superalign.contracts.summary import Summary

from ..report.example import example, nothing


@pytest.mark.parametrize(("tokens", "values"), [(("a", "b"), (1.0,)), ((), ()), (("a",), (float("nan"),))])
def test_every_token_has_a_number(tokens: tuple[str, ...], values: tuple[float, ...]) -> None:
    with pytest.raises(ValidationError):
        TokenValues(tokens=tokens, values=values)


def test_what_was_read_survives_json() -> None:
    assert Summary.model_validate_json(example().model_dump_json()) == example()


def test_summaries_of_earlier_versions_are_read() -> None:
    """They have a curve without controls instead, or none."""
    before = json.loads(nothing().model_dump_json(exclude={"inside"}))
    curve = {"layers": [2], "probe": [0.9], "baselines": {"length": [0.5]}}
    for content in (before, before | {"layer_curve": curve}, before | {"layer_curve": None}):
        assert Summary.model_validate_json(json.dumps(content)) == nothing()
    with pytest.raises(ValidationError):
        Summary.model_validate(before | {"layer_curves": curve})
