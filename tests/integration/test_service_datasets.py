"""Objects, versions, grants and erasure through the running service."""

import hashlib
import io
import secrets
import time
from collections.abc import Callable

import pytest

from holding import held
from kifabrik.client.datasets import Datasets
from kifabrik.client.objects import Objects
from kifabrik.errors import ConflictError, IntegrityError, NotFoundError, RefusedError, UsageError
from kifabrik.grants.statements import Derived, Erasure, ErasureCertificate, Grant, Revocation
from kifabrik.signatures.dsse import Envelope
from kifabrik.signatures.statements import read_unverified
from kifabrik.tenants.statements import Role
from kifabrik.values import Kind, Place, format_time, new_id, now_utc
from kifabrik.wire.body import Detail
from parties import FactoryProcess, Party, Person


def _grant(tenant: Party, dataset: str) -> Envelope:
    now = format_time(now_utc())
    return tenant.sign(
        Grant(new_id(Kind.GRANT), tenant.tenant, dataset, "press", (), Place(), None, 0, False, False, now, now)
    )


def _erasure(tenant: Party, dataset: str) -> Envelope:
    return tenant.sign(Erasure(tenant.tenant, dataset, False, format_time(now_utc())))


def _certificate(
    tenant: Party, dataset: str, erasure: Envelope, *, complete: bool = True, **more: object
) -> Envelope:
    values = {"manifests": (), "releases": (), "derived": (), "backups": (), "recovery": ""} | more
    return tenant.sign(
        ErasureCertificate(
            tenant=tenant.tenant,
            dataset=dataset,
            erasure=erasure.digest,
            complete=complete,
            destroyed=format_time(now_utc()),
            **values,
        ),
        tenant.keyholder_key,
    )


def _files(factory: FactoryProcess, tenant: Party) -> set[str]:
    return {file.name for file in (factory.home / "objects" / tenant.tenant).rglob("*") if file.is_file()}


def test_an_object_comes_back_as_it_was_and_from_any_offset(tenant: Party) -> None:
    person, data = tenant.enrol(), secrets.token_bytes(3_000_000)
    objects = Objects(person.connection)
    digest = objects.upload_bytes(data)
    assert objects.fetch(digest, len(data)) == data
    assert b"".join(objects.pieces(digest, 1_234_567)) == data[1_234_567:]
    assert objects.read(digest, 1_234_567, 890) == data[1_234_567 : 1_234_567 + 890]
    assert objects.read(digest, 0, 1) == data[:1]
    assert objects.read(digest, 2_999_990, 100) == data[2_999_990:]
    assert objects.missing([digest, "0" * 64]) == {"0" * 64}


def test_an_empty_object_is_an_object(tenant: Party) -> None:
    objects = Objects(tenant.enrol().connection)
    assert objects.upload_bytes(b"") == hashlib.sha256(b"").hexdigest()
    assert objects.fetch(hashlib.sha256(b"").hexdigest(), 10) == b""


def test_small_objects_are_taken_together_and_again(tenant: Party) -> None:
    objects = Objects(tenant.enrol().connection)
    bodies = [b"", b"a", b"b" * 60_000, b"a"]
    for _ in range(2):
        objects.upload_small(bodies)
        for data in bodies:
            assert objects.fetch(hashlib.sha256(data).hexdigest(), 60_000) == data


def test_a_small_object_that_others_began_piece_by_piece_is_finished_that_way(tenant: Party) -> None:
    person, data = tenant.enrol(), b"0123456789"
    digest = hashlib.sha256(data).hexdigest()
    person.connection.patch(f"/v1/uploads/{digest}", data[:4], {"upload-offset": "0"}, size=10)
    objects = Objects(person.connection)
    objects.upload_small([b"beside it", data])
    assert objects.fetch(digest, 10) == data
    assert not objects.missing([hashlib.sha256(b"beside it").hexdigest()])


