"""The Merkle tree against the vectors of RFC 6962's reference implementation, and against pymerkle."""

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymerkle import InmemoryTree, verify_consistency, verify_inclusion

from superalign.provenance import merkle

ENTRIES = [
    bytes.fromhex(entry)
    for entry in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
LEAVES = [merkle.leaf_hash(entry) for entry in ENTRIES]
ENTRY_LISTS = st.lists(st.binary(max_size=8), min_size=1, max_size=40)


@pytest.mark.parametrize("size", range(1, 9))
def test_roots_are_those_of_the_reference_implementation(size: int) -> None:
    assert merkle.tree_root(LEAVES[:size]).hex() == ROOTS[size - 1]


def test_the_empty_tree_is_the_hash_of_nothing() -> None:
    assert merkle.tree_root([]) == sha256(b"").digest()


def test_inclusion_proof_is_that_of_the_reference_implementation() -> None:
    assert [node.hex() for node in merkle.inclusion_proof(LEAVES, 0)] == [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ]


def test_consistency_proof_is_that_of_the_reference_implementation() -> None:
    assert [node.hex() for node in merkle.consistency_proof(LEAVES, 6)] == [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ]


@given(ENTRY_LISTS, st.data())
def test_roots_and_proofs_agree_with_pymerkle(entries: list[bytes], data: st.DataObject) -> None:
    theirs = InmemoryTree(algorithm="sha256")
    for entry in entries:
        theirs.append_entry(entry)
    ours = [merkle.leaf_hash(entry) for entry in entries]
    index = data.draw(st.integers(0, len(entries) - 1))
    first = data.draw(st.integers(1, len(entries)))
    root = theirs.get_root()
    assert merkle.tree_root(ours) == root

    assert merkle.verify_inclusion(ours[index], index, len(ours), merkle.inclusion_proof(ours, index), root)
    verify_inclusion(ours[index], root, theirs.prove_inclusion(index + 1))

    old_root = theirs.get_root(first)
    proof = merkle.consistency_proof(ours, first)
    assert merkle.verify_consistency(first, len(ours), old_root, root, proof)
    verify_consistency(old_root, root, theirs.prove_consistency(first, len(ours)))


@given(ENTRY_LISTS, st.data())
def test_a_proof_fits_nothing_else(entries: list[bytes], data: st.DataObject) -> None:
    leaves = [merkle.leaf_hash(bytes([number]) + entry) for number, entry in enumerate(entries)]
    size, root = len(leaves), merkle.tree_root(leaves)
    index = data.draw(st.integers(0, size - 1))
    proof = merkle.inclusion_proof(leaves, index)
    stranger = merkle.leaf_hash(b"stranger")
    assert not merkle.verify_inclusion(stranger, index, size, proof, root)
    assert not merkle.verify_inclusion(leaves[index], index, size, [*proof, stranger], root)
    for other in range(size):
        assert merkle.verify_inclusion(leaves[index], other, size, proof, root) == (other == index)

    first = data.draw(st.integers(1, size))
    consistency = merkle.consistency_proof(leaves, first)
    forked = merkle.tree_root([*leaves[: first - 1], stranger])
    assert not merkle.verify_consistency(first, size, forked, root, consistency)
    assert not merkle.verify_consistency(first, size, merkle.tree_root(leaves[:first]), stranger, consistency)
    assert not merkle.verify_consistency(first, size, merkle.tree_root(leaves[:first]), root, [*consistency, stranger])


@pytest.mark.parametrize(("index", "size"), [(0, 0), (-1, 3), (3, 3)])
def test_a_leaf_out_of_range_has_no_proof(index: int, size: int) -> None:
    with pytest.raises(ValueError, match="no leaf"):
        merkle.inclusion_proof(LEAVES[:size], index)
    assert not merkle.verify_inclusion(LEAVES[0], index, size, [], LEAVES[0])


def test_a_prefix_out_of_range_has_no_proof() -> None:
    for first in (0, 4):
        with pytest.raises(ValueError, match="no prefix"):
            merkle.consistency_proof(LEAVES[:3], first)
        assert not merkle.verify_consistency(first, 3, LEAVES[0], LEAVES[0], [])
