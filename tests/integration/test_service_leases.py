"""Requests for keys, the keyholder's mailbox and its decisions through the running service."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from kifabrik.client.connection import Connection
from kifabrik.client.datasets import Datasets
from kifabrik.client.leases import Leases
from kifabrik.errors import ConflictError, IntegrityError, NotFoundError, RefusedError
from kifabrik.grants.statements import Erasure, ErasureCertificate, KeyedRun
from kifabrik.leases.statements import Lease, MemberRequest, Refusal
from kifabrik.signatures.dsse import Envelope
from kifabrik.signatures.keys import SigningKey
from kifabrik.signatures.statements import read_unverified, sign_statement
from kifabrik.tenants.statements import Role
from kifabrik.values import Kind, format_time, new_id, now_utc
from kifabrik.wire.leases import Mail
from parties import Party
from players import eventually

WAIT_S = 60.0
"""As long as the service lets anybody wait."""
SOONER_S = 55.0
"""Who was not woken is answered later, after the whole wait."""


def _asked(request: Envelope) -> MemberRequest:
    return read_unverified(request, MemberRequest)[0]


def _refusal(tenant: Party, request: Envelope) -> Envelope:
    return tenant.sign(
        Refusal(tenant.tenant, request.digest, "no-grant", "There is no grant.", True, format_time(now_utc())),
        tenant.keyholder_key,
    )


def test_a_request_stands_in_the_log_wakes_the_keyholder_and_is_answered_once(tenant: Party) -> None:
    person = tenant.enrol()
    item = person.seal().digest
    request = person.ask_for(item)
    leases = Leases(person.connection)
    after = tenant.mailbox.mail(after=0, wait_s=0)[-1].number
    logged = leases.request(request)
    assert leases.request(request) == logged
    assert tenant.entries()[logged.log_index]["refs"] == {
        "request": request.digest,
        "run": _asked(request).run,
        "member": person.member,
        "items": [item],
    }
    (mail,) = tenant.mailbox.mail(after=after, wait_s=0)
    assert (mail.number, mail.kind, mail.digest) == (after + 1, "request", request.digest)

    tenant.mailbox.asking(request.digest)
    view = leases.answer(request.digest)
    assert (view.state, view.decision) == ("asked", "")
    assert view.keyholder_seen

    headers = {item: b"new age headers"}
    lease = tenant.lease(request, _asked(request), headers)
    decided = tenant.mailbox.decide(lease, headers, None)
    assert tenant.mailbox.decide(lease, headers, None) == decided
    view = leases.answer(request.digest, wait_s=5)
    assert (view.state, dict(view.headers)) == ("released", headers)
    assert Envelope.from_json(view.decision) == lease
    entry = tenant.entries()[decided.log_index]
    assert entry["kind"] == "lease.released"
    assert entry["refs"]["datasets"] == [next(reversed(tenant.recipients))]
    with pytest.raises(ConflictError):
        tenant.mailbox.decide(_refusal(tenant, request), {}, None)
    with pytest.raises(ConflictError):
        tenant.mailbox.decide(tenant.lease(request, _asked(request), headers), headers, None)


def test_a_refusal_carries_its_reason(tenant: Party) -> None:
    person = tenant.enrol()
    request = person.ask_for(person.seal().digest)
    Leases(person.connection).request(request)
    with pytest.raises(IntegrityError):
        tenant.mailbox.decide(_refusal(tenant, request), {"ab" * 32: b"x"}, None)
    logged = tenant.mailbox.decide(_refusal(tenant, request), {}, None)
    assert Leases(person.connection).answer(request.digest).state == "refused"
    entry = tenant.entries()[logged.log_index]
    assert (entry["kind"], entry["refs"]["reason"]) == ("lease.refused", "no-grant")


def test_a_decision_that_does_not_fit_is_refused_and_changes_nothing(tenant: Party) -> None:
    person = tenant.enrol()
    item = person.seal().digest
    request = person.ask_for(item)
    Leases(person.connection).request(request)
    headers = {item: b"headers"}
    lease = tenant.lease(request, _asked(request), headers)
    before = tenant.entries()
    with pytest.raises(IntegrityError):
        tenant.mailbox.decide(lease, {item: b"other headers"}, None)
    with pytest.raises(IntegrityError):
        tenant.mailbox.decide(tenant.sign(read_unverified(lease, Lease)[0], person.key), headers, None)
    other = person.ask_for(item)
    with pytest.raises(NotFoundError):
        tenant.mailbox.decide(tenant.lease(other, _asked(other), headers), headers, None)
    thief = tenant.enrol()
    with pytest.raises(IntegrityError):
        tenant.mailbox.decide(tenant.lease(request, _asked(thief.ask_for(item)), headers), headers, None)
    assert Leases(person.connection).answer(request.digest).state == "pending"
    assert [entry["kind"] for entry in tenant.entries()[len(before) :]] == ["member.enrolled"]


def test_no_lease_is_taken_for_a_dataset_whose_erasure_is_decided(tenant: Party) -> None:
    person, steward = tenant.enrol(), tenant.enrol(Role.STEWARD)
    item = person.seal().digest
    request = person.ask_for(item)
    Leases(person.connection).request(request)
    dataset = next(reversed(tenant.recipients))
    Datasets(steward.connection).erase(tenant.sign(Erasure(tenant.tenant, dataset, False, format_time(now_utc()))))
    headers = {item: b"headers"}
    with pytest.raises(RefusedError):
        tenant.mailbox.decide(tenant.lease(request, _asked(request), headers), headers, None)
    tenant.mailbox.decide(_refusal(tenant, request), {}, None)


def test_a_request_counts_only_for_the_device_that_holds_the_token(tenant: Party) -> None:
    person, other = tenant.enrol(), tenant.enrol()
    request = person.ask_for(person.seal().digest)
    with pytest.raises(IntegrityError):
        Leases(other.connection).request(request)
    said = _asked(request)
    elsewhere = sign_statement(MemberRequest(**{**said.__dict__, "recipient": "age1other"}), {}, person.key)
    with pytest.raises(RefusedError):
        Leases(person.connection).request(elsewhere)
    with pytest.raises(NotFoundError):
        Leases(person.connection).request(person.ask_for("ab" * 32))
    Leases(person.connection).request(request)
    with pytest.raises(NotFoundError):
        Leases(other.connection).answer(request.digest)


def test_whoever_waits_is_answered_at_the_moment_of_the_news(tenant: Party) -> None:
    person = tenant.enrol()
    request = person.ask_for(person.seal().digest)
    after = tenant.mailbox.mail(after=0, wait_s=0)[-1].number
    with ThreadPoolExecutor(2) as pool:
        mail = pool.submit(lambda: tenant.mailbox.mail(after=after, wait_s=WAIT_S))
        time.sleep(0.3)
        assert not mail.done()
        Leases(person.connection).request(request)
        assert mail.result(SOONER_S)[0].digest == request.digest
        answer = pool.submit(lambda: Leases(person.connection).answer(request.digest, wait_s=WAIT_S))
        tenant.mailbox.decide(_refusal(tenant, request), {}, None)
        assert answer.result(SOONER_S).state == "refused"


def test_news_of_another_process_reaches_those_who_wait(tenant: Party) -> None:
    person = tenant.enrol()
    request = person.ask_for(person.seal().digest)
    Leases(person.connection).request(request)
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(lambda: Leases(person.connection).answer(request.digest, wait_s=WAIT_S))
        time.sleep(0.3)
        tenant.factory.inside.leases.decide(tenant.tenant, _refusal(tenant, request), {}, None)
        assert answer.result(SOONER_S).state == "refused"


def test_hundreds_of_keyholders_wait_without_holding_up_anybody(tenant: Party) -> None:
    waiting = 200
    begun = threading.Barrier(waiting + 1)

    def wait_for_mail() -> int:
        connection = Connection(tenant.factory.url, tenant.token)
        begun.wait()
        try:
            return len(connection.get_list("/v1/keyholder/mail", Mail, wait_s=WAIT_S, after=0))
        finally:
            connection.close()

    with ThreadPoolExecutor(waiting) as pool:
        results = [pool.submit(wait_for_mail) for _ in range(waiting)]
        begun.wait()
        time.sleep(1)
        person = tenant.enrol()  # needs threads of the service while all of them wait
        assert person.token
        assert {one.result(2 * WAIT_S) for one in results} == {1}


def test_a_service_that_stops_answers_everybody_who_waits(own_factory) -> None:
    tenant = own_factory.sign_up()
    with ThreadPoolExecutor(1) as pool:
        begun = time.monotonic()
        mail = pool.submit(lambda: tenant.mailbox.mail(after=0, wait_s=WAIT_S))
        eventually(lambda: any(one.keyholder_seen for one in own_factory.inside.accounts.tenants()))
        assert own_factory.stop() == 0
        assert mail.result(WAIT_S) == []
        assert time.monotonic() - begun < WAIT_S


def test_a_lost_signature_makes_no_request(tenant: Party) -> None:
    person = tenant.enrol()
    said = _asked(person.ask_for(person.seal().digest))
    with pytest.raises(IntegrityError):
        Leases(person.connection).request(sign_statement(said, {}, SigningKey.generate()))


def test_a_lease_that_came_without_headers_is_on_record_and_answers_only_with_them(tenant: Party) -> None:
    person = tenant.enrol()
    item = person.seal().digest
    request = person.ask_for(item)
    leases = Leases(person.connection)
    leases.request(request)
    headers = {item: b"new age headers"}
    lease = tenant.lease(request, _asked(request), headers)
    logged = tenant.mailbox.decide(lease, {}, None)
    assert tenant.entries()[logged.log_index]["kind"] == "lease.released"
    view = leases.answer(request.digest)
    assert (view.state, view.decision, dict(view.headers)) == ("pending", "", {})
    with pytest.raises(IntegrityError):
        tenant.mailbox.decide(lease, {item: b"other headers"}, None)
    with pytest.raises(ConflictError):
        tenant.mailbox.decide(_refusal(tenant, request), {}, None)
    assert tenant.mailbox.decide(lease, headers, None) == logged
    assert tenant.mailbox.decide(lease, headers, None) == logged
    view = leases.answer(request.digest)
    assert (view.state, dict(view.headers)) == ("released", headers)


def test_keys_of_erased_results_that_a_member_has_not_fetched_yet_are_not_given_out(tenant: Party) -> None:
    person, steward, run = tenant.enrol(), tenant.enrol(Role.STEWARD), new_id(Kind.RUN)
    dataset = tenant.new_dataset()
    result = person.seal(dataset)
    request = person.ask_for(result.digest, run=run)
    Leases(person.connection).request(request)
    asked = _asked(request)
    tenant.mailbox.decide(
        tenant.lease(request, asked, {result.digest: b"header"}), {result.digest: b"header"}, None
    )
    assert Leases(person.connection).answer(request.digest).headers
    erasure = tenant.sign(Erasure(tenant.tenant, dataset, True, format_time(now_utc())))
    Datasets(steward.connection).erase(erasure)
    runs = (KeyedRun(run, ended=True, erased=True),)
    said = ErasureCertificate(
        tenant.tenant, dataset, erasure.digest, (), (), (), (), "", True, format_time(now_utc()), runs
    )
    tenant.mailbox.certify(tenant.sign(said, tenant.keyholder_key))
    assert not Leases(person.connection).answer(request.digest).headers
