"""Equal values have equal bytes, different ones don't, and what JSON can't hold is refused."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from superalign.contracts.errors import InputError, SealError
from superalign.contracts.records import Access, Cost, Message, Record
from superalign.provenance.commit import commit, verify_opening
from superalign.provenance.digest import canonical_json, digest, file_digest, folder_digest

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
).filter(lambda value: "\\ud" not in json.dumps(value))


@given(JSON)
def test_canonical_json_reads_back_and_is_stable(value: object) -> None:
    plain = canonical_json(value)
    assert json.loads(plain) == value
    assert canonical_json(json.loads(plain)) == plain


@given(st.dictionaries(st.text(st.characters(codec="utf-8")), st.integers(), max_size=6), st.randoms())
def test_the_order_of_keys_does_not_count(value: dict[str, int], random: object) -> None:
    items = list(value.items())
    random.shuffle(items)  # type: ignore[attr-defined]
    assert digest(dict(items)) == digest(value)


def test_text_is_utf8_and_there_are_no_spaces() -> None:
    assert canonical_json({"b": [1, 2.5], "a": "é"}) == '{"a":"é","b":[1,2.5]}'.encode()


class Sees(Record):
    access: frozenset[Access]
    message: Message


def test_records_count_by_their_json_wherever_they_are() -> None:
    record = Sees(access=frozenset({Access.LOGPROBS}), message=Message(role="user", content="x"))
    assert canonical_json([record]) == b'[{"access":["logprobs"],"message":{"content":"x","role":"user"}}]'


@pytest.mark.parametrize("value", [float("nan"), float("inf"), [float("-inf")]])
def test_numbers_that_json_lacks_are_refused(value: object) -> None:
    with pytest.raises(ValueError, match="JSON"):
        canonical_json(value)


@pytest.mark.parametrize("value", [{1: 2}, {"a": {None: 1}}, Path("x"), {1, 2}, b"x"])
def test_things_that_json_lacks_are_refused(value: object) -> None:
    with pytest.raises(TypeError):
        canonical_json(value)


def test_a_folder_counts_by_names_and_contents(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name / "sub").mkdir(parents=True)
        (tmp_path / name / "sub" / "weights").write_bytes(b"\x00" * 100_000)
        (tmp_path / name / "card").write_text("card")
    one = folder_digest(tmp_path / "one")
    assert one == folder_digest(tmp_path / "two")
    (tmp_path / "two" / "card").rename(tmp_path / "two" / "cord")
    assert one != folder_digest(tmp_path / "two")
    (tmp_path / "one" / "card").write_text("cart")
    assert one != folder_digest(tmp_path / "one")
    with pytest.raises(InputError, match="no such folder"):
        folder_digest(tmp_path / "three")


def test_file_digest_is_plain_sha256(tmp_path: Path) -> None:
    (tmp_path / "abc").write_bytes(b"abc")
    assert file_digest(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


@given(JSON)
def test_a_commitment_opens_to_what_was_committed_only(value: object) -> None:
    opening = commit(value)
    opening.verify()
    type(opening).model_validate_json(opening.model_dump_json()).verify()
    with pytest.raises(SealError, match="not what was committed"):
        verify_opening(opening.commitment, opening.salt, [value])
    with pytest.raises(SealError, match="not what was committed"):
        verify_opening(opening.commitment, "00" * 32, value)


def test_equal_values_have_unequal_commitments() -> None:
    assert commit("organism").commitment != commit("organism").commitment


@pytest.mark.parametrize("salt", ["", "00" * 31, "00" * 33, "zz" * 32])
def test_a_salt_of_another_length_is_refused(salt: str) -> None:
    with pytest.raises(SealError, match="32 bytes"):
        verify_opening(commit(1).commitment, salt, 1)


def test_records_are_committed_by_their_json() -> None:
    opening = commit(Cost(tokens=3))
    assert opening.value["tokens"] == 3
    verify_opening(opening.commitment, opening.salt, Cost(tokens=3))
