"""Tree heads against real checkpoints and sigstore's parser."""

import base64
import json
from pathlib import Path

import pytest
from sample_log import COSIGNED_AT, LOG_KEY, ORIGIN, TENANT, WITNESS_KEY, head_of, some_entries

from kifabrik.errors import IntegrityError, UsageError
from kifabrik.ledger.checkpoint import (
    TreeHead,
    cosign,
    log_origin,
    log_verifier,
    sign_tree_head,
    verify_cosignature,
    verify_tree_head,
    witness_name,
    witness_verifier,
)
from kifabrik.ledger.merkle import EMPTY_ROOT
from kifabrik.ledger.notes import Note, NoteVerifier
from kifabrik.signatures.keys import SigningKey

VECTOR = json.loads((Path(__file__).parents[2] / "vectors/ledger/cosigned_checkpoint.json").read_text())
LOG = log_verifier(TENANT, LOG_KEY.public)
WITNESS = witness_verifier(TENANT, WITNESS_KEY.public)
HEAD = head_of(some_entries(7))

# Heads of the Go checksum database: the first stands in tlog-checkpoint.md and tlog-cosignature.md of
# C2SP (there under a made-up origin), the second in google/trillian-examples, witness/golang.
SUMDB_VKEY = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8"
SUMDB_HEADS = [
    (
        20852163,
        "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=",
        "Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=",
    ),
    (
        15067302,
        "gJyioq6dwR9n+NjEWORfYmH+ubeYm3kH42BBQ0bTpYI=",
        "Az3grp1rvWOs5NKlr/xR4GLN/CDyzzakmt1o61uSxYKpK1SerqOP2ClbX/peKUZjYnyomH5Xz7GZG3TpB7OeKn4E2ww=",
    ),
]


@pytest.mark.parametrize(("size", "root", "signature"), SUMDB_HEADS)
def test_heads_of_the_go_checksum_database_verify(size, root, signature):
    note = f"go.sum database tree\n{size}\n{root}\n\n— sum.golang.org {signature}\n"
    parsed = Note.parse(note)
    parsed.verify([NoteVerifier.from_vkey(SUMDB_VKEY)])
    text = parsed.text
    head = TreeHead.parse(text)
    assert (head.origin, head.size, head.root) == ("go.sum database tree", size, base64.b64decode(root))
    assert head.to_note_text() == text
    with pytest.raises(IntegrityError):
        Note.parse(note.replace(str(size), str(size + 1))).verify([NoteVerifier.from_vkey(SUMDB_VKEY)])


def test_a_real_checkpoint_verifies_under_the_key_of_its_log():
    head = verify_tree_head(VECTOR["checkpoint"], NoteVerifier.from_vkey(VECTOR["log"]))
    assert head.origin == "arche2025h1.staging.ct.transparency.dev"
    assert head.size == 1432088532


@pytest.mark.parametrize("vkey", VECTOR["witnesses"])
def test_cosignatures_of_public_witnesses_verify(vkey):
    witness = NoteVerifier.from_vkey(vkey)
    assert verify_cosignature(VECTOR["checkpoint"], witness) == VECTOR["timestamp"]
    with pytest.raises(IntegrityError):
        verify_cosignature(VECTOR["checkpoint"].replace("1432088532", "1432088533"), witness)


def test_sigstore_reads_our_checkpoints_and_verifies_their_signature():
    rekor = pytest.importorskip("sigstore._internal.rekor.checkpoint", reason="comes with the extra model-signing")
    text = cosign(sign_tree_head(HEAD, ORIGIN, LOG_KEY), witness_name(TENANT), WITNESS_KEY, COSIGNED_AT)
    parsed = rekor.SignedCheckpoint.from_text(text)
    assert parsed.checkpoint.origin == ORIGIN
    assert parsed.checkpoint.log_size == HEAD.size
    assert parsed.checkpoint.log_hash == HEAD.root.hex()
    assert parsed.checkpoint.other_content == []
    ours, theirs = parsed.signed_note.signatures
    assert (ours.name, ours.sig_hash) == (LOG.name, LOG.key_id)
    assert (theirs.name, theirs.sig_hash) == (WITNESS.name, WITNESS.key_id)
    LOG_KEY.public.verify(base64.b64decode(ours.signature), parsed.signed_note.note.encode())


def test_we_read_what_sigstore_reads():
    rekor = pytest.importorskip("sigstore._internal.rekor.checkpoint", reason="comes with the extra model-signing")
    theirs = rekor.SignedCheckpoint.from_text(VECTOR["checkpoint"])
    ours = Note.parse(VECTOR["checkpoint"])
    head = TreeHead.parse(ours.text)
    assert ours.text == theirs.signed_note.note
    assert (head.origin, head.size, head.root.hex()) == (
        theirs.checkpoint.origin,
        theirs.checkpoint.log_size,
        theirs.checkpoint.log_hash,
    )
    assert [(s.name, s.key_id) for s in ours.signatures] == [
        (s.name, s.sig_hash) for s in theirs.signed_note.signatures
    ]


