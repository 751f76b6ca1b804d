"""What the use cases need from the store, noun by noun; `kifabrik.factory.ports` puts it together.

Invariants the implementations keep:
- every row is found by its tenant and something else, never by the something else alone;
- a method that answers whether it changed something decides and changes in one statement.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol

from kifabrik.factory.records import (
    Erasure,
    GrantRecord,
    KeyRequest,
    Letter,
    LogState,
    MailKind,
    Member,
    RequestState,
    SignUpCode,
    Tenant,
    Token,
    TokenKind,
    Version,
)
from kifabrik.signatures.dsse import Envelope


class AccountRows(Protocol):
    """Tenants, members, tokens and sign-up codes."""

    def add_code(self, code: SignUpCode) -> None:
        """Add a sign-up code."""
        ...

    def code(self, hashed: str) -> SignUpCode | None:
        """Find a sign-up code."""
        ...

    def codes(self) -> list[SignUpCode]:
        """All sign-up codes, oldest first."""
        ...

    def use_code(self, hashed: str, tenant: str) -> bool:
        """Mark a code as used; whether it was unused."""
        ...

    def add_tenant(self, tenant: Tenant) -> None:
        """Add a tenant."""
        ...

    def tenant(self, tenant: str) -> Tenant | None:
        """Find a tenant."""
        ...

    def tenants(self) -> list[Tenant]:
        """All tenants, oldest first."""
        ...

    def set_keyholder(self, tenant: str, statement: str, sequence: int) -> bool:
        """Name a newer keyholder; whether the sequence has grown."""
        ...

    def set_recipients(self, tenant: str, statement: str, sequence: int) -> bool:
        """Name a newer recipient list; whether the sequence has grown."""
        ...

    def set_keyholder_seen(self, tenant: str, seen: str) -> None:
        """Note when the keyholder last called."""
        ...

    def reserve_bytes(self, tenant: str, size: int, quota: int) -> bool:
        """Add to the bytes in use, by one conditional update; whether they fit. May be negative."""
        ...

    def add_member(self, member: Member) -> None:
        """Add a member."""
        ...

    def member(self, tenant: str, member: str) -> Member | None:
        """Find a member."""
        ...

    def members(self, tenant: str) -> list[Member]:
        """All members of a tenant."""
        ...

    def remove_member(self, tenant: str, member: str, removed: str) -> None:
        """Note when a member was removed."""
        ...

    def add_token(self, token: Token) -> None:
        """Add a token."""
        ...

    def token(self, hashed: str) -> Token | None:
        """Find a token by its hash."""
        ...

    def tokens_of(self, tenant: str, *, kind: TokenKind, member: str = "", attempt: str = "") -> list[Token]:
        """All tokens of one holder."""
        ...

    def mark_used(self, hashed: str, used: str) -> None:
        """Note when a token first signed in."""
        ...

    def drop_tokens(self, tenant: str, *, kind: TokenKind, member: str = "", attempt: str = "") -> None:
        """Delete all tokens of one holder."""
        ...


class LogRows(Protocol):
    """The logs: their state, entries, perfect nodes above each full tile, and sealed details."""

    def create(self, state: LogState) -> None:
        """Add a log."""
        ...

    def state(self, tenant: str) -> LogState | None:
        """Find a log."""
        ...

    def advance(self, before: int, state: LogState) -> bool:
        """Replace tree and head if the log still has `before` entries; whether it had."""
        ...

    def set_cosigned(self, tenant: str, size: int, note: str) -> bool:
        """Keep a cosigned head unless a newer one is kept; whether it was kept."""
        ...

    def forget_cosigned(self, tenant: str) -> None:
        """Keep no cosigned head: the witness that has cosigned it is no longer the tenant's."""
        ...

    def add_entry(self, tenant: str, index: int, kind: str, data: bytes, leaf: bytes) -> None:
        """Add an entry at its index."""
        ...

    def entries(self, tenant: str, start: int, end: int) -> list[bytes]:
        """The bytes of entries `[start, end)`, as far as there are any."""
        ...

    def count_kinds(self, tenant: str) -> dict[str, int]:
        """How many entries of each kind there are."""
        ...

    def leaves(self, tenant: str, start: int, end: int) -> list[bytes]:
        """The leaf hashes of entries `[start, end)`, as far as there are any."""
        ...

    def add_node(self, tenant: str, level: int, index: int, value: bytes) -> None:
        """Add a hash of a tile level above 0."""
        ...

    def nodes(self, tenant: str, level: int, start: int, end: int) -> list[bytes]:
        """The hashes `[start, end)` of a tile level above 0, as far as there are any."""
        ...

    def add_detail(self, tenant: str, sha256: str, sealed: bytes) -> None:
        """Keep the sealed names of an entry."""
        ...

    def detail(self, tenant: str, sha256: str) -> bytes | None:
        """Find the sealed names of an entry."""
        ...


