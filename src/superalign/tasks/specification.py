"""Specifications as shipped with the package: of `specs/`, those that are used where none is given."""

from __future__ import annotations

from importlib.resources import files

import yaml

from superalign.contracts.records import Specification


def default_specification() -> Specification:
    """`specs/truthful.yaml`."""
    return _shipped("truthful")


def honest_specification() -> Specification:
    """`specs/honest.yaml`, for measures of honesty."""
    return _shipped("honest")


def _shipped(name: str) -> Specification:
    text = (files("superalign.tasks") / f"data/{name}.yaml").read_text(encoding="utf-8")
    return Specification.model_validate(yaml.safe_load(text))
