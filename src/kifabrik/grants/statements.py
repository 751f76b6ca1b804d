"""What the tenant key says about the use of a dataset."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

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


@dataclass(frozen=True)
class KeyedRun:
    """A run that was given keys of the dataset, or of something made from it.

    Args:
        run: Run id.
        ended: Whether the log, as far as the certificate covers it, shows the end of every attempt that had keys.
        erased: Whether the identity of its outputs, checkpoints, metrics and logs was destroyed too.
    """

    run: str
    ended: bool
    erased: bool


@dataclass(frozen=True)
class Restored:
    """A time from which backups of the keyholder are not known: it was lost then, and an older backup restored.

    Args:
        since: When the backup it was restored from was made.
        until: When it was restored.
    """

    since: str
    until: str


@predicate("erasure-certificate/v1")
@dataclass(frozen=True)
class ErasureCertificate:
    """The keyholder certifies that it destroyed a dataset's key; signed by the keyholder key.

    What it names is all there is up to the tree head `log_size`, `log_root`, which the keyholder has recomputed and
    cosigned, and which contains the decision. The last fields are missing in certificates of earlier versions.

    Args:
        tenant: Tenant id.
        dataset: Dataset id.
        erasure: Digest of the erasure statement.
        manifests: Digests of all versions' manifest statements.
        releases: Earlier releases of the key.
        derived: Results made from it.
        backups: Keyholder backups that hold the key and have not lapsed.
        recovery: The recovery recipient its versions were sealed to beside the destroyed key; empty if there
            was none, or no version. Whoever has its identity and kept the ciphertext can still open them.
        complete: Whether every registered backup that held it has lapsed, and every run that had keys has ended.
        destroyed: Time.
        runs: Every run that was given keys of it, or of something made from it, transitively.
        results_released: Earlier releases of keys of what was made from it, to members and to other runs.
        restored: Times from which backups of the keyholder are not known here.
        lapsed: Keyholder backups that held the key and have lapsed: no keyholder is restored from one, but who has
            kept its file and passphrase can still read it.
        log_size: Number of entries of the log it covers.
        log_root: Root hash over them, in hex.
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
    runs: tuple[KeyedRun, ...] = ()
    results_released: tuple[Release, ...] = ()
    restored: tuple[Restored, ...] = ()
    lapsed: tuple[Backup, ...] = ()
    log_size: int = 0
    log_root: str = ""

    @property
    def going_on(self) -> tuple[str, ...]:
        """Runs that had keys and had not ended as far as it covers the log."""
        return tuple(one.run for one in self.runs if not one.ended)


def named_in(certificate: Mapping[str, Any]) -> frozenset[str]:
    """What the predicate of a certificate names: one that names no more than a complete one says nothing new."""
    released = (*certificate["releases"], *certificate.get("results_released", ()))
    return frozenset(
        (
            *(one["lease"] for one in released),
            *(f"{one['owner']} {one['manifest']} {one['erased']}" for one in certificate["derived"]),
            *(one["backup"] for one in (*certificate["backups"], *certificate.get("lapsed", ()))),
            *(f"{one['run']} {one['erased']}" for one in certificate.get("runs", ())),
            *certificate["manifests"],
        )
    )