def test_an_upload_goes_on_where_it_stopped_after_the_service_was_killed(own_factory: FactoryProcess) -> None:
    tenant = own_factory.sign_up()
    data = secrets.token_bytes(1_000_000)
    digest = hashlib.sha256(data).hexdigest()
    person = tenant.enrol()
    person.connection.patch(f"/v1/uploads/{digest}", data[:400_000], {"upload-offset": "0"}, size=len(data))
    own_factory.kill()
    assert not list((own_factory.home / "objects").rglob(digest))
    own_factory.start()
    sent: list[int] = []
    objects = Objects(own_factory.connect(person.token))
    objects.upload(io.BytesIO(data), digest, len(data), sent.append)
    assert sent == [400_000, 600_000]
    assert objects.fetch(digest, len(data)) == data


def test_bytes_for_another_offset_are_not_taken_and_the_answer_says_where_to_go_on(tenant: Party) -> None:
    person, data = tenant.enrol(), secrets.token_bytes(1000)
    path = f"/v1/uploads/{hashlib.sha256(data).hexdigest()}"
    for offset, piece, stands in (
        (500, data[500:], 0),
        (0, data[:300], 300),
        (0, data[:400], 300),
        (300, data[300:], 1000),
    ):
        answer = person.connection.patch(path, piece, {"upload-offset": str(offset)}, size=1000)
        assert int(answer["upload-offset"]) == stands
    assert int(person.connection.patch(path, data[:10], {"upload-offset": "0"}, size=1000)["upload-offset"]) == 1000
    with pytest.raises(UsageError):
        person.connection.patch(f"/v1/uploads/{'1' * 64}", data, {"upload-offset": "1"}, size=1000)


def test_bytes_that_are_not_what_their_digest_names_never_become_an_object(tenant: Party) -> None:
    person, digest = tenant.enrol(), "ab" * 32
    with pytest.raises(IntegrityError):
        Objects(person.connection).upload(io.BytesIO(b"something else"), digest, 14)
    with pytest.raises(NotFoundError):
        Objects(person.connection).fetch(digest, 100)
    assert person.connection.head(f"/v1/uploads/{digest}") is None


def test_a_version_is_registered_once_and_stands_in_the_log(tenant: Party) -> None:
    person, dataset = tenant.enrol(), tenant.new_dataset()
    datasets = Datasets(person.connection)
    manifest = person.manifest(dataset, person.upload(b"h", b"c", b"s1", b"s2"))
    detail = Detail(sha256=hashlib.sha256(b"name").hexdigest(), sealed=b"sealed name")
    logged = datasets.register(manifest, detail)
    assert datasets.register(manifest, detail) == logged
    entry = tenant.entries()[logged.log_index]
    assert (entry["kind"], entry["detail"]) == ("dataset.sealed", detail.sha256)
    assert entry["refs"] == {
        "dataset": dataset,
        "version": 1,
        "manifest": manifest.digest,
        "member": person.member,
    }
    assert tenant.log.detail(detail.sha256) == b"sealed name"
    (version,) = datasets.versions()
    assert (version.owner, version.version, version.shards, version.size) == (dataset, 1, 2, 6)
    assert datasets.statement(manifest.digest) == manifest


def test_of_two_clients_that_seal_the_same_version_one_wins_and_the_other_hears_it(tenant: Party) -> None:
    one, other, dataset = tenant.enrol(), tenant.enrol(), tenant.new_dataset()
    first = one.manifest(dataset, one.upload(b"h1", b"c1", b"s"))
    Datasets(one.connection).register(first, None)
    late = other.manifest(dataset, other.upload(b"h2", b"c2", b"s"))
    with pytest.raises(ConflictError, match="version 1"):
        Datasets(other.connection).register(late, None)
    after = other.manifest(dataset, other.upload(b"h2", b"c2", b"s"), first, 2)
    Datasets(other.connection).register(after, None)
    fork = one.manifest(dataset, one.upload(b"h3", b"c3"), first, 3)
    with pytest.raises(IntegrityError):
        Datasets(one.connection).register(fork, None)


