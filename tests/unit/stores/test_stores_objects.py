"""Staging, the object folder and the log keys on a real disk, a full one among them."""

import fcntl
import hashlib
import os
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from kifabrik.errors import CapacityError, IntegrityError, NotFoundError, UnavailableError, UsageError
from kifabrik.stores.folder import FolderObjects
from kifabrik.stores.log_keys import FolderLogKeys
from kifabrik.stores.staging import FolderStaging

TENANT = "t-aaaaaaaaaaaaaaaa"
BODY = bytes(range(256)) * 40
DIGEST = hashlib.sha256(BODY).hexdigest()


def test_pieces_become_a_file_with_their_digest(tmp_path: Path) -> None:
    staging = FolderStaging(tmp_path)
    assert staging.length(TENANT, DIGEST) == 0
    assert staging.append(TENANT, DIGEST, 0, BODY[:100]) == 100
    assert staging.append(TENANT, DIGEST, 0, BODY) == 100
    assert staging.append(TENANT, DIGEST, 101, BODY[101:]) == 100
    assert staging.append(TENANT, DIGEST, 100, BODY[100:]) == len(BODY)
    assert staging.finish(TENANT, DIGEST).read_bytes() == BODY


def test_an_upload_goes_on_in_another_process(tmp_path: Path) -> None:
    FolderStaging(tmp_path).append(TENANT, DIGEST, 0, BODY[:5000])
    after = FolderStaging(tmp_path)
    assert after.length(TENANT, DIGEST) == 5000
    after.append(TENANT, DIGEST, 5000, BODY[5000:])
    assert after.finish(TENANT, DIGEST).read_bytes() == BODY


def test_bytes_changed_on_the_disk_meanwhile_are_noticed(tmp_path: Path) -> None:
    staging = FolderStaging(tmp_path)
    staging.append(TENANT, DIGEST, 0, BODY[:5000])
    file = tmp_path / TENANT / DIGEST
    file.write_bytes(b"x" * 5000)
    again = FolderStaging(tmp_path)
    again.append(TENANT, DIGEST, 5000, BODY[5000:])
    with pytest.raises(IntegrityError):
        again.finish(TENANT, DIGEST)
    assert again.length(TENANT, DIGEST) == 0


def test_bytes_another_process_has_put_under_the_same_name_are_hashed_themselves(tmp_path: Path) -> None:
    ours, other = FolderStaging(tmp_path), FolderStaging(tmp_path)
    ours.append(TENANT, DIGEST, 0, BODY[:5000])
    other.drop(TENANT, DIGEST)
    other.append(TENANT, DIGEST, 0, b"x" * 5000)
    assert ours.append(TENANT, DIGEST, 5000, BODY[5000:]) == len(BODY)
    with pytest.raises(IntegrityError):
        ours.finish(TENANT, DIGEST)


def test_a_whole_file_put_in_place_of_one_that_was_hashed_is_not_taken_for_it(tmp_path: Path) -> None:
    ours, other = FolderStaging(tmp_path), FolderStaging(tmp_path)
    ours.append(TENANT, DIGEST, 0, BODY)
    other.drop(TENANT, DIGEST)
    other.append(TENANT, DIGEST, 0, b"x" * len(BODY))
    with pytest.raises(IntegrityError):
        ours.finish(TENANT, DIGEST)


def test_who_waited_while_a_file_was_finished_does_not_write_into_the_finished_object(tmp_path: Path) -> None:
    staging, files = FolderStaging(tmp_path / "staging"), FolderObjects(tmp_path / "objects")
    staging.append(TENANT, DIGEST, 0, BODY)
    file = staging.finish(TENANT, DIGEST)
    with ThreadPoolExecutor(1) as pool, file.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        late = pool.submit(FolderStaging(tmp_path / "staging").append, TENANT, DIGEST, len(BODY), b"more")
        while not _somebody_waits_for(held.fileno()):
            time.sleep(0.01)
        files.adopt(file, "x/y")
        fcntl.flock(held, fcntl.LOCK_UN)
    assert late.result() == 0
    assert b"".join(files.read("x/y")) == BODY


def _somebody_waits_for(held: int) -> bool:
    inode = os.fstat(held).st_ino
    locks = Path("/proc/locks").read_text().splitlines()
    return any("->" in line and f":{inode} " in line for line in locks)


