"""What a tenant's keys say about people, devices and the keyholder."""

from dataclasses import dataclass
from enum import StrEnum

from kifabrik.signatures.statements import predicate


class Role(StrEnum):
    """What a member may do."""

    OWNER = "owner"
    STEWARD = "steward"
    ENGINEER = "engineer"
    AUDITOR = "auditor"


@predicate("keyholder/v1")
@dataclass(frozen=True)
class KeyholderStatement:
    """The tenant key names its keyholder; a higher sequence replaces a lower one.

    Args:
        tenant: Tenant id.
        sequence: 1 for the first keyholder, one more after each restore.
        keyholder_key: Ed25519 key in hex that signs leases, refusals and recipient lists.
        witness_key: Ed25519 key in hex that cosigns tree heads; never restored from a backup.
        order_recipient: age recipient that code and command lines are sealed to.
        catalogue_recipient: age recipient of names in ledger details; every member device has its identity.
        recovery_recipient: age recipient whose identity lies in the safe; everything datasets hold is
            sealed to it as well. Empty if the tenant wants none.
        created: Time.
    """

    tenant: str
    sequence: int
    keyholder_key: str
    witness_key: str
    order_recipient: str
    catalogue_recipient: str
    recovery_recipient: str
    created: str


@predicate("membership/v1")
@dataclass(frozen=True)
class Membership:
    """The tenant key admits a member and names the invitation key that may certify one device.

    Args:
        tenant: Tenant id.
        member: Random member id; the person's name stays with the tenant.
        role: What the member may do.
        invitation_key: Ed25519 key in hex inside the invitation file.
        created: Time.
        expires: Time after which no device can be enrolled with it.
    """

    tenant: str
    member: str
    role: Role
    invitation_key: str
    created: str
    expires: str


@predicate("device/v1")
@dataclass(frozen=True)
class Device:
    """An invitation key certifies a device's own keys; signed by both, so the device holds its key.

    Args:
        tenant: Tenant id.
        member: Member id.
        membership: Digest of the membership statement it relies on.
        device_key: Ed25519 key in hex that signs orders and requests.
        recipient: age recipient that results are leased to.
        created: Time.
    """

    tenant: str
    member: str
    membership: str
    device_key: str
    recipient: str
    created: str


@predicate("removal/v1")
@dataclass(frozen=True)
class Removal:
    """The tenant key removes a member; all of the member's devices stop counting."""

    tenant: str
    member: str
    created: str


@predicate("sign-in/v1")
@dataclass(frozen=True)
class SignInProof:
    """A member's device asks for a session of the factory's pages; signed by the device key.

    Args:
        tenant: Tenant id.
        member: Member id.
        challenge: What the factory gave it to sign, once.
        created: Time.
    """

    tenant: str
    member: str
    challenge: str
    created: str


@predicate("recipients/v1")
@dataclass(frozen=True)
class RecipientList:
    """The keyholder publishes recipients: of datasets that exist, and unused ones for new datasets.

    Args:
        tenant: Tenant id.
        sequence: Grows with each list; the highest counts.
        datasets: Dataset id to age recipient. A recipient of an erased dataset is no longer listed.
        created: Time.
    """

    tenant: str
    sequence: int
    datasets: dict[str, str]
    created: str
