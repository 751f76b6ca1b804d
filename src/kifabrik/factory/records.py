"""What the store keeps, as frozen values; every one belongs to exactly one tenant.

Times are RFC 3339 text as `kifabrik.values.format_time` writes it; an empty text means not yet.
"""

from dataclasses import dataclass
from enum import StrEnum

from kifabrik.ledger.merkle import CompactTree
from kifabrik.tenants.statements import Role


class TokenKind(StrEnum):
    """Who a token speaks for; the value is written in front of the token."""

    KEYHOLDER = "kfk"
    DEVICE = "kfd"
    ATTEMPT = "kfa"
    OPERATOR = "kfo"
    """A sign-up code: made by the operator, good for one tenant."""


class MailKind(StrEnum):
    """What the keyholder is told about."""

    REQUEST = "request"
    ERASURE = "erasure"
    STATEMENT = "statement"


class RequestState(StrEnum):
    """Where a request for keys stands."""

    PENDING = "pending"
    ASKED = "asked"
    RELEASED = "released"
    REFUSED = "refused"


class ErasureState(StrEnum):
    """How far an erasure is."""

    DECIDED = "decided"
    """In the log; the keyholder has not answered yet."""
    CERTIFIED = "certified"
    """The key is destroyed; the factory is deleting objects."""
    PENDING_RUNS = "pending-runs"
    """A run that had keys before goes on."""
    PENDING_BACKUPS = "pending-backups"
    """Objects are deleted; a registered backup of the keyholder still holds the key until it expires."""
    DONE = "done"


@dataclass(frozen=True)
class SealedDetail:
    """Names that belong to a log entry, sealed to the tenant; `sha256` is over salt and plaintext."""

    sha256: str
    sealed: bytes


@dataclass(frozen=True)
class Recorded:
    """A statement on record: its digest and the index of its log entry."""

    digest: str
    index: int


@dataclass(frozen=True)
class SignUpCode:
    """A sign-up code by its hash; `tenant` is who used it."""

    hash: str
    note: str
    created: str
    tenant: str = ""


@dataclass(frozen=True)
class Tenant:
    """A tenant: its public key, newest keyholder statement and newest recipient list (by digest)."""

    tenant: str
    tenant_key: str
    keyholder: str
    keyholder_sequence: int
    created: str
    recipients: str = ""
    recipients_sequence: int = 0
    bytes_used: int = 0
    keyholder_seen: str = ""


@dataclass(frozen=True)
class Member:
    """A member; `device` is the digest of the enrolled device's statement."""

    tenant: str
    member: str
    role: Role
    membership: str
    device: str
    removed: str = ""


@dataclass(frozen=True)
class Principal:
    """Who a token belongs to; fields that do not apply are empty."""

    kind: TokenKind
    tenant: str
    member: str = ""
    role: Role | None = None
    device: str = ""
    run: str = ""
    attempt: str = ""


@dataclass(frozen=True)
class Token:
    """A token by its hash; `used` is when it first signed in."""

    hash: str
    kind: TokenKind
    tenant: str
    created: str
    member: str = ""
    device: str = ""
    run: str = ""
    attempt: str = ""
    used: str = ""


@dataclass(frozen=True)
class LogState:
    """A tenant's log: its tree, its newest signed head, its newest cosigned head (note text)."""

    tenant: str
    vkey: str
    tree: CompactTree
    head: str
    cosigned_size: int = -1
    cosigned: str = ""


@dataclass(frozen=True)
class Version:
    """One version of a dataset, or one output, code bundle or checkpoint of a run.

    Args:
        tenant: Tenant id.
        owner: Dataset id or part of a run, see `kifabrik.datasets.manifest.is_owner`.
        version: From 1.
        manifest: Digest of the manifest statement.
        shards: Number of shards.
        size: Bytes of all objects.
        created: By the manifest.
        erased: When it was erased.
    """

    tenant: str
    owner: str
    version: int
    manifest: str
    shards: int
    size: int
    created: str
    erased: str = ""


@dataclass(frozen=True)
class GrantRecord:
    """A grant by id; `revoked` is when it ended before its time."""

    tenant: str
    grant: str
    dataset: str
    statement: str
    revoked: str = ""


@dataclass(frozen=True)
class Erasure:
    """An erasure of a dataset; statement and certificate by digest."""

    tenant: str
    dataset: str
    statement: str
    state: ErasureState
    certificate: str = ""
    objects_deleted: int = 0


@dataclass(frozen=True)
class KeyRequest:
    """A request for keys; `attempt` is empty for a member's request; decision by digest."""

    tenant: str
    digest: str
    run: str
    member: str
    attempt: str
    state: RequestState
    created: str
    decision: str = ""


@dataclass(frozen=True)
class Letter:
    """One message to the keyholder, numbered from 1 within its tenant."""

    tenant: str
    number: int
    kind: MailKind
    digest: str


@dataclass(frozen=True)
class Upload:
    """An upload that has begun; `size` bytes are reserved for it."""

    tenant: str
    digest: str
    size: int
    touched: str


@dataclass(frozen=True)
class UnusedObjects:
    """Objects of a tenant that nothing on record uses: how many, their bytes, and since when the oldest waits."""

    tenant: str
    count: int
    size: int
    since: str


class Why(StrEnum):
    """Why an object is deleted."""

    ERASED = "erased"
    UNREGISTERED = "unregistered"
    ABANDONED = "abandoned"
    CAME_AGAIN = "came-again"
    """An upload that was held open has brought it after its own record was gone; why is not known any more."""


@dataclass(frozen=True)
class Deletion:
    """An object that is to be deleted: written down first, then done, then crossed out."""

    tenant: str
    digest: str
    size: int
    why: str = ""


@dataclass(frozen=True)
class Removed:
    """An object that was deleted: when last, and why."""

    tenant: str
    digest: str
    why: str
    removed: str
