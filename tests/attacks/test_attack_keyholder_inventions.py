"""Whoever controls the factory makes up members, orders, grants, manifests, headers and requests."""

import secrets
from dataclasses import replace

import pytest

from keyhouse import PURPOSE, House, Person, Run, as_input
from kifabrik.datasets.manifest import Manifest, sign_manifest
from kifabrik.errors import IntegrityError
from kifabrik.grants.statements import Grant
from kifabrik.keyholder.events import EventKind
from kifabrik.keyholder.setup import accept_sign_up, make_folder
from kifabrik.leases.statements import RequestingNode
from kifabrik.ledger.entry import EntryKind
from kifabrik.orders.order import Input, sign_order
from kifabrik.seals.identities import Identity
from kifabrik.signatures.dsse import Envelope
from kifabrik.signatures.keys import SigningKey
from kifabrik.signatures.statements import read_unverified, sign_statement
from kifabrik.tenants.invitation import Invitation
from kifabrik.tenants.statements import Membership, Role
from kifabrik.values import Kind, Place, format_time, new_id, now_utc


def _made_up_invitation(house: House) -> Invitation:
    """An invitation like a steward's, but signed by a key of the factory's."""
    real = house.steward.invite(Role.OWNER, "nobody")
    key, fake = SigningKey.generate(), SigningKey.generate()
    said = read_unverified(Envelope.from_json(real.membership), Membership)[0]
    said = replace(said, member=new_id(Kind.MEMBER), invitation_key=key.public.hex)
    membership = sign_statement(said, {}, fake).to_json()
    return replace(real, membership=membership, invitation_seed=key.seed.hex(), tenant_key=fake.public.hex)


def _granted(house: House) -> tuple[Person, Envelope]:
    anna = house.enrol()
    data = anna.seal({"a": b"x"})
    house.grant(data)
    return anna, data


def test_an_order_of_a_made_up_member_gets_nothing(house: House) -> None:
    _, data = _granted(house)
    invitation = _made_up_invitation(house)
    membership = Envelope.from_json(invitation.membership)
    said = read_unverified(membership, Membership)[0]
    mallory = Person(house, invitation, said.member)
    house.factory.statements[membership.digest] = membership
    mallory_device = sign_statement(
        read_unverified(membership, Membership)[0], {}, SigningKey(bytes.fromhex(invitation.invitation_seed))
    )
    house.factory.put(
        EntryKind.MEMBER_ENROLLED,
        mallory_device,
        member=said.member,
        membership=membership.digest,
        device=mallory_device.digest,
    )
    assert house.refused(mallory.order(data).attempt().ask()) == "unknown-order"
    assert any("member.enrolled" in text for text in house.said(EventKind.WARNING))


def test_an_order_signed_by_the_factory_in_a_members_name_gets_nothing(house: House) -> None:
    anna, data = _granted(house)
    forged = replace(anna, key=SigningKey.generate())
    assert house.refused(forged.order(data).attempt().ask()) == "unknown-order"


def test_an_order_that_never_stood_in_the_log_gets_nothing(house: House) -> None:
    anna, data = _granted(house)
    run = anna.order(data)
    house.factory.entries.pop()
    assert house.refused(run.attempt().ask()) == "unknown-order"


def test_an_order_put_into_the_log_after_its_request_does_not_cover_it(house: House) -> None:
    anna, data = _granted(house)
    run = anna.order(data)
    ordered = house.factory.entries.pop()
    request = run.attempt().ask()
    house.factory.entries.append(ordered)
    assert house.refused(request) == "unknown-order"


def test_a_request_for_another_tenant_is_refused(house: House) -> None:
    anna, data = _granted(house)
    assert house.refused(anna.order(data).attempt().ask(tenant="t-" + "x" * 32)) == "bad-request"


def test_code_whose_signature_was_exchanged_is_refused(house: House) -> None:
    anna, data = _granted(house)
    run = anna.order(data)
    house.factory.corrupt_signature(run.code.digest)
    assert house.refused(run.attempt().ask()) == "manifest"


