"""One entry of the log: who did what when, in random ids and digests, never in names or content.

Invariants:
- the bytes are canonical JSON (RFC 8785), so one entry has one form and one leaf hash; with texts of
  this alphabet and whole numbers only, the standard library's compact sorted form is that form;
- text values have an alphabet without spaces, so no sentence, file name or path can slip in;
- a kind this version does not know still parses: old readers can show new logs.
"""

import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, TypeAlias

from kifabrik.errors import IntegrityError, UsageError
from kifabrik.ledger.merkle import leaf_hash

MOST_ENTRY_BYTES: Final = 0xFFFF
"""Entry bundles prefix each entry with a uint16 (c2sp.org/tlog-tiles, log entries)."""

_ID_BYTES: Final = 16
_MOST_REFS: Final = 64
_LARGEST_NUMBER: Final = 2**53 - 1
_FIELDS: Final = frozenset({"kind", "time", "id", "refs", "detail"})
_KIND: Final = re.compile(r"[a-z]{1,31}\.[a-z]{1,31}")
_ID: Final = re.compile(r"[0-9a-f]{32}")
_TIME: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")
_DETAIL: Final = re.compile(r"(?:[0-9a-f]{64})?")
_REF_KEY: Final = re.compile(r"[a-z][a-z0-9_]{0,31}")
_REF_TEXT: Final = re.compile(r"[A-Za-z0-9._:@/+=-]{1,256}")

RefValue: TypeAlias = str | int | tuple[str, ...]


class EntryKind(StrEnum):
    """What happened. The references of each kind are listed in docs/formats/ledger.md."""

    TENANT_CREATED = "tenant.created"
    KEYHOLDER_ENROLLED = "keyholder.enrolled"
    KEYHOLDER_RESTORED = "keyholder.restored"
    MEMBER_ENROLLED = "member.enrolled"
    MEMBER_REMOVED = "member.removed"
    DATASET_SEALED = "dataset.sealed"
    DATASET_ERASED = "dataset.erased"
    GRANT_GIVEN = "grant.given"
    GRANT_REVOKED = "grant.revoked"
    RUN_ORDERED = "run.ordered"
    RUN_ADMITTED = "run.admitted"
    RUN_FINISHED = "run.finished"
    RUN_STOPPED = "run.stopped"
    LEASE_REQUESTED = "lease.requested"
    LEASE_RELEASED = "lease.released"
    LEASE_REFUSED = "lease.refused"
    MODEL_ACCEPTED = "model.accepted"
    MODEL_PROMOTED = "model.promoted"
    RECIPIENTS_PUBLISHED = "recipients.published"
    ERASURE_DECIDED = "erasure.decided"
    ATTESTATION_SET = "attestation.set"
    DEADLINE_MISSED = "deadline.missed"


_KNOWN: Final = frozenset(str(kind) for kind in EntryKind)


@dataclass(frozen=True)
class Entry:
    """One entry of a log.

    Args:
        kind: An `EntryKind`, or the plain text of a kind this version does not know.
        time: When it happened by the writer's clock, RFC 3339 in UTC with whole seconds.
        id: 16 random bytes in hex, so that equal events have different leaf hashes.
        refs: What it is about: random ids, SHA-256 digests in hex, numbers below 2^53.
        detail: SHA-256 in hex of the plaintext of the sealed detail kept beside the log; the plaintext
            includes a random salt, so deleting the detail leaves nothing to match guesses against.
            Empty if there is none.

    Raises:
        UsageError: A field does not have its form.
    """

    kind: EntryKind | str
    time: str
    id: str
    refs: Mapping[str, RefValue] = field(default_factory=dict)
    detail: str = ""

    def __post_init__(self) -> None:
        _check_text("kind", self.kind, _KIND)
        _check_text("id", self.id, _ID)
        _check_text("detail", self.detail, _DETAIL)
        _check_text("time", self.time, _TIME)
        try:
            datetime.fromisoformat(self.time)
        except ValueError:
            raise UsageError(f"not the time of a log entry: {self.time!r}") from None
        object.__setattr__(self, "kind", EntryKind(self.kind) if self.kind in _KNOWN else str(self.kind))
        object.__setattr__(self, "refs", _checked_refs(self.refs))

    @property
    def known(self) -> bool:
        """Whether this version knows the kind and can check its rules."""
        return isinstance(self.kind, EntryKind)

    def to_bytes(self) -> bytes:
        """Return the canonical JSON that is hashed and stored.

        Raises:
            UsageError: The entry is larger than `MOST_ENTRY_BYTES`.
        """
        body = {
            "kind": str(self.kind),
            "time": self.time,
            "id": self.id,
            "refs": dict(self.refs),
            "detail": self.detail,
        }
        data = json.dumps(body, sort_keys=True, separators=(",", ":")).encode()
        if len(data) > MOST_ENTRY_BYTES:
            raise UsageError(
                f"a log entry of {len(data)} bytes is too large (at most {MOST_ENTRY_BYTES})",
                hint="Put the content into the sealed detail and refer to its digest.",
            )
        return data

    @classmethod
    def from_bytes(cls, data: bytes) -> "Entry":
        """Read an entry; its bytes must be exactly what `to_bytes` would write.

        Raises:
            IntegrityError: The bytes are not a well-formed entry.
        """
        if len(data) > MOST_ENTRY_BYTES:
            raise IntegrityError(f"a log entry of {len(data)} bytes is too large")
        try:
            body = json.loads(data)
        except (ValueError, RecursionError):
            raise IntegrityError("not a log entry: not JSON") from None
        if not isinstance(body, dict) or body.keys() != _FIELDS or not isinstance(body["refs"], dict):
            raise IntegrityError("not a log entry: its fields are not kind, time, id, refs and detail")
        refs = {key: tuple(value) if isinstance(value, list) else value for key, value in body["refs"].items()}
        try:
            entry = cls(body["kind"], body["time"], body["id"], refs, body["detail"])
        except UsageError as error:
            raise IntegrityError(f"not a log entry: {error.message}") from None
        if entry.to_bytes() != data:
            raise IntegrityError("not a log entry: its JSON is not in canonical form")
        return entry

    @property
    def leaf(self) -> bytes:
        """The 32-byte leaf hash others name this entry by."""
        return leaf_hash(self.to_bytes())


def new_entry_id() -> str:
    """Return a fresh random entry id, 16 bytes in hex."""
    return secrets.token_hex(_ID_BYTES)


def _check_text(what: str, value: Any, form: re.Pattern[str]) -> None:
    if not isinstance(value, str) or form.fullmatch(value) is None:
        raise UsageError(f"not the {what} of a log entry: {str(value)[:80]!r}")


def _checked_refs(refs: Mapping[str, RefValue]) -> dict[str, RefValue]:
    if len(refs) > _MOST_REFS:
        raise UsageError(f"a log entry has at most {_MOST_REFS} references, not {len(refs)}")
    for key, value in refs.items():
        _check_text("reference name", key, _REF_KEY)
        if isinstance(value, int) and not isinstance(value, bool):
            if not 0 <= value <= _LARGEST_NUMBER:
                raise UsageError(f"reference {key} is not between 0 and 2^53-1: {value}")
            continue
        for text in value if isinstance(value, tuple) else (value,):
            _check_text(f"reference {key}", text, _REF_TEXT)
    return dict(refs)
