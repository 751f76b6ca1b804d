"""Tiles, bundles, proofs and whole logs from a reader nobody trusts."""

from collections.abc import Iterator
from contextlib import suppress

import pymerkle

from fuzz.material import KEY, OTHER, TENANT, TIME, take, text_of
from fuzz.target import Disagreement, Target, agree
from kifabrik.errors import IntegrityError, NotFoundError, UsageError
from kifabrik.ledger.checkpoint import (
    TreeHead,
    cosign,
    log_origin,
    log_verifier,
    sign_tree_head,
    witness_name,
    witness_verifier,
)
from kifabrik.ledger.entry import Entry, EntryKind
from kifabrik.ledger.merkle import (
    CompactTree,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    root_of,
    verify_consistency,
    verify_inclusion,
)
from kifabrik.ledger.policy import Policy
from kifabrik.ledger.proof import Proof, make_proof, verify_proof
from kifabrik.ledger.tiles import Tile, TileReader, decode_bundle, encode_bundle, tiles_to_write
from kifabrik.ledger.verify import verify_log

_SIZE = 7
_ENTRIES = [
    Entry(EntryKind.MEMBER_ENROLLED, TIME, f"{n:032x}", {"member": f"m-{n}"}).to_bytes() for n in range(_SIZE)
]
_FILES: dict[str, bytes] = {}


def _stored(path: str) -> bytes:
    try:
        return _FILES[path]
    except KeyError:
        raise NotFoundError(f"{path} is missing") from None


_FILES |= tiles_to_write(CompactTree(), _ENTRIES, _stored)
_LEAVES = [leaf_hash(entry) for entry in _ENTRIES]
_ROOT = root_of(_LEAVES)
_READ = TileReader(_stored, _SIZE).hash
_HEAD = TreeHead(log_origin(TENANT), _SIZE, _ROOT)
_CHECKPOINT = cosign(sign_tree_head(_HEAD, _HEAD.origin, KEY), witness_name(TENANT), OTHER, 1_790_000_000)
_POLICY = Policy.of(log_verifier(TENANT, KEY.public), witness_verifier(TENANT, OTHER.public))
_THEIRS = pymerkle.InmemoryTree(algorithm="sha256")
for _entry in _ENTRIES:
    _THEIRS.append_entry(_entry)


def one(data: bytes) -> None:
    """Read as a path, a bundle, a proof file, a bare proof, or as one file of a whole log."""
    choice, rest = take(data)
    (_path, _bundle, _proof, _bare, _log)[choice % 5](rest)


def _path(data: bytes) -> None:
    text = text_of(data)
    agree(Tile.from_path(text).path, text, "a path read and written")


def _bundle(data: bytes) -> None:
    width, rest = take(data)
    agree(encode_bundle(decode_bundle(rest, width)), rest, "a bundle read and written")


def _proof(data: bytes) -> None:
    proof = Proof.parse(text_of(data))
    agree(Proof.parse(proof.to_text()), proof, "a proof written and read")
    for number, entry in enumerate(_ENTRIES):
        with suppress(IntegrityError):
            verify_proof(proof, entry, _POLICY)
            agree(proof.index, number, "the place of an entry")
    with suppress(IntegrityError):
        verify_proof(proof, b"never logged", _POLICY)
        raise Disagreement("an entry is proven that never stood in the log")


def _bare(data: bytes) -> None:
    """A path and two sizes: what it proves, the log must really say."""
    old, rest = take(data)
    new, rest = take(rest)
    old, new = old % (_SIZE + 1), new % (_SIZE + 1)
    path = [rest[at : at + 32] for at in range(0, len(rest), 32)]
    with suppress(IntegrityError):
        verify_consistency(old, root_of(_LEAVES[:old]), new, root_of(_LEAVES[:new]), path)
        agree(tuple(path), consistency_proof(old, new, _READ), "a proof of consistency")
    with suppress(IntegrityError):
        verify_inclusion(old, new, _LEAVES[min(old, _SIZE - 1)], path, root_of(_LEAVES[:new]))
        agree(tuple(path), inclusion_proof(new, old, _READ), "a proof of inclusion")


def _log(data: bytes) -> None:
    """Exchange one file; either the log still verifies to the signed root, or something is found."""
    which, rest = take(data)
    path = sorted(_FILES)[which % len(_FILES)]
    report = verify_log(lambda name: rest if name == path else _stored(name), _CHECKPOINT, _POLICY)
    if report.ok and rest != _FILES[path]:
        raise Disagreement(f"a log with another {path} verifies")


def seeds() -> Iterator[bytes]:
    """One of each, as it should be."""
    agree(_ROOT, _THEIRS.get_root(), "root")
    yield b"\0tile/0/x001/234"
    yield b"\0tile/entries/000.p/17"
    yield b"\1\7" + encode_bundle(_ENTRIES)
    for index in (0, 3, 6):
        yield b"\2" + make_proof(index, _READ, _CHECKPOINT, b"extra").to_text().encode()
        yield b"\3" + bytes([index, _SIZE]) + b"".join(inclusion_proof(_SIZE, index, _READ))
        yield b"\3" + bytes([index, _SIZE]) + b"".join(consistency_proof(index, _SIZE, _READ))
    for number, path in enumerate(sorted(_FILES)):
        yield b"\4" + bytes([number]) + _FILES[path]


TARGET = Target(
    "tiles, bundles and proofs", one, (IntegrityError, UsageError), seeds, (b"index 0\n", b"extra ", b".p/", b"/x")
)
