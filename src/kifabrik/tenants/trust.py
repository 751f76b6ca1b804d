"""The chain of trust: from a tenant id to the keys of its keyholder and devices."""

from dataclasses import dataclass
from datetime import datetime

from kifabrik.errors import IntegrityError
from kifabrik.signatures.dsse import Envelope
from kifabrik.signatures.keys import VerifyKey
from kifabrik.signatures.statements import key_named, time_named, verify_statement
from kifabrik.tenants.statements import Device, KeyholderStatement, Membership, RecipientList, Removal, Role


@dataclass(frozen=True)
class EnrolledDevice:
    """A device whose chain up to the tenant key has been verified."""

    tenant: str
    member: str
    role: Role
    key: VerifyKey
    recipient: str
    membership: str
    statement: str


def check_tenant_key(tenant: str, key: VerifyKey) -> None:
    """Check that a key is the tenant's.

    Raises:
        IntegrityError: Its fingerprint is not the tenant id.
    """
    if key.tenant_id != tenant:
        raise IntegrityError(f"this key belongs to tenant {key.tenant_id}, not to {tenant}")


def verify_keyholder(tenant_key: VerifyKey, envelope: Envelope) -> KeyholderStatement:
    """Return what the tenant key says about its keyholder.

    Raises:
        IntegrityError: Not signed by the tenant key, or about another tenant.
    """
    said = verify_statement(envelope, KeyholderStatement, [tenant_key]).predicate
    check_tenant_key(said.tenant, tenant_key)
    return said


def verify_membership(tenant_key: VerifyKey, envelope: Envelope) -> Membership:
    """Return what the tenant key says about a member.

    Raises:
        IntegrityError: Not signed by the tenant key, or about another tenant.
    """
    said = verify_statement(envelope, Membership, [tenant_key]).predicate
    check_tenant_key(said.tenant, tenant_key)
    return said


def verify_device(
    tenant_key: VerifyKey, membership: Envelope, device: Envelope, enrolled: datetime
) -> EnrolledDevice:
    """Verify the chain tenant key -> membership -> device.

    Args:
        tenant_key: Trusted beforehand (from the invitation, or through the tenant id).
        membership: Statement by the tenant key.
        device: Statement by the invitation key and by the device key.
        enrolled: When the device was enrolled (now, at enrolment; later the time of its ledger entry).

    Raises:
        IntegrityError: A link of the chain is missing, or the invitation had expired.
    """
    member = verify_membership(tenant_key, membership)
    said = verify_statement(device, Device, [key_named(member.invitation_key)]).predicate
    verify_statement(device, Device, [key_named(said.device_key)])
    if (said.tenant, said.member, said.membership) != (member.tenant, member.member, membership.digest):
        raise IntegrityError("the device statement is about another membership")
    if enrolled > time_named(member.expires):
        raise IntegrityError(f"the invitation of member {member.member} expired at {member.expires}")
    return EnrolledDevice(
        tenant=member.tenant,
        member=member.member,
        role=member.role,
        key=key_named(said.device_key),
        recipient=said.recipient,
        membership=membership.digest,
        statement=device.digest,
    )


def verify_removal(tenant_key: VerifyKey, envelope: Envelope) -> Removal:
    """Return which member the tenant key removes.

    Raises:
        IntegrityError: Not signed by the tenant key, or about another tenant.
    """
    said = verify_statement(envelope, Removal, [tenant_key]).predicate
    check_tenant_key(said.tenant, tenant_key)
    return said


def verify_recipients(keyholder: KeyholderStatement, envelope: Envelope) -> RecipientList:
    """Return the recipients the keyholder publishes.

    Raises:
        IntegrityError: Not signed by the keyholder, or about another tenant.
    """
    said = verify_statement(envelope, RecipientList, [key_named(keyholder.keyholder_key)]).predicate
    if said.tenant != keyholder.tenant:
        raise IntegrityError("the recipient list belongs to another tenant")
    return said