def _not_uploaded(person: Person, dataset: str) -> Envelope:
    refs = person.upload(b"h", b"c")
    return person.manifest(dataset, [refs[0], type(refs[1])("ab" * 32, 5)])


def _wrong_size(person: Person, dataset: str) -> Envelope:
    refs = person.upload(b"h", b"c")
    return person.manifest(dataset, [refs[0], type(refs[1])(refs[1].sha256, 5)])


def _other_signer(person: Person, dataset: str) -> Envelope:
    other = person.party.enrol()
    return other.manifest(dataset, person.upload(b"h", b"c"))


def _own_recipient(person: Person, dataset: str) -> Envelope:
    person.party.recipients[dataset] = person.identity.recipient.text
    return person.manifest(dataset, person.upload(b"h", b"c"))


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (_not_uploaded, ConflictError),
        (_wrong_size, IntegrityError),
        (_other_signer, IntegrityError),
        (_own_recipient, IntegrityError),
    ],
)
def test_a_version_that_does_not_hold_is_refused(
    tenant: Party, make: Callable[[Person, str], Envelope], error: type[Exception]
) -> None:
    person, dataset = tenant.enrol(), tenant.new_dataset()
    before = len(tenant.entries())
    with pytest.raises(error):
        Datasets(person.connection).register(make(person, dataset), None)
    assert Datasets(person.connection).versions() == []
    assert [entry["kind"] for entry in tenant.entries()[before:]] in ([], ["member.enrolled"])


def test_grants_and_revocations_are_checked_at_the_door(tenant: Party) -> None:
    person, steward = tenant.enrol(), tenant.enrol(Role.STEWARD)
    dataset = _dataset(person)
    datasets = Datasets(steward.connection)
    grant = _grant(tenant, dataset)
    logged = datasets.grant(grant, None)
    assert datasets.grant(grant, None) == logged
    said = read_unverified(grant, Grant)[0]
    with pytest.raises(ConflictError):
        datasets.grant(tenant.sign(Grant(**{**said.__dict__, "purpose": "other"})), None)
    with pytest.raises(IntegrityError):
        datasets.grant(tenant.sign(said, steward.key), None)
    with pytest.raises(NotFoundError):
        datasets.grant(_grant(tenant, new_id(Kind.DATASET)), None)
    revocation = tenant.sign(Revocation(tenant.tenant, said.grant, format_time(now_utc())))
    revoked = datasets.revoke(revocation)
    assert datasets.revoke(revocation) == revoked
    with pytest.raises(NotFoundError):
        datasets.revoke(tenant.sign(Revocation(tenant.tenant, new_id(Kind.GRANT), format_time(now_utc()))))
    with pytest.raises(RefusedError):
        Datasets(person.connection).grant(_grant(tenant, dataset), None)
    kinds = [entry["kind"] for entry in tenant.entries()]
    assert kinds[logged.log_index] == "grant.given"
    assert kinds[revoked.log_index] == "grant.revoked"


