"""Sign-up, enrolment, removal and keyholder replacement through the running service."""

import pytest

from kifabrik.client.tenants import Tenants
from kifabrik.errors import ConflictError, IntegrityError, NotFoundError, RefusedError, SignInError
from kifabrik.ledger.checkpoint import log_origin, verify_tree_head
from kifabrik.ledger.notes import NoteVerifier
from kifabrik.signatures.keys import SigningKey
from kifabrik.signatures.statements import read_unverified
from kifabrik.tenants.statements import Membership, RecipientList, Removal, Role
from kifabrik.values import format_time, now_utc
from parties import FactoryProcess, Party, Person


def _removal(tenant: Party, person: Person, key: SigningKey | None = None):
    return tenant.sign(Removal(tenant.tenant, person.member, format_time(now_utc())), key)


def test_a_tenant_is_named_by_its_key_and_begins_with_two_entries(tenant: Party) -> None:
    head = verify_tree_head(tenant.log.checkpoint(), NoteVerifier.from_vkey(tenant.log_vkey))
    assert (head.origin, head.size) == (log_origin(tenant.tenant), 2)
    assert [entry["kind"] for entry in tenant.entries()] == ["tenant.created", "keyholder.enrolled"]
    me = Tenants(tenant.connection).me()
    assert (me.tenant, me.member, me.role) == (tenant.tenant, "", "keyholder")
    assert Tenants(tenant.connection).keyholder() == tenant.keyholder


def test_a_sign_up_code_makes_one_tenant(factory: FactoryProcess) -> None:
    code = factory.inside.accounts.make_code()
    first = factory.sign_up()
    other = SigningKey.generate()
    with pytest.raises(SignInError):
        Tenants(factory.connect()).create("kfo_" + "A" * 43, first.tenant_key.public.hex, first.keyholder)
    keyholder = first.keyholder_statement(1)
    with pytest.raises(ConflictError):
        Tenants(factory.connect()).create(code, first.tenant_key.public.hex, keyholder)
    with pytest.raises(IntegrityError):
        Tenants(factory.connect()).create(code, other.public.hex, keyholder)


def test_a_sign_up_whose_answer_got_lost_is_made_again_until_the_token_is_used(factory: FactoryProcess) -> None:
    party = Party.__new__(Party)
    party.tenant_key, party.keyholder_key, party.witness_key = (SigningKey.generate() for _ in range(3))
    party.tenant = party.tenant_key.public.tenant_id
    keyholder, code = party.keyholder_statement(1), factory.inside.accounts.make_code()
    calls = Tenants(factory.connect())
    first = calls.create(code, party.tenant_key.public.hex, keyholder)
    second = calls.create(code, party.tenant_key.public.hex, keyholder)
    assert first.log_vkey == second.log_vkey
    with pytest.raises(SignInError):
        Tenants(factory.connect(first.token)).me()
    assert Tenants(factory.connect(second.token)).me().role == "keyholder"
    with pytest.raises(ConflictError):
        calls.create(code, party.tenant_key.public.hex, keyholder)


def test_a_device_is_enrolled_by_its_invitation_and_stands_in_the_log(tenant: Party) -> None:
    person = tenant.enrol(Role.STEWARD)
    me = Tenants(person.connection).me()
    assert (me.tenant, me.member, me.role) == (tenant.tenant, person.member, "steward")
    entry = tenant.entries()[-1]
    assert entry["kind"] == "member.enrolled"
    assert entry["refs"] == {
        "member": person.member,
        "membership": person.membership.digest,
        "device": person.device.digest,
    }
    assert [(one.member, one.device, one.removed) for one in Tenants(tenant.connection).members()] == [
        (person.member, person.device.digest, False)
    ]


