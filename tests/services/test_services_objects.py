"""Objects in a folder and in a real bucket: one contract, and what only a bucket can do wrong."""

import hashlib
import os
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from kifabrik.errors import IntegrityError, NotFoundError, UnavailableError, UsageError
from kifabrik.stores.folder import FolderObjects
from kifabrik.values import now_utc

pytestmark = pytest.mark.timeout(400)  # a Ceph takes its time to start where others are busy
TENANT = "t-aaaaaaaaaaaaaaaa"


@pytest.fixture
def opened(ceph):
    """Open buckets that are closed afterwards."""
    from kifabrik.stores.s3.objects import S3Objects

    made = []

    def open_(bucket, prefix="factory", place=None, **more):
        made.append(S3Objects(place or ceph.place(bucket, prefix), **more))
        return made[-1]

    yield open_
    for one in made:
        one.close()


@pytest.fixture(params=["folder", "bucket", "versioned bucket", "bucket, in parts"])
def files(request, tmp_path, ceph, opened):
    if request.param == "folder":
        return FolderObjects(tmp_path / "objects")
    bucket = ceph.bucket()
    if request.param.startswith("versioned"):
        ceph.client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    parts = {"whole": 2**20, "part": 5 * 2**20} if "parts" in request.param else {}
    return opened(bucket, **parts)


def stored(files, tmp_path, body):
    """Store a body; return its key."""
    digest = hashlib.sha256(body).hexdigest()
    key, file = f"{TENANT}/{digest[:2]}/{digest}", tmp_path / "incoming"
    file.write_bytes(body)
    files.adopt(file, key)
    assert not file.exists()
    return key


def everything_of(client, bucket):
    said = client.list_object_versions(Bucket=bucket)
    return [*said.get("Versions", ()), *said.get("DeleteMarkers", ())]


# --- the contract ---


def test_an_adopted_object_is_read_from_any_offset_listed_and_deleted(files, tmp_path):
    large = os.urandom(11_000_000)
    key = stored(files, tmp_path, large)
    assert files.size(key) == len(large)
    assert b"".join(files.read(key)) == large
    assert b"".join(files.read(key, 5_000_000)) == large[5_000_000:]
    assert b"".join(files.read(key, 10, 20)) == large[10:20]
    for start in (10_999_990, 99_000_000):
        with pytest.raises(IntegrityError, match="11000000 bytes are left"):
            files.read(key, start, 99_000_001)
    assert b"".join(files.read(key, len(large))) == b""
    assert list(files.keys()) == [(key, len(large))]
    empty = stored(files, tmp_path, b"")
    assert (files.size(empty), list(files.read(empty))) == (0, [])
    for one in (key, empty, key):
        files.delete(one)
    assert files.size(key) is None
    assert list(files.keys()) == []
    with pytest.raises(NotFoundError):
        files.read(key)


def test_an_object_stored_again_is_the_same_object(files, tmp_path):
    key = stored(files, tmp_path, b"body" * 500_000)
    assert stored(files, tmp_path, b"body" * 500_000) == key
    assert b"".join(files.read(key)) == b"body" * 500_000
    files.delete(key)
    assert files.size(key) is None


def test_there_is_no_trouble_where_objects_can_be_had(files):
    files.look()
    assert files.trouble == ""


# --- what a bucket adds ---


def test_deleted_means_every_version_and_marker_of_a_key_and_of_no_other(ceph, opened, tmp_path):
    bucket = ceph.bucket()
    ceph.client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    files = opened(bucket)
    key, other = stored(files, tmp_path, b"one" * 100), stored(files, tmp_path, b"two" * 100)
    for _ in range(3):
        ceph.client.put_object(Bucket=bucket, Key=f"factory/{key}", Body=b"older")
    ceph.client.delete_object(Bucket=bucket, Key=f"factory/{key}")
    assert len(everything_of(ceph.client, bucket)) >= 6
    files.delete(key)
    assert [one["Key"] for one in everything_of(ceph.client, bucket)] == [f"factory/{other}"]


