"""Recipients and identities as text, against `pyrage`."""

from collections.abc import Iterator
from contextlib import suppress

import pyrage

from fuzz.material import HYBRID, IDENTITY, text_of
from fuzz.target import Target, agree
from kifabrik.errors import UsageError
from kifabrik.seals.identities import Identity, parse_identity
from kifabrik.seals.recipients import Recipient, parse_recipient


def one(data: bytes) -> None:
    """Read as either; what reads as X25519 reads in Rust, and is written alike."""
    text = text_of(data)
    with suppress(UsageError):
        recipient = parse_recipient(text)
        agree(recipient.text, text.strip().lower(), "a recipient read and written")
        if isinstance(recipient, Recipient):
            pyrage.x25519.Recipient.from_str(recipient.text)
    identity = parse_identity(text)
    agree(identity.text, text.strip().upper(), "an identity read and written")
    if isinstance(identity, Identity):
        theirs = pyrage.x25519.Identity.from_str(identity.text)
        agree(identity.recipient.text, str(theirs.to_public()), "the recipient of an identity")


def seeds() -> Iterator[bytes]:
    """One of each."""
    for key in (IDENTITY, HYBRID):
        yield key.text.encode()
        yield key.recipient.text.encode()


TARGET = Target(
    "recipients and identities", one, (UsageError,), seeds, (b"age1", b"age1pq1", b"AGE-SECRET-KEY-PQ-1")
)