def test_an_order_changed_after_signing_gets_nothing(house: House) -> None:
    anna, data = _granted(house)
    run = anna.order(data)
    changed = sign_order(replace(run.said, max_duration_s=10**6), SigningKey.generate())
    house.factory.statements[run.order.digest] = changed
    house.factory.put(EntryKind.RUN_ORDERED, changed, order=changed.digest, run=run.id)
    assert house.refused(Run(house, changed, run.code, run.inputs).attempt().ask()) == "unknown-order"


def test_a_grant_by_another_key_than_the_tenants_permits_nothing(house: House) -> None:
    anna = house.enrol()
    data = anna.seal({"a": b"x"})
    said = Grant(
        grant=new_id(Kind.GRANT),
        tenant=house.factory.tenant,
        dataset=as_input(data).owner,
        purpose=PURPOSE,
        members=(),
        place=Place(),
        code=None,
        runs_per_day=0,
        attested=False,
        ask=False,
        created=format_time(now_utc()),
        expires="2099-01-01T00:00:00Z",
    )
    for key in (SigningKey.generate(), anna.key):
        house.factory.grant(sign_statement(replace(said, grant=new_id(Kind.GRANT)), {}, key), None)
    assert house.refused(anna.order(data).attempt().ask()) == "no-grant"


def test_a_grant_that_was_never_put_on_record_permits_nothing(house: House) -> None:
    anna = house.enrol()
    data = anna.seal({"a": b"x"})
    house.factory.accept_statement = lambda kind, _envelope: kind is not EntryKind.GRANT_GIVEN
    house.steward.grant(as_input(data).owner, PURPOSE)
    house.dropped()
    assert house.judged(anna.order(data).attempt().ask()) == "no-grant"


def test_a_grant_for_another_tenant_of_the_same_steward_permits_nothing(house: House) -> None:
    anna, data = _granted(house)
    grant = read_unverified(
        next(one for one in house.factory.statements.values() if b"/grant/v1" in one.payload), Grant
    )[0]
    foreign = replace(grant, grant=new_id(Kind.GRANT), tenant="t-" + "a" * 32, purpose="other")
    house.factory.grant(sign_statement(foreign, {}, house.tenant_key), None)
    assert house.refused(anna.order(data, purpose="other").attempt().ask()) == "no-grant"


def test_a_dataset_sealed_to_a_recipient_of_the_factory_is_not_taken(house: House) -> None:
    anna, _ = _granted(house)
    dataset = house.unused_dataset()
    manifest = house.sealed({"a": b"x"}, dataset, Identity.generate().recipient.text)
    envelope = sign_manifest(manifest, anna.key)
    house.factory.put(EntryKind.DATASET_SEALED, envelope, dataset=dataset, manifest=envelope.digest)
    house.steward.grant(dataset, PURPOSE)
    assert house.refused(anna.order(envelope).attempt().ask()) == "manifest"


def test_a_manifest_by_nobodys_device_is_not_taken(house: House) -> None:
    anna, data = _granted(house)
    manifest = read_unverified(data, Manifest)[0]
    forged = replace(manifest, version=2, previous=data.digest)
    envelope = sign_manifest(forged, SigningKey.generate())
    house.factory.put(EntryKind.DATASET_SEALED, envelope, dataset=manifest.owner, manifest=envelope.digest)
    assert house.refused(anna.order(envelope).attempt().ask()) == "manifest"


def test_a_version_that_skips_the_one_before_is_not_taken(house: House) -> None:
    anna, data = _granted(house)
    said = as_input(data)
    manifest = house.sealed({"a": b"y"}, said.owner, house.recipients()[said.owner])
    envelope = sign_manifest(replace(manifest, version=2, previous="ab" * 32), anna.key)
    house.factory.put(EntryKind.DATASET_SEALED, envelope, dataset=said.owner, manifest=envelope.digest)
    assert house.refused(anna.order(envelope).attempt().ask()) == "manifest"