def test_of_many_writers_at_one_offset_one_is_taken(tmp_path: Path) -> None:
    staging = [FolderStaging(tmp_path) for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        ends = list(pool.map(lambda one: one.append(TENANT, DIGEST, 0, BODY), staging))
    assert ends == [len(BODY)] * 8
    assert staging[0].finish(TENANT, DIGEST).read_bytes() == BODY


def test_an_upload_that_somebody_else_has_finished_is_not_taken_for_a_damaged_one(tmp_path: Path) -> None:
    staging, files = FolderStaging(tmp_path / "staging"), FolderObjects(tmp_path / "objects")
    staging.append(TENANT, DIGEST, 0, BODY)
    files.adopt(staging.finish(TENANT, DIGEST), "x/y")
    with pytest.raises(UnavailableError, match="somebody else has just finished"):
        staging.finish(TENANT, DIGEST)
    assert list((tmp_path / "staging" / TENANT).iterdir()) == []


@pytest.fixture
def small_disk(tmp_path: Path):
    """A file system of 64 kB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", disk]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount a tmpfs")
    yield disk
    subprocess.run(["umount", disk], check=True)


def test_a_full_disk_is_said_and_what_had_arrived_stays(small_disk: Path) -> None:
    staging = FolderStaging(small_disk)
    assert staging.append(TENANT, DIGEST, 0, bytes(40_000)) == 40_000
    with pytest.raises(CapacityError, match="full"):
        staging.append(TENANT, DIGEST, 40_000, bytes(60_000))
    assert staging.length(TENANT, DIGEST) == 40_000
    assert staging.append(TENANT, DIGEST, 40_000, bytes(1000)) == 41_000


def test_uploads_leave_room_for_the_database(small_disk: Path) -> None:
    staging, piece = FolderStaging(small_disk), os.urandom(4096)

    def fill(arrived: int) -> None:
        while True:
            arrived = staging.append(TENANT, DIGEST, arrived, piece)

    with pytest.raises(CapacityError):
        fill(0)
    disk = os.statvfs(small_disk)
    assert disk.f_bavail * 20 >= disk.f_blocks
    assert staging.length(TENANT, DIGEST) > disk.f_blocks * disk.f_frsize // 2
    (small_disk / "of the database").write_bytes(bytes(disk.f_blocks * disk.f_frsize // 25))


def test_a_log_key_that_finds_no_room_leaves_nothing_half_written(small_disk: Path) -> None:
    keys = FolderLogKeys(small_disk / "keys")
    (small_disk / "fill").write_bytes(bytes(64 * 1024))
    with pytest.raises(CapacityError):
        keys.create(TENANT)
    assert list((small_disk / "keys").iterdir()) == []
    (small_disk / "fill").unlink()
    assert keys.create(TENANT) == FolderLogKeys(small_disk / "keys").get(TENANT)


def _stored(objects: FolderObjects, tmp_path: Path, key: str, body: bytes) -> None:
    file = tmp_path / "incoming"
    file.write_bytes(body)
    objects.adopt(file, key)
    assert not file.exists()


def test_an_adopted_object_is_read_from_any_offset_listed_and_deleted(tmp_path: Path) -> None:
    objects = FolderObjects(tmp_path / "objects")
    key, large = f"{TENANT}/ab/{DIGEST}", os.urandom(9_000_000)
    _stored(objects, tmp_path, key, large)
    assert objects.size(key) == len(large)
    assert b"".join(objects.read(key)) == large
    assert b"".join(objects.read(key, 5_000_000)) == large[5_000_000:]
    assert b"".join(objects.read(key, 10, 20)) == large[10:20]
    assert list(objects.keys()) == [(key, len(large))]
    _stored(objects, tmp_path, key, b"")
    assert (objects.size(key), list(objects.read(key))) == (0, [])
    objects.delete(key)
    objects.delete(key)
    assert objects.size(key) is None
    with pytest.raises(NotFoundError):
        objects.read(key)


def test_an_object_that_was_cut_off_is_said_to_be_before_its_first_byte_is_given(tmp_path: Path) -> None:
    objects = FolderObjects(tmp_path / "objects")
    _stored(objects, tmp_path, f"t/ab/{DIGEST}", os.urandom(9_000))
    os.truncate(tmp_path / "objects/t/ab" / DIGEST, 10)
    with pytest.raises(IntegrityError, match=f"{DIGEST[:16]} is damaged: 10 bytes") as raised:
        objects.read(f"t/ab/{DIGEST}", 0, 9_000)
    assert "kifabrik admin check" in raised.value.hint
    assert b"".join(objects.read(f"t/ab/{DIGEST}", 0, 10)) == b"".join(objects.read(f"t/ab/{DIGEST}"))


def test_an_object_the_disk_refuses_to_delete_is_an_error_of_ours(tmp_path: Path) -> None:
    objects = FolderObjects(tmp_path / "objects")
    (tmp_path / "objects/t/ab/x/y").mkdir(parents=True)
    with pytest.raises(UnavailableError, match="cannot be deleted"):
        objects.delete("t/ab/x")


def test_an_object_that_vanishes_while_it_is_read_breaks_the_reading_off(tmp_path: Path) -> None:
    objects = FolderObjects(tmp_path / "objects")
    _stored(objects, tmp_path, "t/ab/x", os.urandom(9_000_000))
    pieces = objects.read("t/ab/x")
    next(pieces)
    objects.delete("t/ab/x")
    with pytest.raises(UnavailableError):
        list(pieces)


def test_two_makers_of_one_log_key_get_the_same(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: FolderLogKeys(tmp_path).create(TENANT).seed, range(16)))
    assert len(set(made)) == 1
    assert [file.name for file in tmp_path.iterdir()] == [f"{TENANT}.key"]


def test_no_path_is_made_of_what_is_not_a_tenant_id(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        FolderLogKeys(tmp_path).create("../../etc/x")
