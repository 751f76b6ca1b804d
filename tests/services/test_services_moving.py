"""A factory moves its objects from a folder into a bucket, and backs them up from there."""

import os
import signal
import subprocess

import pytest
from two_parties import KIFABRIK

from kifabrik.client.objects import Objects
from kifabrik.factory.records import Why
from parties import FactoryProcess

pytestmark = pytest.mark.timeout(400)  # a Ceph takes its time to start where others are busy


@pytest.fixture
def moved(ceph, tmp_path):
    """A factory with objects in a folder, whose settings name a bucket now; and the bucket."""
    factory = FactoryProcess(tmp_path / "home" / "factory")
    bucket = ceph.bucket()
    with (factory.home / "factory.toml").open("a") as settings:
        said = f'url = "s3://{bucket}/f"\nendpoint = "{ceph.endpoint}"\n'
        settings.write(f'\n[objects]\n{said}credentials = "{ceph.credentials_file()}"\n')
    yield factory, bucket
    factory.close()


def run(factory, *words):
    """Run the installed command as the operator; return its status and all it said."""
    ran = subprocess.run(
        [KIFABRIK, *words, "--home", factory.home.parent], check=False, capture_output=True, text=True, timeout=90
    )
    assert "Traceback" not in ran.stderr
    return ran.returncode, " ".join((ran.stdout + ran.stderr).split())


def upload(person, *sizes):
    objects = Objects(person.connection)
    return {objects.upload_bytes(body): body for body in map(os.urandom, sizes)}


def in_bucket(ceph, bucket):
    listed = ceph.client.list_objects_v2(Bucket=bucket).get("Contents", ())
    return {one["Key"].rpartition("/")[2] for one in listed}


def test_objects_move_beside_the_service_and_the_folder_is_set_aside_at_the_end(ceph, moved):
    factory, bucket = moved
    anna = factory.sign_up().enrol()
    bodies = upload(anna, 100, 300_000, 2_000_000)
    status, said = run(factory, "admin", "objects", "copy")
    assert (status, in_bucket(ceph, bucket)) == (0, set(bodies)), said
    # The service goes on with the folder: something new comes, something is deleted.
    bodies |= upload(anna, 5000)
    gone, *_ = bodies
    with factory.inside.store.write(anna.party.tenant) as transaction:
        factory.inside.deletions.begin(transaction, anna.party.tenant, [gone], Why.ERASED)
    del bodies[gone]
    factory.stop()
    status, said = run(factory, "admin", "objects", "copy", "--finish")
    assert status == 0, said
    assert "1 sent now" in said
    assert in_bucket(ceph, bucket) == set(bodies)
    assert not (factory.home / "objects").exists()
    factory.start()
    again = factory.connect(anna.token)
    for digest, body in bodies.items():
        assert b"".join(Objects(again).pieces(digest)) == body
    assert run(factory, "admin", "check", "--deep")[0] == 0
    target = factory.home.parent / "backup"
    assert run(factory, "admin", "backup", str(target))[0] == 0
    kept = {file.name: file.read_bytes() for file in (target / "objects").rglob("*") if file.is_file()}
    assert kept == bodies


def test_a_service_does_not_start_on_a_bucket_while_the_folder_holds_objects(moved):
    factory, _ = moved
    upload(factory.sign_up().enrol(), 100)
    factory.stop()
    with pytest.raises(AssertionError, match="still holds objects, and the settings name s3://"):
        factory.start()
    assert factory.process.wait(20) != 0
    factory.process.stdout.close()


def test_a_damaged_or_missing_object_is_named_and_the_folder_stays(moved):
    factory, _ = moved
    (digest,) = upload(factory.sign_up().enrol(), 100_000)
    (file,) = (factory.home / "objects").rglob(digest)
    factory.stop(signal.SIGTERM)
    right = file.read_bytes()
    file.write_bytes(right[:-1] + b"x")
    status, said = run(factory, "admin", "objects", "copy", "--finish")
    assert (status, "has other bytes than it is named after" in said) == (6, True), said
    file.unlink()
    status, said = run(factory, "admin", "objects", "copy", "--finish")
    assert (status, "are neither in" in said) == (6, True), said
    file.write_bytes(right)
    assert run(factory, "admin", "objects", "copy", "--finish")[0] == 0


def test_without_a_bucket_in_the_settings_nothing_is_moved(tmp_path):
    factory = FactoryProcess(tmp_path / "home" / "factory")
    try:
        status, said = run(factory, "admin", "objects", "copy")
    finally:
        factory.close()
    assert (status, "the settings name no bucket" in said) == (2, True)