def test_a_signed_head_is_believed_only_under_its_log():
    text = sign_tree_head(HEAD, ORIGIN, LOG_KEY)
    assert verify_tree_head(text, LOG) == HEAD
    with pytest.raises(IntegrityError):
        verify_tree_head(text, log_verifier(TENANT, WITNESS_KEY.public))
    with pytest.raises(IntegrityError):
        verify_tree_head(text, log_verifier("t-other", LOG_KEY.public))
    with pytest.raises(UsageError):
        sign_tree_head(HEAD, "another-name", LOG_KEY)


def test_a_head_of_another_log_under_our_log_key_is_refused():
    head = TreeHead(log_origin("t-other"), 3, bytes(32))
    text = Note(head.to_note_text()).signed(ORIGIN, LOG_KEY).to_text()
    with pytest.raises(IntegrityError, match="t-other"):
        verify_tree_head(text, LOG)


def test_cosigning_adds_a_line_and_changes_nothing_else():
    signed = sign_tree_head(HEAD, ORIGIN, LOG_KEY)
    cosigned = cosign(signed, witness_name(TENANT), WITNESS_KEY, COSIGNED_AT)
    assert cosigned.startswith(signed)
    assert verify_tree_head(cosigned, LOG) == HEAD
    assert verify_cosignature(cosigned, WITNESS) == COSIGNED_AT
    again = cosign(cosigned, witness_name(TENANT), WITNESS_KEY, COSIGNED_AT + 60)
    assert len(Note.parse(again).signatures) == 2
    assert verify_cosignature(again, WITNESS) == COSIGNED_AT + 60
    with pytest.raises(IntegrityError):
        verify_cosignature(signed, WITNESS)
    with pytest.raises(IntegrityError):
        verify_cosignature(cosigned, witness_verifier(TENANT, SigningKey.generate().public))


def test_a_log_key_is_no_witness_key():
    with pytest.raises(UsageError):
        verify_cosignature(sign_tree_head(HEAD, ORIGIN, LOG_KEY), LOG)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "origin\n1\n",
        f"origin\n1\n{'A' * 43}=",
        f"\n1\n{'A' * 43}=\n",
        f"origin\n01\n{'A' * 43}=\n",
        f"origin\n-1\n{'A' * 43}=\n",
        f"origin\n+1\n{'A' * 43}=\n",
        f"origin\n1 \n{'A' * 43}=\n",
        f"origin\n\u0661\n{'A' * 43}=\n",
        f"origin\n{2**63}\n{'A' * 43}=\n",
        f"origin\n{'9' * 5000}\n{'A' * 43}=\n",
        f"origin\n1\n{'A' * 42}==\n",
        "origin\n1\nAAAA\n",
        f"origin\n1\n{'A' * 42}B=\n",
        f"origin\n1\n{'A' * 43}=\nextension\n",
        f"{'o' * 256}\n1\n{'A' * 43}=\n",
        f"origin\n0\n{'A' * 43}=\n",
    ],
)
def test_other_texts_are_not_tree_heads(text):
    with pytest.raises(IntegrityError):
        TreeHead.parse(text)


def test_the_empty_log_has_a_head():
    head = TreeHead(ORIGIN, 0, EMPTY_ROOT)
    assert TreeHead.parse(head.to_note_text()) == head
    assert head.to_note_text().splitlines()[1:] == ["0", "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="]


def test_names_of_a_tenants_keys():
    assert log_origin("t-abc") == "kifabrik.org/log/t-abc"
    assert witness_name("t-abc") == "kifabrik.org/witness/t-abc"


def test_nothing_but_a_tree_head_is_cosigned_or_counts_as_cosigned():
    """What a witness signs under its cosignature key is read by others as a statement about a log."""
    for text in ("pay me\n", HEAD.to_note_text() + "extension\n", HEAD.to_note_text().replace("7", "07")):
        note = Note(text).signed(LOG.name, LOG_KEY)
        with pytest.raises(IntegrityError, match="tree head"):
            cosign(note.to_text(), WITNESS.name, WITNESS_KEY, COSIGNED_AT)
        with pytest.raises(IntegrityError, match="tree head"):
            verify_cosignature(note.signed(WITNESS.name, WITNESS_KEY, COSIGNED_AT).to_text(), WITNESS)


def test_the_last_line_of_a_tree_head_ends_too():
    text = HEAD.to_note_text()
    assert TreeHead.parse(text) == HEAD
    for other in (text[:-1], text + "x", text + "\n", "\n" + text, text.replace("\n", "\r\n")):
        with pytest.raises(IntegrityError):
            TreeHead.parse(other)
