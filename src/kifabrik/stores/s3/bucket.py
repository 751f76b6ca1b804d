"""What a bucket's settings mean for a factory: whether deleted is deleted, and whether objects stay."""

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from botocore.exceptions import ClientError

from kifabrik.stores.s3.failures import code_of, s3_errors
from kifabrik.stores.s3.objects import S3Objects

_FORBIDDEN: Final = frozenset({"AccessDenied", "403"})
_EVERYBODY: Final = ("AllUsers", "AuthenticatedUsers")


class Gravity(StrEnum):
    """How bad it is."""

    REFUSE = "refuse"
    WARN = "warn"


@dataclass(frozen=True)
class Concern:
    """Something about a bucket that its operator has to know.

    Args:
        gravity: Whether a factory may work with it.
        what: What is the case.
        do: What to do.
    """

    gravity: Gravity
    what: str
    do: str


def concerns(files: S3Objects) -> list[Concern]:
    """Look at a bucket.

    Raises:
        UnavailableError: It cannot be reached, there is none, or it may not be used; said as its operator needs it.
    """
    with s3_errors(files.place, told=True):
        files.lines.client.list_objects_v2(Bucket=files.place.bucket, MaxKeys=1)
        return [one for look in (_locked, _copied, _expires, _versioned, _public) for one in look(files)]


def _locked(files: S3Objects) -> Iterator[Concern]:
    said = yield from _settings(files, "get_object_lock_configuration", "object lock")
    if said.get("ObjectLockConfiguration", {}).get("ObjectLockEnabled") == "Enabled":
        yield Concern(
            Gravity.REFUSE,
            f"bucket {files.place.bucket} can lock objects: what is erased could stay for as long as a lock says",
            "Use a bucket that was made without object lock; it cannot be turned off.",
        )


def _copied(files: S3Objects) -> Iterator[Concern]:
    said = yield from _settings(files, "get_bucket_replication", "replication")
    rules = said.get("ReplicationConfiguration", {}).get("Rules", ())
    if any(rule.get("Status") == "Enabled" for rule in rules):
        yield Concern(
            Gravity.REFUSE,
            f"bucket {files.place.bucket} is copied elsewhere, and what is erased here stays there",
            "Turn its replication off, and delete the copies; back up with `kifabrik admin backup`.",
        )


def _expires(files: S3Objects) -> Iterator[Concern]:
    said = yield from _settings(files, "get_bucket_lifecycle_configuration", "lifecycle")
    for rule in said.get("Rules", ()):
        if rule.get("Status") != "Enabled" or not _overlaps(_prefix_of(rule), files.place.prefix):
            continue
        name = rule.get("ID") or "without a name"
        if {"Days", "Date"} & rule.get("Expiration", {}).keys():
            yield Concern(
                Gravity.REFUSE,
                f"lifecycle rule {name} of bucket {files.place.bucket} deletes objects that are in use",
                "Take the rule away; the factory deletes what is to go.",
            )
        if rule.get("Transitions"):
            yield Concern(
                Gravity.WARN,
                f"lifecycle rule {name} of bucket {files.place.bucket} moves objects to another storage class",
                "Runs read old objects too: a class that has to be thawed first fails them.",
            )


def _versioned(files: S3Objects) -> Iterator[Concern]:
    said = yield from _settings(files, "get_bucket_versioning", "versioning")
    if said.get("Status") == "Enabled":
        yield Concern(
            Gravity.WARN,
            f"bucket {files.place.bucket} keeps versions",
            "The factory deletes each version of what it deletes. It gains nothing by them: turn versioning off.",
        )


def _public(files: S3Objects) -> Iterator[Concern]:
    acl = yield from _settings(files, "get_bucket_acl", "access")
    status = yield from _settings(files, "get_bucket_policy_status", "policy")
    granted = (str(one.get("Grantee", {}).get("URI", "")).rpartition("/")[2] for one in acl.get("Grants", ()))
    if any(one in _EVERYBODY for one in granted) or status.get("PolicyStatus", {}).get("IsPublic"):
        yield Concern(
            Gravity.REFUSE,
            f"bucket {files.place.bucket} is open to everybody",
            "Take that away: it is ciphertext, but sizes, digests and times are nobody else's business.",
        )
    block = yield from _settings(files, "get_public_access_block", "public access block")
    if not block.get("PublicAccessBlockConfiguration", {}).get("BlockPublicAcls"):
        yield Concern(
            Gravity.WARN,
            f"bucket {files.place.bucket} lets single objects be made public",
            "Block it (PutPublicAccessBlock, BlockPublicAcls): who may store an object could else publish it.",
        )


def _settings(files: S3Objects, operation: str, named: str) -> Generator[Concern, None, Any]:
    """Ask for settings; yields a concern where they may not be read, returns nothing where there are none."""
    ask: Callable[..., Any] = getattr(files.lines.client, operation)
    try:
        return ask(Bucket=files.place.bucket)
    except ClientError as error:
        code = code_of(error)
        if code in _FORBIDDEN:
            yield Concern(
                Gravity.WARN,
                f"the settings for {named} of bucket {files.place.bucket} may not be read",
                "Allow the factory's user to, or see to it yourself: docs/operations.md, Objects on S3.",
            )
        return {}  # there are none, or this store does not know them


def _prefix_of(rule: Any) -> str:
    found = rule.get("Filter", {})
    return str(rule.get("Prefix") or found.get("Prefix") or found.get("And", {}).get("Prefix") or "")


def _overlaps(one: str, ours: str) -> bool:
    inside = f"{ours}/" if ours else ""
    return one.startswith(inside) or inside.startswith(one)
