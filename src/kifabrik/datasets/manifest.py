"""The public part of a dataset version: which ciphertext objects it consists of, and what it follows.

A version is three kinds of objects, each named by the SHA-256 of its bytes: the **bodies** (age payloads
without their header) of the shards, the body of the sealed contents, and one **headers object**: the plain
concatenation of the age headers, first that of the sealed contents, then one per shard in order.

Invariants:
- a manifest names owner, version and recipient, so it cannot pass for another dataset's or version's;
- version 1 has no previous one; every other names the digest of the statement it follows;
- no body appears twice, so no two shards can be exchanged without the statement changing;
- a signed manifest's subject is `<owner>@<version>` with the digest of the sealed contents' body.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Protocol

from kifabrik.errors import IntegrityError, UsageError
from kifabrik.signatures.dsse import Envelope
from kifabrik.signatures.keys import SigningKey, VerifyKey
from kifabrik.signatures.statements import Statement, predicate, sign_statement, verify_statement
from kifabrik.values import Kind, format_time, is_id, is_run, parse_time

MOST_SHARDS: Final = 200_000
MOST_VERSIONS: Final = 10**9
MOST_BYTES: Final = 2**53 - 1
"""The largest whole number that every JSON reader keeps (RFC 8785, section 3.2.2.3)."""
_MOST_HEADERS_BYTES: Final = 2**31
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_RECIPIENT: Final = re.compile(r"age1[a-z0-9]{1,4000}")
_PART: Final = re.compile(r"[1-9][0-9]{0,3}|code|checkpoint")


def is_digest(text: str) -> bool:
    """Whether `text` is a SHA-256 digest in 64 lower-case hex digits."""
    return _DIGEST.fullmatch(text) is not None


def is_owner(text: str) -> bool:
    """Whether `text` names what a manifest can belong to.

    A dataset `d-…`, or a run's numbered output `r-…/1`, its code bundle `r-…/code` or its chain of
    checkpoints `r-…/checkpoint`. A sweep's tasks `r-…-17` have outputs and checkpoints; their code is the sweep's.
    """
    run, slash, part = text.partition("/")
    if not slash:
        return is_id(text, Kind.DATASET)
    return _PART.fullmatch(part) is not None and (is_id(run, Kind.RUN) if part == "code" else is_run(run))


@dataclass(frozen=True, slots=True)
class BodyRef:
    """A sealed body by its ciphertext.

    Args:
        sha256: SHA-256 of the body's bytes in hex.
        size: Bytes of the body.
    """

    sha256: str
    size: int

    def __post_init__(self) -> None:
        if not is_digest(self.sha256) or not 0 < self.size <= MOST_BYTES:
            raise IntegrityError(f"not a reference to a sealed body: {self.sha256[:80]!r}, {self.size} bytes")


@predicate("manifest/v1")
@dataclass(frozen=True)
class Manifest:
    """One version of a dataset as the factory sees it.

    Args:
        tenant: Id of the tenant it belongs to.
        owner: See `is_owner`.
        version: Counted from 1.
        previous: Digest of the previous version's statement; empty for version 1.
        recipient: The age recipient the headers are for.
        headers: SHA-256 in hex of the headers object.
        headers_size: Bytes of the headers object.
        sealed_manifest: Body of the sealed contents.
        shards: Bodies of the shards, in the order of the headers and of the sealed contents.
        created: When, as `kifabrik.values.format_time` writes it.

    Raises:
        IntegrityError: A field breaks the rules above.
    """

    tenant: str
    owner: str
    version: int
    previous: str
    recipient: str
    headers: str
    headers_size: int
    sealed_manifest: BodyRef
    shards: tuple[BodyRef, ...]
    created: str

    def __post_init__(self) -> None:
        fault = self._fault()
        if fault:
            raise IntegrityError(f"manifest: {fault}")

    def _fault(self) -> str:
        is_first = self.version == 1
        rules = (
            (is_id(self.tenant, Kind.TENANT), "the tenant is not a tenant's id"),
            (is_owner(self.owner), "the owner is neither a dataset nor a part of a run"),
            (1 <= self.version <= MOST_VERSIONS, "the version is not a number from 1"),
            (
                self.previous == "" if is_first else is_digest(self.previous),
                "version and previous version do not fit together",
            ),
            (_RECIPIENT.fullmatch(self.recipient), "the recipient is not an age recipient"),
            (is_digest(self.headers), "the headers object has no proper digest"),
            (0 < self.headers_size <= _MOST_HEADERS_BYTES, "the headers object has no proper size"),
            (len(self.shards) <= MOST_SHARDS, f"more than {MOST_SHARDS} shards"),
            (len(set(self.objects())) == len(self.shards) + 2, "an object is named twice"),
            (_is_time(self.created), "the time of creation is not a UTC time with whole seconds"),
        )
        return next((fault for holds, fault in rules if not holds), "")

    def objects(self) -> Iterator[str]:
        """Yield the digest of every object of this version: headers, sealed contents, shards."""
        yield self.headers
        yield self.sealed_manifest.sha256
        for body in self.shards:
            yield body.sha256

    @property
    def sealed_size(self) -> int:
        """Bytes of all objects together, those shared with other versions included."""
        return self.headers_size + self.sealed_manifest.size + sum(body.size for body in self.shards)

    @property
    def subjects(self) -> dict[str, str]:
        """What a statement carrying this manifest is about."""
        return {f"{self.owner}@{self.version}": self.sealed_manifest.sha256}


def _is_time(text: str) -> bool:
    try:
        return format_time(parse_time(text)) == text
    except UsageError:
        return False


def sign_manifest(manifest: Manifest, key: SigningKey) -> Envelope:
    """Sign a manifest with a member's device key, or a run key for what a run puts out."""
    return sign_statement(manifest, manifest.subjects, key)


def verify_manifest(envelope: Envelope, trusted: Iterable[VerifyKey]) -> Statement[Manifest]:
    """Verify a signed manifest.

    Raises:
        IntegrityError: Not signed by a trusted key, malformed, or about another subject than itself.
    """
    statement = verify_statement(envelope, Manifest, trusted)
    if dict(statement.subjects) != statement.predicate.subjects:
        raise IntegrityError("the manifest's statement is about something else")
    return statement


class Stated(Protocol):
    """A manifest that was verified, now or when it was taken, and the digest of its statement."""

    @property
    def predicate(self) -> Manifest:
        """What it says."""
        ...

    @property
    def digest(self) -> str:
        """What others name it by."""
        ...


def follows(new: Manifest, old: Stated | None) -> bool:
    """Whether `new` is the next link after `old`, or a first one where `old` is None.

    All versions of one owner have one tenant and one recipient: the identity that opens one opens all.
    """
    if old is None:
        return new.version == 1
    before = old.predicate
    return (
        (new.tenant, new.owner, new.recipient) == (before.tenant, before.owner, before.recipient)
        and new.version == before.version + 1
        and new.previous == old.digest
    )