def test_a_file_that_changed_after_it_was_hashed_is_not_stored(ceph, opened, tmp_path):
    bucket = ceph.bucket()
    digest = hashlib.sha256(b"right").hexdigest()
    for more in ({}, {"whole": 2, "part": 5 * 2**20}):
        files, file = opened(bucket, **more), tmp_path / "incoming"
        file.write_bytes(b"wrong")
        with pytest.raises(IntegrityError, match="have changed on the disk"):
            files.adopt(file, f"{TENANT}/{digest[:2]}/{digest}")
        assert file.exists()
        assert everything_of(ceph.client, bucket) == []
        assert ceph.client.list_multipart_uploads(Bucket=bucket).get("Uploads", []) == []


def test_listing_goes_on_behind_the_first_thousand(ceph, opened):
    bucket = ceph.bucket()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: ceph.client.put_object(Bucket=bucket, Key=f"factory/t/aa/{n:04}"), range(1010)))
        pool.submit(ceph.client.put_object, Bucket=bucket, Key="another/t/aa/x").result()
    assert len(list(opened(bucket).keys())) == 1010


def test_what_was_stored_in_part_is_given_up_by_its_age(ceph, opened):
    bucket = ceph.bucket()
    files = opened(bucket)
    begun = ceph.client.create_multipart_upload(Bucket=bucket, Key=f"factory/{TENANT}/ab/x")["UploadId"]
    ceph.client.upload_part(Bucket=bucket, Key=f"factory/{TENANT}/ab/x", UploadId=begun, PartNumber=1, Body=b"part")
    assert files.give_up_unfinished(now_utc() - timedelta(days=1)) == 0
    assert [key for key, _ in files.unfinished(now_utc() + timedelta(minutes=1))] == [f"{TENANT}/ab/x"]
    assert files.give_up_unfinished(now_utc() + timedelta(minutes=1)) == 1
    assert ceph.client.list_multipart_uploads(Bucket=bucket).get("Uploads", []) == []


def test_of_many_who_store_one_object_each_is_told_the_truth(ceph, opened, tmp_path):
    files, body = opened(ceph.bucket()), os.urandom(3_000_000)
    digest = hashlib.sha256(body).hexdigest()
    key = f"{TENANT}/{digest[:2]}/{digest}"

    def store(number):
        file = tmp_path / f"in-{number}"
        file.write_bytes(body)
        files.adopt(file, key)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(store, range(12)))
    assert b"".join(files.read(key)) == body


# --- faults ---


def test_a_gateway_that_is_killed_while_an_object_is_read_is_named_and_reading_goes_on_later(
    ceph, opened, tmp_path
):
    files, body = opened(ceph.bucket()), os.urandom(30_000_000)
    key = stored(files, tmp_path, body)
    pieces = files.read(key)
    first = next(pieces)
    ceph.kill_gateway()
    try:
        with pytest.raises(UnavailableError, match="object store cannot be reached"):
            list(pieces)
        assert files.trouble == "the factory's object store cannot be reached"
        asked = []
        files.lines.client.meta.events.register("before-send.s3", lambda **_: asked.append(1))
        with pytest.raises(UnavailableError):
            files.size(key)
        assert not asked  # nobody else waits for what was found to be away just now
    finally:
        ceph.start_gateway()
    files.look()
    assert files.trouble == ""
    assert b"".join(files.read(key)) == body
    assert first == body[: len(first)]


def test_a_gateway_that_is_killed_while_an_object_is_stored_leaves_the_file_and_the_next_try_stores_it(
    ceph, opened, tmp_path
):
    files, body = opened(ceph.bucket(), whole=2**20, part=5 * 2**20), os.urandom(40_000_000)
    digest = hashlib.sha256(body).hexdigest()
    key, file = f"{TENANT}/{digest[:2]}/{digest}", tmp_path / "incoming"
    file.write_bytes(body)
    sent = files.lines.client.upload_part
    killed = threading.Event()

    def send(**words):
        if words["PartNumber"] == 4:
            ceph.kill_gateway()
            killed.set()
        return sent(**words)

    files.lines.client.upload_part = send
    with pytest.raises(UnavailableError):
        files.adopt(file, key)
    assert killed.is_set()
    assert file.exists()
    ceph.start_gateway()
    files.lines.client.upload_part = sent
    files.look()
    assert files.size(key) is None
    files.adopt(file, key)
    assert b"".join(files.read(key)) == body
    assert files.give_up_unfinished(now_utc() + timedelta(minutes=1)) == 1  # what the kill had left


# --- settings that are wrong ---