def test_headers_of_another_dataset_are_not_wrapped_anew(house: House) -> None:
    """A member without a grant on a dataset names its headers in a manifest of their own dataset."""
    anna = house.enrol()
    secret = anna.seal({"plan": b"secret"})
    mine = anna.seal({"a": b"x"})
    house.grant(mine)
    stolen = read_unverified(secret, Manifest)[0]
    said = read_unverified(mine, Manifest)[0]
    swapped = replace(stolen, owner=said.owner, version=2, previous=mine.digest, recipient=said.recipient)
    envelope = sign_manifest(swapped, anna.key)
    house.factory.put(EntryKind.DATASET_SEALED, envelope, dataset=said.owner, manifest=envelope.digest)
    assert house.refused(anna.order(envelope).attempt().ask()) == "foreign-headers"


def test_an_order_that_calls_another_datasets_version_one_of_a_granted_one_gets_nothing(house: House) -> None:
    """The member's own signature is on it, and the factory lets it pass."""
    anna = house.enrol()
    secret, mine = anna.seal({"plan": b"secret"}), anna.seal({"a": b"x"})
    house.grant(mine)
    owner = read_unverified(mine, Manifest)[0].owner
    order = anna.order(secret, inputs=(Input(owner, 1, secret.digest),))
    assert house.refused(order.attempt().ask()) == "manifest"


def test_another_members_code_is_not_wrapped_anew_for_ones_own_order(house: House) -> None:
    anna, data = _granted(house)
    otto = house.enrol(Role.ENGINEER, "Otto")
    run = anna.order(data)
    run.attempt().obtain()
    own = new_id(Kind.RUN)
    stolen = replace(read_unverified(run.code, Manifest)[0], owner=f"{own}/code")
    order = otto.order(run=own, code_manifest=sign_manifest(stolen, otto.key))
    assert house.refused(order.attempt().ask()) == "foreign-headers"


def test_another_members_code_is_not_wrapped_anew_although_its_own_order_was_held_back(house: House) -> None:
    """The factory sees a sealed bundle before its order, and could let a colleague's order stand first."""
    anna, data = _granted(house)
    otto = house.enrol(Role.ENGINEER, "Otto")
    sealed = anna.sealed(
        {"work/train.py": b"secret"}, f"{new_id(Kind.RUN)}/code", house.state.statement.order_recipient
    )
    own = new_id(Kind.RUN)
    stolen = replace(read_unverified(sealed, Manifest)[0], owner=f"{own}/code")
    order = otto.order(data, run=own, code_manifest=sign_manifest(stolen, otto.key))
    assert house.refused(order.attempt().ask()) == "foreign-headers"


def test_nothing_is_fetched_for_a_request_nobody_ordered(house: House) -> None:
    """Else whoever can write to the log makes the keyholder hold as many headers as they like."""
    anna, data = _granted(house)
    run = anna.order(data)
    house.round.work()
    house.factory.calls.clear()
    assert house.refused(run.attempt().ask(order="ab" * 32)) == "unknown-order"
    many = (run.code.digest, data.digest, *(f"{number:064x}" for number in range(500)))
    assert house.refused(run.attempt().ask(items=many)) == "items"
    forged = replace(anna, key=SigningKey.generate())
    assert house.refused(forged.ask_for(run.id, data)) == "bad-request"
    assert "fetch" not in house.factory.calls
    assert house.factory.calls.count("statement") <= 3  # the requests themselves


