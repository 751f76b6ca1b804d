"""A certificate of erasure, checked: that it is the keyholder's word, and stands in the log.

Invariants:
- with an account, the keyholder's key must have signed it;
- with an exported log only, its digest must stand in an entry of that log, which is recomputed whole and, where the
  log's policy asks for it, cosigned by the keyholder's witness, which cosigns no certificate it did not make;
- the head it covers must be one of this log, before its own entry, and it must name all the log shows up to there.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from kifabrik.customer.certificate_coverage import left_out
from kifabrik.errors import IntegrityError
from kifabrik.grants.statements import ErasureCertificate
from kifabrik.ledger.entry import Entry, EntryKind
from kifabrik.ledger.folder import CHECKPOINT, POLICY, LogFolder
from kifabrik.ledger.merkle import root_of
from kifabrik.ledger.policy import Policy
from kifabrik.ledger.verify import verify_log
from kifabrik.signatures.dsse import Envelope
from kifabrik.signatures.keys import VerifyKey
from kifabrik.signatures.statements import read_unverified, verify_statement


@dataclass(frozen=True)
class Certified:
    """A certificate that holds.

    Args:
        certificate: What it says.
        digest: Of the signed statement, in hex.
        index: Of the entry that names it.
        time: Of that entry.
        is_signed: Whether the keyholder's own signature was checked, beside the log.
        is_witnessed: Whether the log up to that entry is cosigned by the keyholder's witness.
        later: Index of the last entry that names a later certificate of the dataset; None if this is the newest.
    """

    certificate: ErasureCertificate
    digest: str
    index: int
    time: str
    is_signed: bool
    is_witnessed: bool
    later: int | None = None


def read_envelope(text: str, path: Path) -> Envelope:
    """Read a certificate's file.

    Raises:
        IntegrityError: It is none.
    """
    try:
        envelope = Envelope.from_json(text)
        read_unverified(envelope, ErasureCertificate)
    except IntegrityError:
        raise IntegrityError(
            f"{path} is no certificate of erasure", hint="Name the file 'kifabrik dataset erase --out' wrote."
        ) from None
    return envelope


def certified(
    envelope: Envelope, entries: Iterable[Entry], keyholder: VerifyKey, tenant: str, cosigned: int
) -> Certified:
    """Check a certificate by the keyholder's key and a tenant's verified log.

    Args:
        envelope: The certificate.
        entries: Of the log, all of them.
        keyholder: Its key.
        tenant: Tenant id.
        cosigned: How many entries the keyholder's witness has cosigned.

    Raises:
        IntegrityError: It is not the keyholder's, of another tenant, not in the log, or leaves out what that shows.
    """
    try:
        said = verify_statement(envelope, ErasureCertificate, [keyholder]).predicate
    except IntegrityError:
        raise IntegrityError(
            "the keyholder has not signed this certificate", hint="It was changed, or made up. Keep it as evidence."
        ) from None
    if said.tenant != tenant:
        raise IntegrityError(f"the certificate is of another tenant, {said.tenant}")
    return _found(envelope, said, list(entries), cosigned=cosigned, is_signed=True)


def certified_by_export(envelope: Envelope, folder: Path, policy: Policy | None = None) -> Certified:
    """Check a certificate by an exported log, without an account and without a network.

    Args:
        envelope: The certificate.
        folder: As `kifabrik ledger export` writes it.
        policy: Whom to believe; the folder's own if left out.

    Raises:
        IntegrityError: The log does not verify, the certificate is not in it, or leaves out what it shows.
    """
    log = LogFolder(folder)
    found: list[Entry] = []
    believed = policy or Policy.parse(log.text(POLICY))
    report = verify_log(log.read, log.text(CHECKPOINT), believed, on_entry=lambda _, entry: found.append(entry))
    report.require()
    said = read_unverified(envelope, ErasureCertificate)[0]
    tenant = found[0].refs.get("tenant") if found else ""
    if said.tenant != tenant:
        raise IntegrityError(f"the certificate is of another tenant, {said.tenant}, than the log, {tenant}")
    cosigned = len(found) if report.accepted and report.accepted.cosigned else 0
    return _found(envelope, said, found, cosigned=cosigned, is_signed=False)


def _found(
    envelope: Envelope, said: ErasureCertificate, entries: Sequence[Entry], *, cosigned: int, is_signed: bool
) -> Certified:
    """Hold a certificate against the log that names it."""
    index, entry = _entry(envelope, said, entries)
    _check_head(said, entries, index)
    wanting = left_out(said, entries)
    if wanting:
        raise IntegrityError(
            f"the certificate leaves out what the log shows: {', '.join(wanting)}",
            hint="Its keyholder did not know its own log, or the factory has entered what nobody signed. Ask both.",
        )
    return Certified(
        said,
        envelope.digest,
        index,
        entry.time,
        is_signed=is_signed,
        is_witnessed=index < cosigned,
        later=_later(said, entries, index),
    )


def _check_head(said: ErasureCertificate, entries: Sequence[Entry], index: int) -> None:
    if not said.log_size:
        return  # of a version that named none
    covered = entries[: said.log_size]
    if said.log_size > index or root_of(one.leaf for one in covered).hex() != said.log_root:
        raise IntegrityError(
            f"the certificate is over {said.log_size} entries that are not the first ones of this log",
            hint="It is of another log, or somebody was shown another one. Keep both as evidence.",
        )


def _later(said: ErasureCertificate, entries: Sequence[Entry], index: int) -> int | None:
    later = (
        number
        for number, entry in enumerate(entries)
        if number > index and entry.kind is EntryKind.DATASET_ERASED and entry.refs.get("dataset") == said.dataset
    )
    return max(later, default=None)


def _entry(envelope: Envelope, said: ErasureCertificate, entries: Iterable[Entry]) -> tuple[int, Entry]:
    for index, entry in enumerate(entries):
        if entry.kind is EntryKind.DATASET_ERASED and entry.refs.get("certificate") == envelope.digest:
            if entry.refs.get("dataset") != said.dataset:
                break
            return index, entry
    raise IntegrityError(
        f"the log does not name this certificate for {said.dataset}",
        hint="It is of another log, was changed, or was made up. Keep it as evidence.",
    )