def told(files):
    """What an operator is told who starts a factory with this bucket."""
    from kifabrik.stores.s3.bucket import concerns

    try:
        return [(one.gravity.value, one.what) for one in concerns(files)]
    except UnavailableError as error:
        return error.message


def test_a_bucket_that_is_missing_and_credentials_that_are_wrong_name_themselves(ceph, opened, tmp_path):
    assert "there is no bucket nowhere at http://127.0.0.1" in told(opened("nowhere"))
    bucket, wrong = ceph.bucket(), tmp_path / "credentials"
    for key, secret, said in (
        (ceph.access_key, "0" * 40, "does not take the credentials: SignatureDoesNotMatch"),
        ("KNOBODY", ceph.secret_key, "does not take the credentials: InvalidAccessKeyId"),
    ):
        wrong.write_text(f"[default]\naws_access_key_id = {key}\naws_secret_access_key = {secret}\n")
        message = told(opened(bucket, place=ceph.place(bucket, credentials=wrong)))
        assert said in message
        assert secret not in message
    wrong.write_text("[default]\n")
    with pytest.raises(UnavailableError, match="there are no credentials for s3://"):
        opened(bucket, place=ceph.place(bucket, credentials=wrong))


def test_somebody_elses_bucket_is_said_to_be_forbidden(ceph, opened, tmp_path):
    bucket, other = ceph.bucket(), tmp_path / "credentials"
    ceph.admin(
        "user",
        "create",
        "--uid",
        f"u{bucket}",
        "--display-name",
        "x",
        "--access-key",
        "KOTHER" + bucket[-6:],
        "--secret-key",
        "s3",
    )
    other.write_text(f"[default]\naws_access_key_id = KOTHER{bucket[-6:]}\naws_secret_access_key = s3\n")
    assert "does not allow ListObjectsV2 (AccessDenied)" in told(
        opened(bucket, place=ceph.place(bucket, credentials=other))
    )


def test_a_clock_that_is_wrong_names_itself(ceph, opened, monkeypatch):
    import botocore.auth

    files = opened(ceph.bucket())
    right = botocore.auth.get_current_datetime
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda *a: right(*a) - timedelta(hours=2))
    assert "the clocks of this machine and of s3://" in told(files)


def test_nobody_there_is_named(ceph, opened):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{listener.getsockname()[1]}"
        message = told(opened("bucket", place=ceph.place("bucket", endpoint=nobody)))
    assert f"s3://bucket/factory at {nobody} cannot be reached or does not answer" in message


def test_settings_that_keep_what_is_erased_or_delete_what_is_used_are_refused(ceph, opened):
    plain = ceph.bucket()
    ceph.client.put_public_access_block(Bucket=plain, PublicAccessBlockConfiguration={"BlockPublicAcls": True})
    assert told(opened(plain)) == []

    locked = ceph.bucket(ObjectLockEnabledForBucket=True)
    assert (
        "refuse",
        f"bucket {locked} can lock objects: what is erased could stay for as long as a lock says",
    ) in told(opened(locked))

    expiring = ceph.bucket()
    rule = {"ID": "tidy", "Status": "Enabled", "Filter": {"Prefix": "fac"}, "Expiration": {"Days": 30}}
    ceph.client.put_bucket_lifecycle_configuration(Bucket=expiring, LifecycleConfiguration={"Rules": [rule]})
    assert ("refuse", f"lifecycle rule tidy of bucket {expiring} deletes objects that are in use") in told(
        opened(expiring)
    )
    assert "refuse" not in dict(told(opened(expiring, prefix="elsewhere")))

    public = ceph.bucket(ACL="public-read")
    assert ("refuse", f"bucket {public} is open to everybody") in told(opened(public))

    versioned = ceph.bucket()
    ceph.client.put_bucket_versioning(Bucket=versioned, VersioningConfiguration={"Status": "Enabled"})
    assert ("warn", f"bucket {versioned} keeps versions") in told(opened(versioned))


def test_a_url_that_names_no_bucket_is_refused():
    from kifabrik.stores.s3.place import parse_s3_url

    assert parse_s3_url("s3://bucket/a/b/") == ("bucket", "a/b")
    for wrong in ("s3:///x", "https://bucket/x", "bucket", "s3://key@bucket/x", "s3://bucket/x?y"):
        with pytest.raises(UsageError, match="names no bucket"):
            parse_s3_url(wrong)