def test_a_dataset_cannot_pass_as_code_or_as_the_result_of_a_run(house: House) -> None:
    anna, data = _granted(house)
    secret = anna.seal({"plan": b"secret"})
    stolen = read_unverified(secret, Manifest)[0]
    own = new_id(Kind.RUN)
    as_code = sign_manifest(replace(stolen, owner=f"{own}/code"), anna.key)
    assert house.refused(anna.order(run=own, code_manifest=as_code).attempt().ask()) == "foreign-headers"
    attempt = anna.order(data).attempt().obtain()
    as_result = sign_manifest(replace(stolen, owner=f"{attempt.run.id}/1"), attempt.run_key)
    assert house.refused(anna.ask_for(attempt.run.id, as_result)) == "foreign-headers"
    lied = replace(stolen, owner=f"{attempt.run.id}/1", recipient=attempt.lease.predicate.output_recipient)
    as_result = sign_manifest(lied, attempt.run_key)
    assert house.refused(anna.ask_for(attempt.run.id, as_result)) == "foreign-headers"


def test_the_code_of_a_run_is_no_input_and_no_result(house: House) -> None:
    anna, data = _granted(house)
    attempt = anna.order(data).attempt().obtain()
    otto = house.enrol(Role.STEWARD, "Otto")
    assert house.refused(otto.ask_for(attempt.run.id, attempt.run.code)) == "items"
    assert house.refused(anna.order(attempt.run.code).attempt().ask()) == "items"


def test_results_signed_by_another_key_than_the_runs_are_not_opened(house: House) -> None:
    anna, data = _granted(house)
    attempt = anna.order(data).attempt().obtain()
    model = attempt.output({"m": b"w"})
    forged = sign_manifest(read_unverified(model, Manifest)[0], SigningKey.generate())
    house.factory.statements[model.digest] = forged
    assert house.refused(anna.ask_for(attempt.run.id, forged)) == "manifest"
    attempt.run_key = SigningKey.generate()
    assert house.refused(anna.ask_for(attempt.run.id, attempt.stream())) == "manifest"


def test_a_device_nobody_enrolled_gets_no_results(house: House) -> None:
    anna, data = _granted(house)
    attempt = anna.order(data).attempt().obtain()
    model = attempt.output({"m": b"w"})
    mallory = replace(anna, key=SigningKey.generate())
    assert house.refused(mallory.ask_for(attempt.run.id, model)) == "bad-request"
    elsewhere = anna.ask_for(attempt.run.id, model, recipient=Identity.generate().recipient.text)
    assert house.refused(elsewhere) == "bad-request"


def test_a_request_without_the_nodes_signature_is_refused(house: House) -> None:
    anna, data = _granted(house)
    attempt = anna.order(data).attempt()
    said = attempt.said()
    envelope = sign_statement(said, {}, attempt.run_key)
    assert house.refused(house.request(envelope, ())) == "bad-request"


def test_a_statement_with_a_wrong_signature_is_no_statement(house: House) -> None:
    anna, data = _granted(house)
    attempt = anna.order(data).attempt()
    request = attempt.ask()
    house.factory.corrupt_signature(request)
    assert house.refused(request) == "bad-request"


def test_a_replayed_request_is_refused(house: House) -> None:
    anna, data = _granted(house)
    run = anna.order(data)
    first = run.attempt(1).obtain()
    # The same attempt number for a launcher of the factory's own, then the same attempt with other keys.
    assert house.refused(run.attempt(1).ask()) == "replayed"
    again = run.attempt(2)
    again.attempt = first.attempt
    assert house.refused(again.ask()) == "replayed"
    before = house.factory.decisions[first.lease.predicate.request].digest
    house.factory.append(EntryKind.LEASE_REQUESTED, request=first.lease.predicate.request)
    house.round.work()
    assert house.factory.decisions[first.lease.predicate.request].digest == before


def test_a_members_nonce_counts_once(house: House) -> None:
    anna, data = _granted(house)
    attempt = anna.order(data).attempt().obtain()
    model = attempt.output({"m": b"w"})
    nonce = secrets.token_hex(16)
    first = anna.ask_for(attempt.run.id, model, nonce=nonce)
    house.round.work()
    assert house.lease(first)
    again = anna.ask_for(attempt.run.id, model, nonce=nonce, created="2020-01-01T00:00:00Z")
    assert house.refused(again) == "replayed"


