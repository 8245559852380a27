"""The specification that is used where none is given."""

from __future__ import annotations

from importlib.resources import files

import yaml

from superalign.contracts.records import Specification


def default_specification() -> Specification:
    """`specs/truthful.yaml`, as shipped with the package."""
    text = (files("superalign.tasks") / "data/truthful.yaml").read_text(encoding="utf-8")
    return Specification.model_validate(yaml.safe_load(text))