def test_erasing_deletes_the_objects_that_nothing_else_needs(tenant: Party, factory: FactoryProcess) -> None:
    person, steward = tenant.enrol(), tenant.enrol(Role.STEWARD)
    doomed, kept = tenant.new_dataset(), tenant.new_dataset()
    datasets = Datasets(steward.connection)
    first = person.manifest(doomed, person.upload(b"h1", b"c1", b"shared", b"own"))
    datasets_of_person = Datasets(person.connection)
    datasets_of_person.register(first, None)
    datasets_of_person.register(person.manifest(kept, person.upload(b"h2", b"c2", b"shared")), None)
    erasure = _erasure(tenant, doomed)
    decided = datasets.erase(erasure)
    assert datasets.erase(erasure) == decided
    assert datasets.erasure(doomed).state == "decided"
    with pytest.raises(ConflictError):
        datasets.erase(tenant.sign(Erasure(tenant.tenant, doomed, False, "2026-11-23T08:00:00Z")))
    with pytest.raises(RefusedError):
        datasets_of_person.register(person.manifest(doomed, person.upload(b"h3", b"c3"), first, 2), None)
    with pytest.raises(RefusedError):
        datasets.grant(_grant(tenant, doomed), None)
    assert len(_files(factory, tenant)) == 6  # those of the refused version are gone already

    certificate = _certificate(tenant, doomed, erasure)
    tenant.mailbox.certify(certificate)
    view = datasets.erasure(doomed, wait_s=5)
    assert (view.state, view.objects_deleted) == ("done", 3)
    assert Envelope.from_json(view.certificate) == certificate
    gone = {hashlib.sha256(body).hexdigest() for body in (b"h1", b"c1", b"own")}
    assert not gone & _files(factory, tenant)
    assert Objects(person.connection).missing(gone) == gone
    assert Objects(person.connection).fetch(hashlib.sha256(b"shared").hexdigest(), 10) == b"shared"
    assert {one.owner: one.erased for one in datasets.versions()} == {doomed: True, kept: False}
    assert [entry["kind"] for entry in tenant.entries()][-1] == "dataset.erased"
    assert person.upload(b"own")[0].sha256 in _files(factory, tenant)


def test_an_erasure_may_ask_for_the_results_as_well_later_on(tenant: Party) -> None:
    person, steward = tenant.enrol(), tenant.enrol(Role.OWNER)
    dataset, datasets = _dataset(person), Datasets(steward.connection)
    datasets.erase(_erasure(tenant, dataset))
    more = tenant.sign(Erasure(tenant.tenant, dataset, True, format_time(now_utc())))
    datasets.erase(more)
    assert [entry["kind"] for entry in tenant.entries()].count("erasure.decided") == 2
    with pytest.raises(ConflictError):
        datasets.erase(tenant.sign(Erasure(tenant.tenant, dataset, True, "2026-11-23T08:00:00Z")))
    tenant.mailbox.certify(_certificate(tenant, dataset, more))
    assert datasets.erasure(dataset, wait_s=5).state == "done"


def test_a_certificate_counts_only_if_it_is_the_keyholders_and_about_the_decision(tenant: Party) -> None:
    person, steward = tenant.enrol(), tenant.enrol(Role.OWNER)
    dataset = _dataset(person)
    erasure = _erasure(tenant, dataset)
    with pytest.raises(NotFoundError):
        tenant.mailbox.certify(_certificate(tenant, dataset, erasure))
    Datasets(steward.connection).erase(erasure)
    said = read_unverified(_certificate(tenant, dataset, erasure), ErasureCertificate)[0]
    with pytest.raises(IntegrityError):
        tenant.mailbox.certify(tenant.sign(said))
    with pytest.raises(IntegrityError):
        tenant.mailbox.certify(_certificate(tenant, dataset, _erasure(tenant, new_id(Kind.DATASET))))
    assert Datasets(steward.connection).erasure(dataset).state == "decided"


def test_an_erasure_with_backups_left_is_completed_by_a_second_certificate(tenant: Party) -> None:
    person, steward = tenant.enrol(), tenant.enrol(Role.STEWARD)
    dataset = _dataset(person)
    derived = person.seal()
    erasure = _erasure(tenant, dataset)
    Datasets(steward.connection).erase(erasure)
    named = (Derived("r-aaaaaaaaaaaaaaaa/1", derived.digest, True),)
    tenant.mailbox.certify(_certificate(tenant, dataset, erasure, complete=False, derived=named))
    assert Datasets(steward.connection).erasure(dataset).state == "pending-backups"
    assert all(one.erased for one in Datasets(person.connection).versions())
    tenant.mailbox.certify(_certificate(tenant, dataset, erasure, derived=named))
    assert Datasets(steward.connection).erasure(dataset).state == "done"
    with pytest.raises(ConflictError):
        tenant.mailbox.certify(_certificate(tenant, dataset, erasure))