def test_the_first_order_of_a_run_and_of_a_nonce_counts(house: House) -> None:
    anna, data = _granted(house)
    first = anna.order(data)
    house.round.work()
    same_run = anna.order(data, run=first.id, purpose="other")
    same_nonce = anna.order(data, nonce=first.said.nonce)
    assert house.refused(same_run.attempt().ask()) == "unknown-order"
    assert house.refused(same_nonce.attempt().ask()) == "unknown-order"
    assert first.attempt().obtain().lease


def test_a_second_device_on_one_invitation_is_not_enrolled(house: House) -> None:
    invitation = house.steward.invite(Role.ENGINEER, "Anna")
    anna = house.person(invitation)
    thief = house.person(invitation)
    data = anna.seal({"a": b"x"})
    house.round.work()
    house.grant(data)
    assert house.refused(thief.order(data).attempt().ask()) == "unknown-order"
    assert anna.order(data).attempt().obtain().lease


def test_a_log_key_of_another_name_is_not_pinned(house: House, tmp_path) -> None:
    state = make_folder(tmp_path / "other", "http://factory.invalid", "x", work_factor=1)
    created = house.factory.create("code", "", house.factory.keyholder())
    with pytest.raises(IntegrityError, match="another tenant"):
        accept_sign_up(state, created)
    state.close()


@pytest.mark.parametrize(
    "wish",
    [
        {"deadline": "tomorrow"},
        {"deadline": ""},
        {"max_duration_s": 2**52},
        {"max_duration_s": -1},
        {"attempts": 0},
        {"attempts": -(2**52)},
        {"purpose": ""},
        {"nonce": "x" * 100_000},
    ],
)
def test_a_senseless_order_keeps_nobody_else_waiting(house: House, wish: dict[str, object]) -> None:
    anna, data = _granted(house)
    bad = anna.order(data, **wish).attempt()
    request = bad.ask()
    good = anna.order(data).attempt().obtain()
    assert good.lease
    assert house.refusal(request).reason in {"unknown-order", "no-grant"}


@pytest.mark.parametrize(
    "change",
    [
        {"number": -1},
        {"number": 2**52},
        {"recipient": "age1nonsense"},
        {"recipient": ""},
        {"run": ""},
        {"run": "r-" + "x" * 100_000},
        {"items": ()},
        {"items": ("zz",)},
        {"items": ("ab" * 32,) * 1000},
        {"nodes": (RequestingNode("zz", "age1x"),)},
        {"nodes": (RequestingNode("", ""),) * 100},
        {"run_key": ""},
        {"place": Place("D" * 100_000)},
        {"environment": "\x00"},
    ],
)
def test_a_senseless_request_keeps_nobody_else_waiting(house: House, change: dict[str, object]) -> None:
    anna, data = _granted(house)
    run = anna.order(data)
    request = run.attempt().ask(**change)
    assert anna.order(data).attempt().obtain().lease
    assert request in house.factory.decisions


def test_a_manifest_with_senseless_sizes_keeps_nobody_else_waiting(house: House) -> None:
    anna, data = _granted(house)
    manifest = read_unverified(data, Manifest)[0]
    huge = replace(manifest, version=2, previous=data.digest, headers_size=2**31 - 1)
    envelope = sign_manifest(huge, anna.key)
    house.factory.put(EntryKind.DATASET_SEALED, envelope, dataset=manifest.owner, manifest=envelope.digest)
    small = replace(manifest, version=3, previous=envelope.digest, headers_size=1)
    shrunk = sign_manifest(small, anna.key)
    house.factory.put(EntryKind.DATASET_SEALED, shrunk, dataset=manifest.owner, manifest=shrunk.digest)
    request = anna.order(shrunk).attempt().ask()
    assert anna.order(data).attempt().obtain().lease
    assert house.refusal(request).reason == "manifest"
