"""What the factory's own operator, who holds the log key, could try against the customer's log."""

import pytest

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
from kifabrik.ledger.entry import Entry, EntryKind
from kifabrik.ledger.merkle import (
    CompactTree,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    verify_consistency,
)
from kifabrik.ledger.mirror import Mirror
from kifabrik.ledger.notes import Note
from kifabrik.ledger.policy import Policy
from kifabrik.ledger.proof import Proof, make_proof, verify_proof
from kifabrik.ledger.tiles import TileReader, tiles_to_write
from kifabrik.ledger.verify import verify_log
from kifabrik.signatures.keys import SigningKey

TENANT = "t-victim"
ORIGIN = log_origin(TENANT)
LOG_KEY, WITNESS_KEY = SigningKey.generate(), SigningKey.generate()
LOG = log_verifier(TENANT, LOG_KEY.public)
WITNESS = witness_verifier(TENANT, WITNESS_KEY.public)
POLICY = Policy.of(LOG, WITNESS)
TIME = "2026-11-23T08:00:00Z"


def line(number, kind=EntryKind.MEMBER_ENROLLED, **refs):
    return Entry(kind, TIME, f"{number:032x}", refs or {"member": f"m-{number}"}).to_bytes()


ENTRIES = [line(number) for number in range(40)]


def head(entries, origin=ORIGIN):
    tree = CompactTree()
    tree.extend(map(leaf_hash, entries))
    return TreeHead(origin, tree.size, tree.root())


def signed(entries):
    """A checkpoint as the operator can make it for any entries: by the log key alone."""
    return sign_tree_head(head(entries), ORIGIN, LOG_KEY)


def honest_mirror(entries):
    mirror = Mirror(ORIGIN)
    mirror.extend(entries, head(entries))
    return mirror


def keyholder_accepts(mirror, new_entries, checkpoint):
    """The keyholder's steps before it cosigns."""
    mirror.extend(new_entries, verify_tree_head(checkpoint, LOG))


def tiles(entries):
    return tiles_to_write(CompactTree(), entries, {}.__getitem__)


def test_rolling_the_log_back_after_a_release_is_refused():
    mirror = honest_mirror(ENTRIES[:20])
    with pytest.raises(IntegrityError, match="rolled back"):
        keyholder_accepts(mirror, [], signed(ENTRIES[:19]))


def test_forking_the_log_behind_the_keyholders_back_is_refused():
    mirror = honest_mirror(ENTRIES[:20])
    for fork in (
        [*ENTRIES[:19], line(99)],
        [line(99), *ENTRIES[1:20]],
        [*ENTRIES[:19], line(99), *ENTRIES[20:30]],
    ):
        with pytest.raises(IntegrityError):
            keyholder_accepts(mirror, fork[20:], signed(fork))
        with pytest.raises(IntegrityError, match="forked"):
            keyholder_accepts(mirror, fork, signed(fork))


def test_omitting_an_entry_after_the_lease_was_given_is_refused():
    mirror = honest_mirror(ENTRIES[:20])
    without_last = [*ENTRIES[:19], *ENTRIES[20:30]]
    with pytest.raises((IntegrityError, UsageError)):
        keyholder_accepts(mirror, ENTRIES[20:30], signed(without_last))
    with pytest.raises(IntegrityError):
        keyholder_accepts(mirror, without_last[20:], signed(without_last))


def test_an_auditor_shown_another_tree_finds_no_cosignature_on_it():
    other = [*ENTRIES[:19], line(99)]
    cosigned = cosign(signed(ENTRIES[:20]), witness_name(TENANT), WITNESS_KEY, 1)
    POLICY.accept(cosigned)
    moved = Note(head(other).to_note_text(), Note.parse(cosigned).signatures[1:]).signed(ORIGIN, LOG_KEY)
    for checkpoint in (signed(other), moved.to_text()):
        with pytest.raises(IntegrityError):
            POLICY.accept(checkpoint)


def test_two_heads_that_were_cosigned_prove_a_split_view():
    ours, theirs = ENTRIES[:20], [*ENTRIES[:10], line(99), *ENTRIES[11:30]]
    files = tiles(theirs)
    reader = TileReader(files.__getitem__, len(theirs))
    with pytest.raises(IntegrityError):
        verify_consistency(20, head(ours).root, 30, head(theirs).root, consistency_proof(20, 30, reader.hash))


def test_the_operator_cannot_cosign_for_the_keyholder():
    for key in (LOG_KEY, SigningKey.generate()):
        forged = cosign(signed(ENTRIES[:20]), witness_name(TENANT), key, 1)
        with pytest.raises(IntegrityError):
            verify_cosignature(forged, WITNESS)
        with pytest.raises(IntegrityError):
            POLICY.accept(forged)


