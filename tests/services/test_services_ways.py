"""Ways past the service: who gets one, and what can be done with it and what cannot."""

import hashlib
import io
import os
import re
import threading
import time

import pytest
import urllib3
from sqlalchemy import update

from holding import held
from kifabrik.client.datasets import Datasets
from kifabrik.client.direct import Direct
from kifabrik.client.objects import Objects
from kifabrik.datasets.manifest import BodyRef
from kifabrik.errors import CapacityError, IntegrityError, NotFoundError, RefusedError, UnavailableError
from kifabrik.factory.records import Why
from kifabrik.grants.statements import Erasure, ErasureCertificate
from kifabrik.stores.sql.schema.objects import objects
from kifabrik.tenants.statements import Role
from kifabrik.values import format_time, now_utc
from kifabrik.wire.datasets import WayView
from kifabrik.wiring.factory import init_home
from parties import FactoryProcess

pytestmark = pytest.mark.timeout(400)  # a Ceph takes its time to start where others are busy
BODY = os.urandom(300_000)
DIGEST = hashlib.sha256(BODY).hexdigest()


@pytest.fixture(scope="module")
def bucket(ceph):
    return ceph.bucket()


@pytest.fixture(scope="module")
def factory(ceph, bucket, tmp_path_factory):
    """A factory whose objects lie in a bucket."""
    running = on_bucket(ceph, bucket, tmp_path_factory.mktemp("ways") / "factory")
    yield running
    running.inside.objects.files.close()
    running.close()


def on_bucket(ceph, bucket, home, more=""):
    init_home(home, port=0)
    settings = home / "factory.toml"
    said = (
        f'url = "s3://{bucket}/f"\nendpoint = "{ceph.endpoint}"\ncredentials = "{ceph.credentials_file()}"\n{more}'
    )
    text = re.sub(r"(?m)^quota = .*", 'quota = "20MB"', settings.read_text())
    settings.write_text(f"{text}\n[objects]\n{said}")
    return FactoryProcess(home)


@pytest.fixture
def anna(factory):
    return factory.sign_up().enrol()


@pytest.fixture
def http():
    with urllib3.PoolManager(retries=False) as pool:
        yield pool


def way_in(person, digest=DIGEST, size=300_000):
    return person.connection.post(f"/v1/uploads/{digest}/way", None, WayView, size=size)


def way_out(person, digest=DIGEST):
    return person.connection.post(f"/v1/objects/{digest}/way", None, WayView)


def arrived(person, digest=DIGEST):
    person.connection.send(f"/v1/uploads/{digest}/arrived")


def put(http, way, body=BODY, url="", **headers):
    return http.request("PUT", url or way.url, body=body, headers={**way.headers, **headers}).status


def upload(person, body=BODY):
    direct = Objects(person.connection, Direct(person.connection))
    direct.upload(io.BytesIO(body), hashlib.sha256(body).hexdigest(), len(body))
    return hashlib.sha256(body).hexdigest()


def keys(ceph, bucket, person):
    listed = ceph.client.list_objects_v2(Bucket=bucket, Prefix=f"f/{person.party.tenant}/")
    return [one["Key"].rpartition("/")[2] for one in listed.get("Contents", ())]


def moved(factory):
    """Number of requests that moved objects through the service; its log has them a moment after their answer."""
    log = (factory.home / "service.log").read_text()
    return len(re.findall(r"(?:PATCH /v1/uploads|GET /v1/objects)", log))


def moved_more(factory, before):
    """How many there are once there are more than before."""
    until = time.monotonic() + 90
    while (now := moved(factory)) <= before:
        assert time.monotonic() < until, "no request is in the log"
        time.sleep(0.05)
    return now


