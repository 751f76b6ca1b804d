"""The chain of trust: tenant key, membership, device, keyholder, recipients; every link is needed."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from kifabrik.errors import IntegrityError, SignInError, UsageError
from kifabrik.seals.identities import Identity
from kifabrik.signatures.dsse import Envelope
from kifabrik.signatures.keys import SigningKey
from kifabrik.signatures.statements import sign_statement
from kifabrik.tenants.invitation import Invitation
from kifabrik.tenants.statements import Device, KeyholderStatement, Membership, RecipientList, Removal, Role
from kifabrik.tenants.trust import (
    check_tenant_key,
    verify_device,
    verify_keyholder,
    verify_membership,
    verify_recipients,
    verify_removal,
)
from kifabrik.values import format_time

NOW = datetime(2026, 6, 1, tzinfo=UTC)
KEY, INVITATION, DEVICE, KEYHOLDER, OTHER = (SigningKey.generate() for _ in range(5))
TENANT = KEY.public.tenant_id
ANNA = "m-" + "a" * 16
RECIPIENT = Identity.generate().recipient.text

MEMBERSHIP = Membership(
    TENANT, ANNA, Role.ENGINEER, INVITATION.public.hex, format_time(NOW), format_time(NOW + timedelta(days=14))
)
STATEMENT = KeyholderStatement(
    tenant=TENANT,
    sequence=1,
    keyholder_key=KEYHOLDER.public.hex,
    witness_key=OTHER.public.hex,
    order_recipient=RECIPIENT,
    catalogue_recipient=RECIPIENT,
    recovery_recipient="",
    created=format_time(NOW),
)


def signed(said: object, *keys: SigningKey) -> Envelope:
    return sign_statement(said, {}, *keys)


def the_device(signed_membership: Envelope, **changes: str) -> Device:
    said = Device(TENANT, ANNA, signed_membership.digest, DEVICE.public.hex, RECIPIENT, format_time(NOW))
    return replace(said, **changes)


def test_a_device_whose_chain_is_whole_is_believed() -> None:
    membership = signed(MEMBERSHIP, KEY)
    device = signed(the_device(membership), INVITATION, DEVICE)
    enrolled = verify_device(KEY.public, membership, device, NOW)
    assert (enrolled.tenant, enrolled.member, enrolled.role) == (TENANT, ANNA, Role.ENGINEER)
    assert (enrolled.key, enrolled.recipient) == (DEVICE.public, RECIPIENT)
    assert (enrolled.membership, enrolled.statement) == (membership.digest, device.digest)


@pytest.mark.parametrize("keys", [(OTHER, DEVICE), (INVITATION, OTHER), (INVITATION,), (DEVICE,)])
def test_a_device_needs_the_invitation_key_and_its_own(keys: tuple[SigningKey, ...]) -> None:
    membership = signed(MEMBERSHIP, KEY)
    with pytest.raises(IntegrityError):
        verify_device(KEY.public, membership, signed(the_device(membership), *keys), NOW)


@pytest.mark.parametrize(
    "change",
    [{"tenant": OTHER.public.tenant_id}, {"member": "m-" + "b" * 16}, {"membership": "ab" * 32}],
)
def test_a_device_of_another_membership_is_refused(change: dict[str, str]) -> None:
    membership = signed(MEMBERSHIP, KEY)
    device = signed(the_device(membership, **change), INVITATION, DEVICE)
    with pytest.raises(IntegrityError, match="another membership"):
        verify_device(KEY.public, membership, device, NOW)


@pytest.mark.parametrize("text", ["/", "", "zz" * 32, "00" * 31])
def test_a_statement_that_names_no_key_where_one_belongs_is_refused(text: str) -> None:
    membership = signed(MEMBERSHIP, KEY)
    device = signed(the_device(membership, device_key=text), INVITATION, DEVICE)
    with pytest.raises(IntegrityError, match="public key"):
        verify_device(KEY.public, membership, device, NOW)
    with pytest.raises(IntegrityError):
        verify_device(KEY.public, signed(replace(MEMBERSHIP, invitation_key=text), KEY), device, NOW)


@pytest.mark.parametrize("text", ["", "never", "2026-02-30T00:00:00Z", "9999-12-31T23:59:59+14:00"])
def test_a_membership_that_ends_at_no_time_is_refused(text: str) -> None:
    membership = signed(replace(MEMBERSHIP, expires=text), KEY)
    device = signed(the_device(membership), INVITATION, DEVICE)
    with pytest.raises(IntegrityError, match="not a UTC time"):
        verify_device(KEY.public, membership, device, NOW)


def test_an_invitation_ends_when_it_says() -> None:
    membership = signed(MEMBERSHIP, KEY)
    device = signed(the_device(membership), INVITATION, DEVICE)
    assert verify_device(KEY.public, membership, device, NOW + timedelta(days=14))
    with pytest.raises(IntegrityError, match="expired"):
        verify_device(KEY.public, membership, device, NOW + timedelta(days=14, seconds=1))


def test_only_the_tenant_key_speaks_for_its_tenant() -> None:
    removal = Removal(TENANT, ANNA, format_time(NOW))
    for verify, said in (
        (verify_membership, MEMBERSHIP),
        (verify_keyholder, STATEMENT),
        (verify_removal, removal),
    ):
        assert verify(KEY.public, signed(said, KEY)) == said
        with pytest.raises(IntegrityError, match="trusted key"):
            verify(KEY.public, signed(said, OTHER))
        with pytest.raises(IntegrityError, match="belongs to tenant"):
            verify(OTHER.public, signed(said, OTHER))


def test_a_tenants_id_is_the_fingerprint_of_its_key() -> None:
    check_tenant_key(TENANT, KEY.public)
    with pytest.raises(IntegrityError):
        check_tenant_key(TENANT, OTHER.public)


def test_recipients_come_from_the_keyholder_of_the_same_tenant() -> None:
    said = RecipientList(TENANT, 1, {"d-" + "c" * 16: RECIPIENT}, format_time(NOW))
    assert verify_recipients(STATEMENT, signed(said, KEYHOLDER)) == said
    with pytest.raises(IntegrityError):
        verify_recipients(STATEMENT, signed(said, KEY))
    with pytest.raises(IntegrityError, match="another tenant"):
        verify_recipients(STATEMENT, signed(replace(said, tenant=OTHER.public.tenant_id), KEYHOLDER))


def the_invitation(**changes: str) -> Invitation:
    made = Invitation(
        factory="https://factory.example",
        tenant_key=KEY.public.hex,
        policy="quorum none\n",
        keyholder=signed(STATEMENT, KEY).to_json(),
        membership=signed(MEMBERSHIP, KEY).to_json(),
        invitation_seed=INVITATION.seed.hex(),
        catalogue_identity=Identity.generate().text,
    )
    return replace(made, **changes)


def test_an_invitation_is_written_read_and_verified() -> None:
    invitation = the_invitation()
    again = Invitation.from_text(invitation.to_text())
    assert again == invitation
    assert again.tenant == TENANT
    assert again.verified() == (STATEMENT, MEMBERSHIP, INVITATION)
    for secret in (invitation.invitation_seed, invitation.catalogue_identity):
        assert secret not in repr(invitation)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"tenant_key": OTHER.public.hex}, IntegrityError),
        ({"keyholder": signed(STATEMENT, OTHER).to_json()}, IntegrityError),
        ({"membership": signed(MEMBERSHIP, OTHER).to_json()}, IntegrityError),
        ({"invitation_seed": OTHER.seed.hex()}, SignInError),
        ({"invitation_seed": "zz"}, SignInError),
        ({"invitation_seed": "00"}, SignInError),
        ({"tenant_key": "zz"}, UsageError),
    ],
)
def test_an_invitation_somebody_has_changed_is_refused(change: dict[str, str], error: type[Exception]) -> None:
    with pytest.raises(error):
        the_invitation(**change).verified()


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", '{"format": "kifabrik-invitation/v2"}', "null", '"x"', "[" * 100_000]
)
def test_what_is_no_invitation_is_said_to_be_none(text: str) -> None:
    with pytest.raises(SignInError, match="invitation"):
        Invitation.from_text(text)
