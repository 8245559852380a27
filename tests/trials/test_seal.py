"""Sealed before, opened once, and nothing changed in between."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from superalign.contracts.errors import SealError
from superalign.provenance.commit import commit, verify_opening
from superalign.runs.plan import Plan
from superalign.runs.progress import NoDisplay
from superalign.runs.run import Run, verify_run
from superalign.tasks.specification import default_specification
from superalign.trials.seal import SEAL_FILE, read_seal, seal, unseal, verdicts_known

VALUE = {"labels": {"a": "organism", "b": "twin"}, "thresholds": {"knowledge": 0.1}}


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    with Run.open(tmp_path, Plan(name="trial", specification=default_specification()), display=NoDisplay()) as opened:
        yield opened


def bodies(run: Run, kind: str) -> list[dict[str, Any]]:
    return [entry.body for entry in run.ledger.entries(kind)]


def test_sealing_again_with_the_same_value_is_the_same_seal(run: Run) -> None:
    first = seal(run, VALUE, known=0)
    again = seal(run, dict(reversed(VALUE.items())), known=3)  # the order of keys is no part of a value
    assert first == again == read_seal(run)
    assert bodies(run, "seal") == [{"commitment": first.commitment, "verdicts_known": 0}]
    assert verdicts_known(run) == 0  # those of the trial itself, which a killed run finds again, do not count


def test_the_ledger_tells_nothing_of_the_value_before_it_is_unsealed(run: Run) -> None:
    opening = seal(run, VALUE, known=0)
    written = json.dumps([entry.body for entry in run.ledger.entries()])
    assert "organism" not in written and opening.salt not in written


def test_unsealed_once_with_what_anybody_needs_to_check_it(run: Run) -> None:
    opening = seal(run, VALUE, known=0)
    unseal(run, opening)
    unseal(run, opening)
    (opened,) = bodies(run, "unseal")
    assert opened["value"] == VALUE
    verify_opening(bodies(run, "seal")[0]["commitment"], opened["salt"], opened["value"])
    assert [entry.kind for entry in run.ledger.entries()][-2:] == ["seal", "unseal"]


@pytest.mark.parametrize(
    "changed",
    [
        {**VALUE, "thresholds": {"knowledge": 0.2}},
        {**VALUE, "labels": {"a": "twin", "b": "organism"}},
        {**VALUE, "more": 1},
        {"labels": VALUE["labels"]},
    ],
)
def test_another_value_is_refused(run: Run, changed: dict[str, Any]) -> None:
    seal(run, VALUE, known=0)
    with pytest.raises(SealError, match="sealed with other"):
        seal(run, changed, known=0)
    assert len(bodies(run, "seal")) == 1


def test_a_lost_seal_is_not_made_again(run: Run) -> None:
    seal(run, VALUE, known=0)
    (run.folder / SEAL_FILE).unlink()
    with pytest.raises(SealError, match="gone") as error:
        seal(run, VALUE, known=0)
    assert error.value.fix and "Restore" in error.value.fix


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[]", b'{"commitment": "00", "salt": "00"}'])
def test_a_damaged_seal_is_refused(run: Run, content: bytes) -> None:
    seal(run, VALUE, known=0)
    (run.folder / SEAL_FILE).write_bytes(content)
    with pytest.raises(SealError):
        seal(run, VALUE, known=0)


@pytest.mark.parametrize("field", ["value", "salt", "commitment"])
def test_an_edited_seal_is_refused(run: Run, field: str) -> None:
    """Also where the value now asked for is the edited one."""
    path = run.folder / SEAL_FILE
    opening = seal(run, VALUE, known=0).model_dump()
    other = {**VALUE, "thresholds": {"knowledge": 9.0}}
    opening[field] = other if field == "value" else "ab" * 32
    path.write_text(json.dumps(opening))
    for value in (VALUE, other):
        with pytest.raises(SealError):
            seal(run, value, known=0)


def test_another_seal_in_its_place_is_refused(run: Run) -> None:
    """Sound in itself, but not what the ledger says was sealed: neither for another value nor for the same."""
    seal(run, VALUE, known=0)
    for value in ({**VALUE, "thresholds": {"knowledge": 9.0}}, VALUE):
        (run.folder / SEAL_FILE).write_text(commit(value).model_dump_json())
        with pytest.raises(SealError):
            seal(run, value, known=0)
    assert len(bodies(run, "seal")) == 1


def test_what_was_not_committed_can_not_be_unsealed(run: Run) -> None:
    opening = seal(run, VALUE, known=0)
    with pytest.raises(SealError):
        unseal(run, opening.model_copy(update={"value": {**VALUE, "thresholds": {}}}))
    assert bodies(run, "unseal") == []


def test_killed_between_the_file_and_the_ledger_it_goes_on_with_the_file(run: Run, tmp_path: Path) -> None:
    (run.folder / SEAL_FILE).write_text(commit(VALUE).model_dump_json())
    opening = seal(run, VALUE, known=2)
    assert bodies(run, "seal") == [{"commitment": opening.commitment, "verdicts_known": 2}]
    run.close()
    with Run.existing(run.folder, display=NoDisplay()) as again:
        assert seal(again, VALUE, known=0) == opening
    verify_run(run.folder)
