"""Signed notes, checkpoints, cosignatures and policies."""

from collections.abc import Iterator
from contextlib import suppress

from fuzz.material import KEY, OTHER, TENANT, take
from fuzz.target import Disagreement, Target, agree
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
from kifabrik.ledger.notes import Note, NoteVerifier
from kifabrik.ledger.policy import Group, Policy

_ORIGIN, _WITNESS = log_origin(TENANT), witness_name(TENANT)
_LOG, _COSIGNER = log_verifier(TENANT, KEY.public), witness_verifier(TENANT, OTHER.public)
_POLICY = Policy.of(_LOG, _COSIGNER)
_HEAD = TreeHead(_ORIGIN, 17, bytes(range(32)))
_SIGNED = cosign(sign_tree_head(_HEAD, _ORIGIN, KEY), _WITNESS, OTHER, 1_790_000_000)


def one(data: bytes) -> None:
    """Read as a note of strangers, as the text of a note signed here, or as a policy."""
    choice, rest = take(data)
    text = rest.decode("utf-8", "surrogatepass") if _is_text(rest) else rest.decode("latin-1")
    (_stranger, _signed, _policy, _key)[choice % 4](text)


def _is_text(data: bytes) -> bool:
    with suppress(UnicodeDecodeError):
        data.decode("utf-8", "surrogatepass")
        return True
    return False


def _stranger(text: str) -> None:
    note = Note.parse(text)
    agree(note.to_text(), text, "a note read and written")
    head = _POLICY.accept(text).head
    agree(verify_tree_head(text, _LOG), head, "a tree head")
    verify_cosignature(text, _COSIGNER)
    if head != _HEAD:
        raise Disagreement(f"a head is accepted that nobody signed: {head}")


def _signed(text: str) -> None:
    signed = Note(text).signed(_ORIGIN, KEY).signed(_WITNESS, OTHER, 1).to_text()
    agree(Note.parse(signed).text, text, "the text of a note signed and read")
    head = _POLICY.accept(signed).head
    agree(head.to_note_text(), text, "a tree head read and written")
    agree(head.origin, _ORIGIN, "origin")


def _policy(text: str) -> None:
    policy = Policy.parse(text)
    agree(Policy.parse(policy.to_text()), policy, "a policy written and read")
    with suppress(IntegrityError):
        policy.accept(_SIGNED)


def _key(text: str) -> None:
    agree(NoteVerifier.from_vkey(text).vkey, text, "a key read and written")


def seeds() -> Iterator[bytes]:
    """One of each."""
    both = Policy((_LOG,), {"a": _COSIGNER}, {"g": Group(1, ("a",))}, "g", {_LOG.name: "https://log.example"})
    yield b"\0" + _SIGNED.encode()
    yield b"\1" + _HEAD.to_note_text().encode()
    yield b"\2" + _POLICY.to_text().encode()
    yield b"\2" + both.to_text().encode()
    yield b"\3" + _LOG.vkey.encode()


TARGET = Target(
    "signed notes, tree heads and policies",
    one,
    (IntegrityError, UsageError),
    seeds,
    (
        "\u2014 ".encode(),
        b"\n\n",
        b"quorum none\n",
        b"group g 1 a\n",
        b"witness ",
        b"log ",
        b"18446744073709551616",
    ),
)
