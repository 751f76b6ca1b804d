"""The tree against RFC 6962 vectors, a real Certificate Transparency log, and pymerkle."""

import base64
import hashlib
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymerkle import InmemoryTree

from kifabrik.errors import IntegrityError, UsageError
from kifabrik.ledger.merkle import (
    EMPTY_ROOT,
    CompactTree,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    node_hash,
    root_of,
    verify_consistency,
    verify_inclusion,
)

VECTORS = Path(__file__).parents[2] / "vectors" / "ledger"

# The eight-entry tree of the Certificate Transparency reference implementation
# (google/certificate-transparency, cpp/merkletree/merkle_tree_test.cc), reused by transparency-dev/merkle.
ENTRIES = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
INCLUSION = {
    (0, 8): [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ],
    (5, 8): [
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
    (2, 3): ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"],
    (1, 5): [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ],
}
CONSISTENCY = {
    (1, 8): INCLUSION[0, 8],
    (6, 8): [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
    (2, 5): INCLUSION[1, 5][1:],
    (6, 7): [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "b08693ec2e721597130641e8211e7eedccb4c26413963eee6c1e2ed16ffb1a5f",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
}


class Nodes:
    """A hash reader over plain leaves."""

    def __init__(self, entries):
        self.rows = [[leaf_hash(entry) for entry in entries]]
        while len(self.rows[-1]) > 1:
            row = self.rows[-1]
            self.rows.append([node_hash(row[i], row[i + 1]) for i in range(0, len(row) - 1, 2)])

    def __call__(self, level, index):
        return self.rows[level][index]


def entries_of(count):
    return [b"entry %d" % number for number in range(count)]


def oracle_of(entries):
    tree = InmemoryTree(algorithm="sha256")
    for entry in entries:
        tree.append_entry(entry)
    return tree


@pytest.mark.parametrize("size", range(9))
def test_roots_are_those_of_the_reference_tree(size):
    assert root_of(map(leaf_hash, ENTRIES[:size])).hex() == ROOTS[size]


@pytest.mark.parametrize(("index", "size"), INCLUSION)
def test_inclusion_proofs_are_those_of_the_reference_tree(index, size):
    proof = inclusion_proof(size, index, Nodes(ENTRIES[:size]))
    assert [value.hex() for value in proof] == INCLUSION[index, size]
    verify_inclusion(index, size, leaf_hash(ENTRIES[index]), proof, bytes.fromhex(ROOTS[size]))


@pytest.mark.parametrize(("old", "new"), CONSISTENCY)
def test_consistency_proofs_are_those_of_the_reference_tree(old, new):
    proof = consistency_proof(old, new, Nodes(ENTRIES[:new]))
    assert [value.hex() for value in proof] == CONSISTENCY[old, new]
    verify_consistency(old, bytes.fromhex(ROOTS[old]), new, bytes.fromhex(ROOTS[new]), proof)


def test_proofs_of_a_real_log_with_961984013_entries_verify():
    vector = json.loads((VECTORS / "argon2020.json").read_text())
    decode = base64.b64decode
    root, size = decode(vector["root"]), vector["size"]
    leaf = leaf_hash(decode(vector["leaf_input"]))
    verify_inclusion(vector["index"], size, leaf, [decode(x) for x in vector["audit_path"]], root)
    proof = [decode(x) for x in vector["consistency"]]
    verify_consistency(vector["old_size"], decode(vector["old_root"]), size, root, proof)
    with pytest.raises(IntegrityError):
        verify_consistency(vector["old_size"] + 1, decode(vector["old_root"]), size, root, proof)


@given(size=st.integers(1, 700), data=st.data())
@settings(max_examples=60)
def test_roots_and_proofs_are_those_of_pymerkle(size, data):
    entries = entries_of(size)
    oracle, nodes = oracle_of(entries), Nodes(entries)
    root = oracle.get_root()
    assert root_of(map(leaf_hash, entries)) == root
    index = data.draw(st.integers(0, size - 1))
    proof = inclusion_proof(size, index, nodes)
    assert list(proof) == oracle.prove_inclusion(index + 1, size).path[1:]
    verify_inclusion(index, size, leaf_hash(entries[index]), proof, root)
    old = data.draw(st.integers(1, size))
    # pymerkle splits consistency paths further than RFC 6962, so each side's proof meets the other's roots.
    before = root_of(map(leaf_hash, entries[:old]))
    oracle.prove_consistency(old, size).verify(before, root_of(map(leaf_hash, entries)))
    verify_consistency(old, oracle.get_root(old), size, root, consistency_proof(old, size, nodes))


def subproof(old, leaves, complete):
    """SUBPROOF(m, D[n], b) as RFC 6962, section 2.1.2 writes it."""
    if old == len(leaves):
        return [] if complete else [root_of(leaves)]
    k = max(2**power for power in range(64) if 2**power < len(leaves))
    if old <= k:
        return [*subproof(old, leaves[:k], complete), root_of(leaves[k:])]
    return [*subproof(old - k, leaves[k:], complete=False), root_of(leaves[:k])]


@given(new=st.integers(1, 200), data=st.data())
@settings(max_examples=60)
def test_consistency_proofs_are_those_of_the_definition(new, data):
    old = data.draw(st.integers(1, new))
    entries = entries_of(new)
    expected = subproof(old, list(map(leaf_hash, entries)), complete=True)
    assert list(consistency_proof(old, new, Nodes(entries))) == expected


def test_every_pair_of_sizes_up_to_40_is_provably_consistent_and_equal_to_pymerkle():
    entries = entries_of(40)
    oracle, nodes = oracle_of(entries), Nodes(entries)
    for new in range(1, 41):
        for old in range(1, new + 1):
            proof = consistency_proof(old, new, nodes)
            verify_consistency(old, oracle.get_root(old), new, oracle.get_root(new), proof)
            for index in range(old):
                path = inclusion_proof(old, index, nodes)
                verify_inclusion(index, old, leaf_hash(entries[index]), path, oracle.get_root(old))


@given(size=st.integers(2, 300), data=st.data())
@settings(max_examples=100)
def test_no_changed_inclusion_proof_verifies(size, data):
    entries = entries_of(size)
    nodes, root = Nodes(entries), root_of(map(leaf_hash, entries))
    index = data.draw(st.integers(0, size - 1))
    leaf, proof = leaf_hash(entries[index]), list(inclusion_proof(size, index, nodes))
    at = data.draw(st.integers(0, len(proof) - 1))
    flipped = bytes([proof[at][0] ^ 8]) + proof[at][1:]
    other = leaf_hash(b"another entry")
    wrong = [
        (index + 1, size, leaf, proof, root),
        (index - 1, size, leaf, proof, root),
        (index, size, other, proof, root),
        (index, size, leaf, proof, other),
        (index, size, leaf, [*proof[:at], flipped, *proof[at + 1 :]], root),
        (index, size, leaf, [*proof[:at], *proof[at + 1 :]], root),
        (index, size, leaf, [*proof, root], root),
        (index, size, leaf, [root, *proof], root),
        (index, size, leaf, [*proof, b""], root),
        (index, size, leaf, [*proof[:-1], proof[-1][:31]], root),
        (index, 0, leaf, proof, root),
    ]
    for case in wrong:
        with pytest.raises(IntegrityError):
            verify_inclusion(*case)


@given(new=st.integers(2, 300), data=st.data())
@settings(max_examples=100)
def test_no_changed_consistency_proof_verifies(new, data):
    entries = entries_of(new)
    nodes, root = Nodes(entries), root_of(map(leaf_hash, entries))
    old = data.draw(st.integers(1, new - 1))
    before = root_of(map(leaf_hash, entries[:old]))
    proof = list(consistency_proof(old, new, nodes))
    at = data.draw(st.integers(0, len(proof) - 1))
    flipped = bytes([proof[at][0] ^ 8]) + proof[at][1:]
    forked = root_of(map(leaf_hash, [*entries[: old - 1], b"another entry"]))
    wrong = [
        (old + 1, before, new, root, proof),
        (old - 1, before, new, root, proof),
        (old, forked, new, root, proof),
        (old, before, new, forked, proof),
        (old, root, new, before, proof),
        (old, before, new, root, [*proof[:at], flipped, *proof[at + 1 :]]),
        (old, before, new, root, [*proof[:at], *proof[at + 1 :]]),
        (old, before, new, root, []),
        (old, before, new, root, [*proof, root]),
        (old, before, new, root, [root, *proof]),
        (new, root, old, before, proof),
        (old, before[:31], new, root, proof),
    ]
    for case in wrong:
        with pytest.raises(IntegrityError):
            verify_consistency(*case)


def test_everything_extends_the_empty_log_and_nothing_else_does_without_proof():
    root = leaf_hash(b"x")
    verify_consistency(0, EMPTY_ROOT, 1, root, ())
    verify_consistency(1, root, 1, root, ())
    verify_consistency(0, EMPTY_ROOT, 0, EMPTY_ROOT, ())
    wrong = [(0, EMPTY_ROOT, 0, root, ()), (0, root, 0, root, ()), (0, root, 0, EMPTY_ROOT, ())]
    for case in [*wrong, (0, root, 1, root, ()), (0, EMPTY_ROOT, 1, root, (root,)), (1, root, 1, EMPTY_ROOT, ())]:
        with pytest.raises(IntegrityError):
            verify_consistency(*case)


def test_proofs_outside_the_tree_are_refused():
    nodes = Nodes(ENTRIES)
    for call in [
        lambda: inclusion_proof(8, 8, nodes),
        lambda: inclusion_proof(0, 0, nodes),
        lambda: inclusion_proof(8, -1, nodes),
        lambda: consistency_proof(9, 8, nodes),
        lambda: consistency_proof(-1, 8, nodes),
    ]:
        with pytest.raises(UsageError):
            call()
    assert consistency_proof(0, 8, nodes) == ()


@given(size=st.integers(0, 2000), more=st.integers(0, 50))
@settings(max_examples=50)
def test_a_compact_tree_goes_on_from_its_bytes(size, more):
    tree = CompactTree()
    tree.extend(map(leaf_hash, entries_of(size)))
    again = CompactTree.from_bytes(tree.to_bytes())
    assert again == tree
    assert len(tree.to_bytes()) == 8 + 32 * size.bit_count()
    again.extend(map(leaf_hash, entries_of(size + more)[size:]))
    assert again.root() == root_of(map(leaf_hash, entries_of(size + more)))
    assert tree.size == size


def test_bytes_that_are_no_compact_tree_are_refused():
    good = CompactTree(3, [leaf_hash(b"a"), leaf_hash(b"b")]).to_bytes()
    for bad in [b"", good[:-1], good + b"\0", good[:-32], good + bytes(32), b"\xff" * 8 + bytes(64 * 32)]:
        with pytest.raises(IntegrityError):
            CompactTree.from_bytes(bad)


def test_a_leaf_cannot_pass_for_an_inner_node():
    left, right = leaf_hash(b"a"), leaf_hash(b"b")
    assert leaf_hash(left + right) != node_hash(left, right)
    assert node_hash(left, right) == hashlib.sha256(b"\x01" + left + right).digest()


def test_a_proof_longer_than_the_size_allows_is_refused_even_if_it_leads_to_the_root():
    left, right = leaf_hash(b"a"), leaf_hash(b"b")
    with pytest.raises(IntegrityError, match="too long"):
        verify_inclusion(0, 1, right, [left], node_hash(left, right))


@pytest.mark.parametrize(("index", "size"), [(1, 1), (-1, 1), (2, 1), (0, 0), (-1, 0), (2, 2), (4, 3)])
def test_an_entry_outside_its_log_is_proven_by_nothing(index, size):
    """The log of one entry has that entry's hash for its root, and no path leads there: only the index tells."""
    leaves = [leaf_hash(bytes([number])) for number in range(max(size, 1))]
    root = root_of(leaves) if size else EMPTY_ROOT
    for leaf in (*leaves, root):
        for path in ((), tuple(leaves), (root,)):
            with pytest.raises(IntegrityError):
                verify_inclusion(index, size, leaf, path, root)


@pytest.mark.parametrize(("old", "new"), [(2, 1), (4, 1), (1, 0), (-1, -1), (0, -1)])
def test_no_log_extends_a_larger_one_or_one_of_no_size(old, new):
    for root in (leaf_hash(b"x"), EMPTY_ROOT):
        for proof in ((), (root,)):
            with pytest.raises(IntegrityError):
                verify_consistency(old, root, new, root, proof)


def test_a_path_that_leads_to_the_root_of_a_smaller_log_proves_nothing_of_a_larger_one():
    left, right = leaf_hash(b"left"), leaf_hash(b"right")
    root = root_of([left, right])
    verify_inclusion(0, 2, left, (right,), root)
    for size in (3, 4, 5, 8, 2**62):
        with pytest.raises(IntegrityError):
            verify_inclusion(0, size, left, (right,), root)


def test_hashes_cannot_take_a_byte_from_each_other():
    """Only the length says where one ends and the next begins: a leaf of 33 bytes is none."""
    left, right = leaf_hash(b"left"), leaf_hash(b"right")
    root = root_of([left, right])
    verify_inclusion(0, 2, left, (right,), root)
    verify_consistency(1, left, 2, root, (right,))
    with pytest.raises(IntegrityError):
        verify_inclusion(0, 2, left + right[:1], (right[1:],), root)
    with pytest.raises(IntegrityError):
        verify_inclusion(1, 2, left[31:] + right, (left[:31],), root)
    with pytest.raises(IntegrityError):
        verify_consistency(1, left + right[:1], 2, root, (right[1:],))


def test_a_compact_tree_is_made_of_whole_hashes_and_equals_nothing_else():
    with pytest.raises(IntegrityError, match="32 bytes"):
        CompactTree(1, [bytes(31)])
    with pytest.raises(IntegrityError, match="32 bytes"):
        CompactTree(3, [bytes(32), bytes(33)])
    assert CompactTree() != EMPTY_ROOT