def test_an_invitation_enrols_one_device(tenant: Party) -> None:
    person = Person(tenant)
    thief = Person(tenant, person.role, person.member)
    again = Tenants(tenant.factory.connect())
    lost = again.enrol(person.membership, person.device).token
    person.token = again.enrol(person.membership, person.device).token
    with pytest.raises(SignInError):
        Tenants(tenant.factory.connect(lost)).me()
    Tenants(person.connection).me()
    with pytest.raises(ConflictError):
        again.enrol(person.membership, person.device)
    with pytest.raises(ConflictError):
        again.enrol(thief.membership, thief.device)


def test_a_device_that_another_tenant_key_vouches_for_is_refused(tenant: Party, factory: FactoryProcess) -> None:
    person = Person(factory.sign_up())
    forged = Person(tenant, member=person.member)
    forged.membership = tenant.sign(read_unverified(forged.membership, Membership)[0], SigningKey.generate())
    with pytest.raises(IntegrityError):
        forged.enrol()


def test_a_removed_members_token_dies_at_once(tenant: Party) -> None:
    person, steward = tenant.enrol(), tenant.enrol(Role.STEWARD)
    Tenants(person.connection).me()
    logged = Tenants(steward.connection).remove(_removal(tenant, person))
    with pytest.raises(SignInError):
        Tenants(person.connection).me()
    assert Tenants(steward.connection).remove(_removal(tenant, person)).log_index >= logged.log_index
    with pytest.raises(ConflictError):
        person.enrol()
    assert tenant.entries()[logged.log_index]["kind"] == "member.removed"


def test_only_the_tenant_key_removes_members(tenant: Party) -> None:
    person, steward = tenant.enrol(), tenant.enrol(Role.OWNER)
    with pytest.raises(IntegrityError):
        Tenants(steward.connection).remove(_removal(tenant, person, steward.key))
    with pytest.raises(RefusedError):
        Tenants(person.connection).remove(_removal(tenant, person))
    Tenants(person.connection).me()


def test_a_restored_keyholder_replaces_the_one_before_only_with_a_higher_sequence(tenant: Party) -> None:
    calls = Tenants(tenant.connection)
    tenant.witness_key = SigningKey.generate()
    second = tenant.keyholder_statement(2)
    logged = calls.replace_keyholder(second)
    assert calls.replace_keyholder(second) == logged
    assert calls.keyholder() == second
    with pytest.raises(ConflictError):
        calls.replace_keyholder(tenant.keyholder_statement(2))
    entry = tenant.entries()[logged.log_index]
    assert (entry["kind"], entry["refs"]["sequence"]) == ("keyholder.restored", 2)


def test_no_head_is_shown_as_cosigned_that_only_the_former_keyholder_has_cosigned(tenant: Party) -> None:
    tenant.cosign()
    assert tenant.log.cosigned()
    tenant.witness_key = SigningKey.generate()
    Tenants(tenant.connection).replace_keyholder(tenant.keyholder_statement(2))
    with pytest.raises(NotFoundError, match="has not cosigned"):
        tenant.log.cosigned()
    assert tenant.cosign() == tenant.log.cosigned()


def test_recipient_lists_only_move_forward_and_only_by_the_keyholder(tenant: Party) -> None:
    calls = Tenants(tenant.connection)
    with pytest.raises(NotFoundError):
        calls.recipients()
    tenant.new_dataset()
    tenant.new_dataset()
    newest = calls.recipients()
    old = tenant.sign(RecipientList(tenant.tenant, 1, {}, format_time(now_utc())), tenant.keyholder_key)
    with pytest.raises(ConflictError):
        calls.publish_recipients(old)
    forged = tenant.sign(RecipientList(tenant.tenant, 9, {}, format_time(now_utc())))
    with pytest.raises(IntegrityError):
        calls.publish_recipients(forged)
    assert calls.recipients() == newest


def test_an_auditor_reads_and_changes_nothing(tenant: Party) -> None:
    auditor = tenant.enrol(Role.AUDITOR)
    assert Tenants(auditor.connection).members()
    with pytest.raises(RefusedError):
        auditor.upload(b"x")
    with pytest.raises(RefusedError):
        Tenants(auditor.connection).remove(_removal(tenant, auditor))
