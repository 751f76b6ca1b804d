"""What the tenant key says about the use of a dataset."""

from dataclasses import dataclass

from kifabrik.signatures.statements import predicate
from kifabrik.values import Place


@dataclass(frozen=True)
class CodeDigest:
    """A salted digest of code and the packages it imports, see `kifabrik.grants.decision.salted_code`."""

    salt: str
    sha256: str


@predicate("grant/v1")
@dataclass(frozen=True)
class Grant:
    """A standing permission to use one dataset for one purpose.

    Args:
        grant: Grant id.
        tenant: Tenant id.
        dataset: Dataset id.
        purpose: Purpose id.
        members: Member ids that may use it; empty for every engineer, steward and owner.
        place: Where a run may be that uses it.
        code: If set, only this code with these packages may run on it.
        runs_per_day: Most leases for new runs within any 24 hours; 0 for no limit.
        attested: Whether only attested nodes may be used.
        ask: Whether a person must decide each time.
        created: Time.
        expires: Time.
    """

    grant: str
    tenant: str
    dataset: str
    purpose: str
    members: tuple[str, ...]
    place: Place
    code: CodeDigest | None
    runs_per_day: int
    attested: bool
    ask: bool
    created: str
    expires: str


@predicate("revocation/v1")
@dataclass(frozen=True)
class Revocation:
    """The tenant key ends a grant."""

    tenant: str
    grant: str
    created: str


@predicate("erasure/v1")
@dataclass(frozen=True)
class Erasure:
    """The tenant key decides that a dataset be erased.

    Args:
        tenant: Tenant id.
        dataset: Dataset id.
        derived: Whether the results of runs that used it are erased with it.
        created: Time.
    """

    tenant: str
    dataset: str
    derived: bool
    created: str


@dataclass(frozen=True)
class Release:
    """One release of the dataset's keys in the past: it cannot be recalled, so it is named.

    Args:
        lease: Lease id.
        run: Run id, or empty for a release to a member's device.
        receiver: Attempt id or member id.
        created: Time.
    """

    lease: str
    run: str
    receiver: str
    created: str


@dataclass(frozen=True)
class Derived:
    """A result made from the dataset.

    Args:
        owner: Run output, `r-…/1`.
        manifest: Digest of its manifest statement.
        erased: Whether its key was destroyed too.
    """

    owner: str
    manifest: str
    erased: bool


@dataclass(frozen=True)
class Backup:
    """A registered backup of the keyholder that still holds the dataset's key until it expires."""

    backup: str
    created: str
    expires: str


@predicate("erasure-certificate/v1")
@dataclass(frozen=True)
class ErasureCertificate:
    """The keyholder certifies that it destroyed a dataset's key; signed by the keyholder key.

    Args:
        tenant: Tenant id.
        dataset: Dataset id.
        erasure: Digest of the erasure statement.
        manifests: Digests of all versions' manifest statements.
        releases: Earlier releases of the key.
        derived: Results made from it.
        backups: Keyholder backups that still hold the key.
        recovery: The recovery recipient its versions were sealed to beside the destroyed key; empty if there
            was none, or no version. Whoever has its identity and kept the ciphertext can still open them.
        complete: Whether no backup holds it any more.
        destroyed: Time.
    """

    tenant: str
    dataset: str
    erasure: str
    manifests: tuple[str, ...]
    releases: tuple[Release, ...]
    derived: tuple[Derived, ...]
    backups: tuple[Backup, ...]
    recovery: str
    complete: bool
    destroyed: str