def test_a_cosignature_cannot_be_given_another_date():
    cosigned = Note.parse(cosign(signed(ENTRIES[:20]), witness_name(TENANT), WITNESS_KEY, 1_000_000))
    mark = cosigned.signatures[1]
    dated = type(mark)(mark.name, mark.key_id, (2_000_000).to_bytes(8, "big") + mark.signature[8:])
    with pytest.raises(IntegrityError):
        POLICY.accept(Note(cosigned.text, (cosigned.signatures[0], dated)).to_text())


def test_a_head_of_another_tenant_under_the_same_log_key_is_refused():
    foreign = Note(head(ENTRIES, log_origin("t-other")).to_note_text()).signed(ORIGIN, LOG_KEY).to_text()
    for attempt in (lambda: verify_tree_head(foreign, LOG), lambda: POLICY.accept(foreign)):
        with pytest.raises(IntegrityError):
            attempt()


def test_text_smuggled_below_the_root_is_not_cosigned():
    smuggled = Note(head(ENTRIES).to_note_text() + "everything is fine\n").signed(ORIGIN, LOG_KEY).to_text()
    with pytest.raises(IntegrityError):
        cosign(smuggled, witness_name(TENANT), WITNESS_KEY, 1)
    with pytest.raises(IntegrityError):
        verify_tree_head(smuggled, LOG)


def test_decrypting_before_the_request_stands_in_the_log_shows():
    request = "a" * 64
    released = line(1, EntryKind.LEASE_RELEASED, request=request, lease="l-1", datasets=("d-1",))
    asked = line(2, EntryKind.LEASE_REQUESTED, request=request)
    entries = [ENTRIES[0], released, asked]
    checkpoint = cosign(signed(entries), witness_name(TENANT), WITNESS_KEY, 1)
    report = verify_log(tiles(entries).__getitem__, checkpoint, POLICY)
    assert (report.finding.first, report.finding.last) == (1, 1)
    assert "no entry before it requests" in report.finding.what


def test_replaying_an_old_entry_shows():
    entries = [*ENTRIES[:5], ENTRIES[2]]
    checkpoint = cosign(signed(entries), witness_name(TENANT), WITNESS_KEY, 1)
    report = verify_log(tiles(entries).__getitem__, checkpoint, POLICY)
    assert report.finding.first == 5
    assert "its id is that of entry 2" in report.finding.what


def test_a_proof_with_keys_of_its_own_convinces_nobody():
    mine = SigningKey.generate()
    reader = TileReader(tiles(ENTRIES).__getitem__, len(ENTRIES))
    checkpoint = cosign(sign_tree_head(head(ENTRIES), ORIGIN, mine), witness_name(TENANT), mine, 1)
    proof = make_proof(3, reader.hash, checkpoint, extra=POLICY.to_text().encode())
    with pytest.raises(IntegrityError):
        verify_proof(proof, ENTRIES[3], POLICY)


def test_an_inner_node_cannot_be_passed_off_as_an_entry():
    reader = TileReader(tiles(ENTRIES[:4]).__getitem__, 4)
    node = reader.hash(0, 0) + reader.hash(0, 1)
    checkpoint = cosign(signed(ENTRIES[:4]), witness_name(TENANT), WITNESS_KEY, 1)
    path = inclusion_proof(4, 0, reader.hash)[1:]
    with pytest.raises(IntegrityError):
        verify_proof(Proof(0, path, checkpoint), node, POLICY)


def test_nor_can_it_under_a_head_that_makes_the_log_as_short_as_its_path():
    """The same root, said to be over two entries: only that leaves and nodes are hashed apart stands against it."""
    reader = TileReader(tiles(ENTRIES[:4]).__getitem__, 4)
    node = reader.hash(0, 0) + reader.hash(0, 1)
    root = CompactTree()
    root.extend(map(leaf_hash, ENTRIES[:4]))
    short = sign_tree_head(TreeHead(ORIGIN, 2, root.root()), ORIGIN, LOG_KEY)
    path = inclusion_proof(4, 0, reader.hash)[1:]
    with pytest.raises(IntegrityError, match="does not lead to the root"):
        verify_proof(Proof(0, path, cosign(short, witness_name(TENANT), WITNESS_KEY, 1)), node, POLICY)


def test_poisoned_tiles_do_not_spread_into_a_signed_root():
    files = tiles(ENTRIES)
    tree = CompactTree()
    tree.extend(map(leaf_hash, ENTRIES))
    (path,) = [path for path in files if path.startswith("tile/0/")]
    files[path] = files[path][:-1] + bytes([files[path][-1] ^ 1])
    with pytest.raises(IntegrityError):
        tiles_to_write(tree, [b"next"], files.__getitem__)