def test_objects_go_there_and_back_without_the_service(ceph, bucket, factory, anna):
    before = moved(factory)
    assert upload(anna) == DIGEST
    assert keys(ceph, bucket, anna) == [DIGEST]
    store = Objects(anna.connection, Direct(anna.connection))
    assert b"".join(store.pieces(DIGEST)) == BODY
    assert b"".join(store.pieces(DIGEST, 1000)) == BODY[1000:]
    assert store.read(DIGEST, 10, 20) == BODY[10:30]
    assert b"".join(Objects(anna.connection).pieces(DIGEST)) == BODY  # and through it, after all others
    assert moved_more(factory, before) == before + 1


def test_nothing_is_there_before_it_has_arrived_and_was_seen(http, anna):
    way = way_in(anna)
    with pytest.raises(NotFoundError, match="no such upload"):
        arrived(anna)
    assert put(http, way) == 200
    assert DIGEST in Objects(anna.connection).missing([DIGEST])
    with pytest.raises(NotFoundError):
        way_out(anna)
    arrived(anna)
    arrived(anna)
    assert not Objects(anna.connection).missing([DIGEST])
    assert way_in(anna).url == ""


def test_what_was_never_asked_for_does_not_arrive(anna):
    with pytest.raises(NotFoundError, match="no such upload"):
        arrived(anna)


def test_other_bytes_than_the_digest_names_are_refused_by_the_store(ceph, bucket, http, anna):
    way, other = way_in(anna), os.urandom(len(BODY))
    unsigned = {"x-amz-content-sha256": "UNSIGNED-PAYLOAD"}
    renamed = {"x-amz-content-sha256": hashlib.sha256(other).hexdigest()}
    assert put(http, way, other) == 400
    assert put(http, way, other, **unsigned) == 403
    assert put(http, way, other, **renamed) == 403
    assert put(http, way, BODY + b"more", **{"content-length": str(len(BODY) + 4)}) >= 400
    assert keys(ceph, bucket, anna) == []


def test_another_tenants_object_cannot_be_reached_by_a_way_of_ones_own(ceph, bucket, factory, http, anna):
    boris, secret = factory.sign_up().enrol(), os.urandom(200_000)
    theirs = upload(boris, secret)
    upload(anna)
    with pytest.raises(NotFoundError):
        way_out(anna, theirs)
    out, into = way_out(anna), way_in(anna, hashlib.sha256(b"x" * 70_000).hexdigest(), 70_000)
    at = f"{boris.party.tenant}/{theirs[:2]}/{theirs}"
    moved_url = re.sub(r"/f/t-[^?]+", f"/f/{at}", out.url)
    assert moved_url != out.url
    assert http.request("GET", moved_url).status == 403
    assert put(http, into, b"x" * 70_000, url=re.sub(r"/f/t-[^?]+", f"/f/{at}", into.url)) == 403
    copy = {"x-amz-copy-source": f"/{bucket}/f/{at}"}
    assert put(http, into, b"x" * 70_000, **copy) >= 400
    assert put(http, into, b"", **copy, **{"content-length": "0"}) >= 400
    assert keys(ceph, bucket, anna) == [DIGEST]
    # Asking for a way to what another has leads to a key of one's own, and tells nothing of theirs.
    assert f"/f/{anna.party.tenant}/" in way_in(anna, theirs, len(secret)).url
    assert b"".join(Objects(boris.connection).pieces(theirs)) == secret


def longer(url):
    """A way somebody would like to keep."""
    return re.sub(r"X-Amz-Expires=\d+", "X-Amz-Expires=86400", url)


def test_a_way_is_good_for_one_thing(http, anna):
    upload(anna)
    out, into = way_out(anna), way_in(anna, hashlib.sha256(b"y" * 70_000).hexdigest(), 70_000)
    assert http.request("GET", out.url).data == BODY
    assert http.request("DELETE", out.url).status == 403
    assert http.request("PUT", out.url, body=b"other").status == 403
    for method in ("GET", "DELETE", "POST"):
        assert http.request(method, into.url, body=b"y" * 70_000, headers=dict(into.headers)).status >= 400
    assert http.request("GET", longer(out.url)).status == 403
    assert put(http, into, b"y" * 70_000, url=longer(into.url)) == 403
    assert 0 < into.lasts_s <= out.lasts_s <= 300
    listing = out.url.split("/f/", maxsplit=1)[0] + "?" + out.url.partition("?")[2]
    assert http.request("GET", listing).status == 403


