"""Objects, dataset versions and erasure."""

from typing import Annotated, Final

from pydantic import Field

from kifabrik.wire.body import Binary, Body, Sha256

PIECE: Final = 8 * 2**20
"""Longest piece of an upload."""


MOST_DIGESTS: Final = 10_000
"""In one body: to parse and answer them holds others up for no longer than any other call."""


class Digests(Body):
    """Ciphertext digests."""

    digests: Annotated[list[Sha256], Field(max_length=MOST_DIGESTS, fail_fast=True)]


class SmallObjects(Body):
    """Whole objects, small enough to go together."""

    objects: Annotated[list[Binary], Field(max_length=64)]


class WayView(Body):
    """A request that may be sent to the object store; an empty URL says that there is none for this object.

    Where `direct` is false there are none for this caller at all.
    """

    direct: bool
    url: Annotated[str, Field(max_length=8192)] = ""
    headers: Annotated[dict[str, str], Field(max_length=16)] = Field(default_factory=dict)
    lasts_s: int = 0


class VersionView(Body):
    """One version of a dataset, or one output of a run."""

    owner: str
    version: int
    manifest: Sha256
    shards: int
    size: int
    created: str
    erased: bool


class ErasureView(Body):
    """How far an erasure is; the certificate is DSSE text once the keyholder signed it."""

    dataset: str
    state: str
    erasure: Sha256
    certificate: str = ""
    objects_deleted: int = 0
