"""Between HTTP bodies and what the use cases take and return."""

from typing import Annotated

from fastapi import Path

from kifabrik.factory.records import Recorded, SealedDetail, Version
from kifabrik.signatures.dsse import Envelope
from kifabrik.wire.body import Detail
from kifabrik.wire.datasets import VersionView
from kifabrik.wire.tenants import Logged, Signed

Digest = Annotated[str, Path(pattern=r"^[0-9a-f]{64}$", description="SHA-256 in hex")]
Ident = Annotated[str, Path(pattern=r"^[a-z]-[a-z2-7]{16,32}$", description="An id such as r-…")]
RunIdent = Annotated[
    str,
    Path(pattern=r"^r-[a-z2-7]{16,32}(-[1-9][0-9]{0,4})?$", description="A run: r-…, or task 17 of it: r-…-17"),
]


def envelope(body: Signed) -> Envelope:
    """The statement of a body.

    Raises:
        IntegrityError: It is not a DSSE envelope.
    """
    return Envelope.from_json(body.statement)


def detail(body: Detail | None) -> SealedDetail | None:
    """The sealed names of a body, if it has any."""
    return None if body is None else SealedDetail(body.sha256, body.sealed)


def signed(statement: Envelope) -> Signed:
    """A statement as a body."""
    return Signed(statement=statement.to_json())


def logged(recorded: Recorded) -> Logged:
    """Where a statement stands, as a body."""
    return Logged(digest=recorded.digest, log_index=recorded.index)


def version_view(version: Version) -> VersionView:
    """A version as a body."""
    return VersionView(
        owner=version.owner,
        version=version.version,
        manifest=version.manifest,
        shards=version.shards,
        size=version.size,
        created=version.created,
        erased=bool(version.erased),
    )