def test_small_and_empty_objects_have_no_way(anna):
    for body in (b"", b"x" * 65_536):
        assert way_in(anna, hashlib.sha256(body).hexdigest(), len(body)).url == ""


def test_an_empty_object_told_to_be_a_copy_is_why_small_ones_have_none(ceph, bucket, factory, http, anna):
    """If this fails, the gateway has learnt better, and the rule may go."""
    theirs = upload(factory.sign_up().enrol(), os.urandom(100_000))
    (source,) = [k for k in ceph.client.list_objects_v2(Bucket=bucket)["Contents"] if k["Key"].endswith(theirs)]
    digest = hashlib.sha256(b"").hexdigest()
    url, headers = factory.inside.objects.files.lines.bound_put(f"f/trial/{digest}", digest, 0, 60, outside=True)
    copy = {"x-amz-copy-source": f"/{bucket}/{source['Key']}"}
    assert http.request("PUT", url, body=b"", headers={**headers, **copy}).status == 200
    assert ceph.client.head_object(Bucket=bucket, Key=f"f/trial/{digest}")["ContentLength"] == 100_000
    ceph.client.delete_object(Bucket=bucket, Key=f"f/trial/{digest}")


def test_who_may_not_upload_gets_no_way_in(anna):
    auditor = anna.party.enrol(Role.AUDITOR)
    with pytest.raises(RefusedError):
        way_in(auditor)
    with pytest.raises(RefusedError):
        arrived(auditor)
    upload(anna)
    assert way_out(auditor).url


def test_the_quota_counts_what_was_only_asked_for(anna):
    for number in range(4):
        way_in(anna, f"{number:064}", 5_000_000)
    with pytest.raises(CapacityError, match="quota"):
        way_in(anna, f"{9:064}", 5_000_000)


def test_what_is_deleted_right_after_it_came_is_deleted_once_nobody_can_bring_it_again(ceph, bucket, factory, anna):
    way = way_in(anna)
    upload(anna)
    inside = factory.inside
    with inside.store.write(anna.party.tenant) as transaction:
        inside.deletions.begin(transaction, anna.party.tenant, [DIGEST], Why.ERASED)
    with pytest.raises(NotFoundError):
        way_out(anna)
    with pytest.raises(UnavailableError, match="being deleted"):
        way_in(anna)
    assert way.lasts_s > 0
    assert keys(ceph, bucket, anna) == [DIGEST]
    with inside.store.read() as transaction:
        assert transaction.objects.deletions(anna.party.tenant) == 1


def test_a_line_that_breaks_in_the_middle_is_tried_again_and_then_goes_through_the_service(factory, anna):
    class Breaking(io.BytesIO):
        """A source that fails to go on, twice, in the middle of what is sent directly."""

        left = 2

        def read(self, size=-1):
            if self.tell() > 200_000 and size == 256 * 2**10 and self.left:
                self.left -= 1
                raise ConnectionResetError("the line broke")
            return super().read(size)

    body, sent, before = os.urandom(3_000_000), [], moved(factory)
    digest = hashlib.sha256(body).hexdigest()
    Objects(anna.connection, Direct(anna.connection)).upload(Breaking(body), digest, len(body), sent.append)
    assert sum(sent) == len(body)
    assert min(sent) > 0
    assert moved_more(factory, before) > before
    assert b"".join(Objects(anna.connection).pieces(digest)) == body