class StatementRows(Protocol):
    """All signed statements by digest, and the keyholder's mail about them."""

    def add(self, tenant: str, envelope: Envelope, index: int | None = None) -> None:
        """Keep a statement; `index` is its log entry. Keeping it again changes nothing but a missing index."""
        ...

    def get(self, tenant: str, digest: str) -> Envelope | None:
        """Find a statement."""
        ...

    def texts(self, tenant: str, digests: Iterable[str]) -> list[str]:
        """Those of these statements that there are, as DSSE JSON, by digest."""
        ...

    def index(self, tenant: str, digest: str) -> int | None:
        """The log entry a statement is recorded by, if there is one."""
        ...

    def known(self, tenant: str, digests: Iterable[str]) -> set[str]:
        """Which of these statements there are."""
        ...

    def digests(self, tenant: str) -> Iterator[tuple[str, int | None]]:
        """Every statement of a tenant with the index of its log entry."""
        ...

    def add_letter(self, tenant: str, kind: MailKind, digest: str) -> Letter:
        """Write to the keyholder; numbers grow by one within a tenant."""
        ...

    def letters(self, tenant: str, after: int, limit: int) -> list[Letter]:
        """Mail with numbers above `after`."""
        ...


class DatasetRows(Protocol):
    """Versions, grants and erasures."""

    def add_version(self, version: Version, objects: Iterable[str]) -> None:
        """Add a version and what it consists of."""
        ...

    def version(self, tenant: str, owner: str, number: int) -> Version | None:
        """Find a version by its number."""
        ...

    def newest(self, tenant: str, owner: str) -> Version | None:
        """Find the version with the highest number."""
        ...

    def by_manifest(self, tenant: str, manifest: str) -> Version | None:
        """Find a version by its manifest."""
        ...

    def by_manifests(self, tenant: str, manifests: Iterable[str]) -> dict[str, Version]:
        """Those versions that there are of these manifests, by manifest."""
        ...

    def versions(self, tenant: str, prefix: str) -> list[Version]:
        """All versions whose owner begins with `prefix`, by owner and number."""
        ...

    def mark_erased(self, tenant: str, manifest: str, erased: str) -> bool:
        """Note when a version was erased; whether it was not before."""
        ...

    def only_in(self, tenant: str, manifests: Iterable[str]) -> set[str]:
        """Objects that these versions use and no version does that is not erased."""
        ...

    def missing_objects(self) -> Iterator[tuple[str, str, str]]:
        """(tenant, manifest, object) of every object a live version needs and no row has."""
        ...

    def add_grant(self, grant: GrantRecord) -> None:
        """Add a grant."""
        ...

    def grant(self, tenant: str, grant: str) -> GrantRecord | None:
        """Find a grant."""
        ...

    def grants(self, tenant: str, dataset: str) -> list[GrantRecord]:
        """All grants for a dataset."""
        ...

    def revoke(self, tenant: str, grant: str, revoked: str) -> bool:
        """Note when a grant was revoked; whether it was not before."""
        ...

    def put_erasure(self, erasure: Erasure) -> None:
        """Add an erasure or replace what is known of it."""
        ...

    def erasure(self, tenant: str, dataset: str) -> Erasure | None:
        """Find an erasure."""
        ...

    def erasures(self) -> list[Erasure]:
        """All erasures of all tenants."""
        ...


class LeaseRows(Protocol):
    """Requests for keys and their answers."""

    def add(self, request: KeyRequest) -> None:
        """Add a request."""
        ...

    def get(self, tenant: str, digest: str) -> KeyRequest | None:
        """Find a request."""
        ...

    def of_runs(self, tenant: str, runs: Iterable[str]) -> list[KeyRequest]:
        """All requests about these runs, of each the oldest first."""
        ...

    def decide(self, tenant: str, digest: str, state: RequestState, decision: str) -> bool:
        """Record the answer; whether there was none before."""
        ...

    def set_asked(self, tenant: str, digest: str) -> bool:
        """Note that a person must decide; whether nobody had decided."""
        ...

    def add_headers(self, tenant: str, digest: str, headers: Mapping[str, bytes]) -> None:
        """Keep the headers released with a lease."""
        ...

    def headers(self, tenant: str, digest: str) -> dict[str, bytes]:
        """The headers released with a lease, by item."""
        ...

    def drop_headers_to_members(self, tenant: str, runs: Iterable[str]) -> int:
        """Delete the headers that were released to members for results and logs of these runs; how many."""
        ...
