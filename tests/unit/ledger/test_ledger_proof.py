"""Offline proofs after c2sp.org/tlog-proof."""

import base64
import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sample_log import SampleLog, checkpoint_of, head_of, some_entries, the_policy

from kifabrik.errors import IntegrityError, UsageError
from kifabrik.ledger.proof import Proof, make_proof, verify_proof

ENTRIES = some_entries(300)
LOG = SampleLog.of(ENTRIES)
CHECKPOINT = LOG.checkpoint


def hashed(text):
    return hashlib.sha256(text.encode()).digest()


@pytest.mark.parametrize(
    ("proof", "text"),
    [  # the cases of transparency-dev/merkle, proof/tlog_proof_test.go
        (
            Proof(5, (hashed("hash1"), hashed("hash2")), "test checkpoint\n"),
            "c2sp.org/tlog-proof@v1\nindex 5\n{hash1}\n{hash2}\n\ntest checkpoint\n",
        ),
        (
            Proof(10, (hashed("hash1"),), "checkpoint data\n", b"extra information"),
            "c2sp.org/tlog-proof@v1\nextra ZXh0cmEgaW5mb3JtYXRpb24=\nindex 10\n{hash1}\n\ncheckpoint data\n",
        ),
        (Proof(0, (), "checkpoint\n"), "c2sp.org/tlog-proof@v1\nindex 0\n\ncheckpoint\n"),
        (Proof(0, (), "checkpoint\n", b""), "c2sp.org/tlog-proof@v1\nextra \nindex 0\n\ncheckpoint\n"),
    ],
)
def test_proofs_are_written_and_read_as_others_do(proof, text):
    encoded = {name: base64.b64encode(hashed(name)).decode() for name in ("hash1", "hash2")}
    assert proof.to_text() == text.format(**encoded)
    assert Proof.parse(proof.to_text()) == proof


@pytest.mark.parametrize(
    "text",
    [
        "wrong-header\nindex 0\n\ncheckpoint\n",
        "c2sp.org/tlog-proof@v1\nextra !!notbase64!!\nindex 0\n\ncheckpoint\n",
        "c2sp.org/tlog-proof@v1\n\n\ncheckpoint\n",
        "c2sp.org/tlog-proof@v1\nindex notanumber\n\ncheckpoint\n",
        "c2sp.org/tlog-proof@v1\nindex -5\n\ncheckpoint\n",
        "c2sp.org/tlog-proof@v1\nindex 05\n\ncheckpoint\n",
        "c2sp.org/tlog-proof@v1\nindex 9223372036854775808\n\ncheckpoint\n",
        "c2sp.org/tlog-proof@v1\nindex 0\n!!notbase64!!\n\ncheckpoint\n",
        "c2sp.org/tlog-proof@v1\nindex 0\n" + base64.b64encode(bytes(64)).decode() + "\n\ncheckpoint\n",
        "c2sp.org/tlog-proof@v1\nindex 0\nextra AAAA\n\ncheckpoint\n",
        "c2sp.org/tlog-proof@v1\nindex 0\n" + ("A" * 43 + "=\n") * 64 + "\ncheckpoint\n",
        "c2sp.org/tlog-proof@v1\nindex 0\n\n" + "x" * 2_000_000,
        "c2sp.org/tlog-proof@v1",
        "",
        "x" * 3_000_000,
    ],
)
def test_malformed_proofs_are_refused(text):
    with pytest.raises(IntegrityError):
        Proof.parse(text)


@pytest.mark.parametrize("index", [0, 1, 255, 256, 299])
def test_a_proof_convinces_offline(index):
    text = make_proof(index, LOG.reader.hash, CHECKPOINT, b"hint").to_text()
    accepted = verify_proof(Proof.parse(text), ENTRIES[index], the_policy())
    assert accepted.head == LOG.head
    assert accepted.cosigned


def test_a_proof_for_an_entry_that_is_not_there_cannot_be_made():
    with pytest.raises(UsageError):
        make_proof(300, LOG.reader.hash, CHECKPOINT)


def test_a_proof_convinces_nobody_of_another_entry_place_or_log():
    proof = make_proof(7, LOG.reader.hash, CHECKPOINT)
    other = checkpoint_of(head_of(some_entries(299)))
    for wrong, entry in [
        (proof, ENTRIES[8]),
        (Proof(8, proof.hashes, CHECKPOINT), ENTRIES[7]),
        (Proof(7, proof.hashes[:-1], CHECKPOINT), ENTRIES[7]),
        (Proof(7, proof.hashes, other), ENTRIES[7]),
        (Proof(7, proof.hashes, CHECKPOINT.splitlines(keepends=True)[0]), ENTRIES[7]),
    ]:
        with pytest.raises(IntegrityError):
            verify_proof(wrong, entry, the_policy())


def test_a_proof_without_the_witness_is_refused():
    log_only = "".join(CHECKPOINT.splitlines(keepends=True)[:-1])
    with pytest.raises(IntegrityError, match="lacks cosignatures"):
        verify_proof(make_proof(7, LOG.reader.hash, log_only), ENTRIES[7], the_policy())


@given(at=st.integers(0, 100_000), bit=st.integers(0, 7))
@settings(max_examples=200)
def test_no_changed_byte_of_a_proof_convinces(at, bit):
    text = make_proof(131, LOG.reader.hash, CHECKPOINT).to_text().encode()
    at %= len(text)
    changed = text[:at] + bytes([text[at] ^ 1 << bit]) + text[at + 1 :]
    with pytest.raises(IntegrityError):
        verify_proof(Proof.parse(changed.decode(errors="surrogateescape")), ENTRIES[131], the_policy())


def test_the_last_entry_there_can_be_and_the_longest_path_are_read():
    longest = Proof(2**63 - 1, (bytes(32),) * 63, "checkpoint\n")
    assert Proof.parse(longest.to_text()) == longest