def test_a_source_that_is_not_what_its_digest_says_is_refused_at_once(anna):
    with pytest.raises(IntegrityError, match="is not object"):
        Objects(anna.connection, Direct(anna.connection)).upload(io.BytesIO(BODY[::-1]), DIGEST, len(BODY))


def test_the_gateway_away_is_told_in_a_sentence_and_the_upload_goes_on_when_it_is_back(ceph, factory, anna):
    upload(anna)
    ceph.kill_gateway()
    back = threading.Timer(2.0, ceph.start_gateway)
    try:
        with pytest.raises(UnavailableError, match="the factory's object store cannot be reached"):
            anna.connection.get_bytes(f"/v1/objects/{DIGEST}")
    finally:
        back.start()
    body = os.urandom(500_000)
    assert b"".join(Objects(anna.connection, patience_s=60).pieces(DIGEST)) == BODY
    store = Objects(anna.connection, Direct(anna.connection), patience_s=60)
    store.upload(io.BytesIO(body), hashlib.sha256(body).hexdigest(), len(body))
    back.join()
    assert b"".join(store.pieces(hashlib.sha256(body).hexdigest())) == body


@pytest.mark.parametrize(("who", "given"), [("all", True), ("nodes", False), ("none", False)])
def test_members_have_ways_only_where_the_operator_says_so(ceph, tmp_path, who, given):
    factory = on_bucket(ceph, ceph.bucket(), tmp_path / "factory", f'direct = "{who}"\n')
    try:
        person = factory.sign_up().enrol()
        way = way_in(person)
        assert (way.direct, bool(way.url)) == (given, given)
        assert upload(person) == DIGEST
    finally:
        factory.inside.objects.files.close()
        factory.close()


def erased(person, body=BODY):
    """Somebody else sends the same object, a dataset is made of it, and is erased."""
    party = person.party
    other, steward, dataset = party.enrol(), party.enrol(Role.STEWARD), party.new_dataset()
    bodies = [*other.upload(b"h", b"c"), BodyRef(upload(other, body), len(body))]
    Datasets(other.connection).register(other.manifest(dataset, bodies), None)
    with party.factory.inside.store.engine.begin() as sql:  # as if it had come hours ago: nobody has a way any more
        sql.execute(update(objects).values(created="2026-01-01T00:00:00Z"))
    now = format_time(now_utc())
    decided = party.sign(Erasure(party.tenant, dataset, derived=False, created=now))
    Datasets(steward.connection).erase(decided)
    said = ErasureCertificate(
        party.tenant, dataset, decided.digest, (), (), (), (), "", complete=True, destroyed=now
    )
    party.mailbox.certify(party.sign(said, party.keyholder_key))
    assert Datasets(steward.connection).erasure(dataset, wait_s=10).state == "done"


def gone(ceph, bucket, person):
    until = time.monotonic() + 60
    while keys(ceph, bucket, person):
        assert time.monotonic() < until, "it is still there"
        time.sleep(0.2)
    return True


@pytest.mark.parametrize("then", ["said to have arrived", "service killed"])
def test_a_put_held_open_across_an_erasure_leaves_nothing(ceph, bucket, factory, then):
    anna = factory.sign_up().enrol()
    way = way_in(anna)
    with held("PUT", way.url, way.headers, BODY) as sending:
        erased(anna)
        assert keys(ceph, bucket, anna) == []
        if then == "service killed":
            factory.kill()
        status, said = sending.finish()
    assert status == 200, said
    assert keys(ceph, bucket, anna) == [DIGEST]
    (found,) = [one.what for one in factory.inside.check.run() if one.tenant == anna.party.tenant]
    assert "came again after it was deleted (erased)" in found
    if then == "service killed":
        factory.start()
    else:
        with pytest.raises(NotFoundError):
            arrived(anna)
    assert gone(ceph, bucket, anna)
    assert not [one for one in factory.inside.check.run() if one.tenant == anna.party.tenant]