def test_what_a_run_with_keys_puts_out_later_is_certified_and_deleted_although_the_erasure_was_complete(
    tenant: Party,
) -> None:
    person, steward = tenant.enrol(), tenant.enrol(Role.STEWARD)
    dataset, datasets = _dataset(person), Datasets(steward.connection)
    erasure = _erasure(tenant, dataset)
    datasets.erase(erasure)
    tenant.mailbox.certify(_certificate(tenant, dataset, erasure))
    first = datasets.erasure(dataset, wait_s=5)
    assert first.state == "done"
    known = Envelope.from_json(first.certificate).digest
    assert datasets.erasure(dataset, after=known).certificate == first.certificate
    late = person.seal()
    named = (Derived("r-aaaaaaaaaaaaaaaa/1", late.digest, True),)
    tenant.mailbox.certify(_certificate(tenant, dataset, erasure, derived=named))
    second = datasets.erasure(dataset, after=known, wait_s=5)
    said = read_unverified(Envelope.from_json(second.certificate), ErasureCertificate)[0]
    assert said.derived == named
    assert all(one.erased for one in Datasets(person.connection).versions())


def _dataset(person: Person) -> str:
    person.seal()
    return next(reversed(person.party.recipients))


def _erased(tenant: Party, steward: Person, dataset: str) -> None:
    erasure = _erasure(tenant, dataset)
    Datasets(steward.connection).erase(erasure)
    tenant.mailbox.certify(_certificate(tenant, dataset, erasure))
    assert Datasets(steward.connection).erasure(dataset, wait_s=5).state == "done"


def test_an_upload_held_open_across_an_erasure_leaves_nothing(tenant: Party, factory: FactoryProcess) -> None:
    person, steward, dataset = tenant.enrol(), tenant.enrol(Role.STEWARD), tenant.new_dataset()
    body = secrets.token_bytes(200_000)
    digest = hashlib.sha256(body).hexdigest()
    headers = {"authorization": f"Bearer {person.token}", "upload-offset": "0"}
    with held("PATCH", f"{factory.url}/v1/uploads/{digest}?size={len(body)}", headers, body) as upload:
        Datasets(person.connection).register(person.manifest(dataset, person.upload(b"h", b"c", body)), None)
        time.sleep(1.1)  # times are noted to the second: one must pass for the deletion to lie after the beginning
        _erased(tenant, steward, dataset)
        assert digest not in _files(factory, tenant)
        time.sleep(1.1)
        status, said = upload.finish()
    assert status == 409, said
    assert b"was deleted while it was sent" in said
    assert digest not in _files(factory, tenant)
    assert not [one for one in factory.inside.check.run() if one.tenant == tenant.tenant]
    assert person.upload(body)[0].sha256 == digest  # begun afterwards, it is an upload as any other


def test_what_was_sent_for_an_erased_dataset_goes_when_its_version_is_refused(
    tenant: Party, factory: FactoryProcess
) -> None:
    person, steward, dataset = tenant.enrol(), tenant.enrol(Role.STEWARD), _dataset(tenant.enrol())
    kept = person.upload(b"h", b"c", b"of another, registered")
    Datasets(person.connection).register(person.manifest(tenant.new_dataset(), kept), None)
    late = person.manifest(dataset, [*kept[:2], *person.upload(b"too late"), kept[2]])
    _erased(tenant, steward, dataset)
    with pytest.raises(RefusedError, match="is erased"):
        Datasets(person.connection).register(late, None)
    assert hashlib.sha256(b"too late").hexdigest() not in _files(factory, tenant)
    assert {one.sha256 for one in kept} <= _files(factory, tenant)
