"""Attacks on data that is opened while it is read: by the job, by others on the machine, by whoever keeps it."""

import errno
import json
import os
import random
import signal
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest

from kifabrik.datasets.contents import ShardKind
from players import eventually
from rooms import FIRST_UID, alive
from sealed_folders import FolderOfObjects, seal_folder
from streamers import HAS_FUSE, stream, streamer

pytestmark = pytest.mark.skipif(not HAS_FUSE, reason="needs root and /dev/fuse")

CHUNK = 65536
LARGE = 40 * CHUNK
READ_ALL = """
import errno, json, os
found = {}
for name in sorted(os.listdir(os.environ["DATA"])):
    with open(os.environ["DATA"] + "/" + name, "rb", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_RANDOM)
        for at in range(0, size, 65536):
            try: found[f"{name}@{at}"] = os.pread(file.fileno(), 65536, at).hex()[:64]
            except OSError as error: found[f"{name}@{at}"] = errno.errorcode[error.errno]
print(json.dumps(found))
"""
"""Reads every file chunk by chunk, and goes on after errors."""


@pytest.fixture
def sealed(tmp_path):
    """A large file in a shard of its own and three small ones in a tar, sealed: source, objects, version."""
    source = tmp_path / "source"
    source.mkdir()
    (source / "large").write_bytes(random.Random(5).randbytes(LARGE))
    for number in range(3):
        (source / f"small-{number}").write_bytes(random.Random(number).randbytes(1000))
    version = seal_folder(source, tmp_path / "objects", tmp_path / "spool")
    return source, tmp_path / "objects", version


def body(objects, version, kind):
    """Path of the sealed body of the shard of this kind, and its digest."""
    number = next(n for n, shard in enumerate(version.contents.shards) if shard.kind is kind)
    digest = version.manifest.shards[number].sha256
    return FolderOfObjects(objects).path(digest), digest


def truth(source):
    """What `READ_ALL` finds where nothing is wrong."""
    found = {}
    for path in sorted(source.iterdir()):
        data = path.read_bytes()
        found |= {f"{path.name}@{at}": data[at : at + CHUNK].hex()[:64] for at in range(0, len(data), CHUNK)}
    return found


def test_nothing_can_be_written_through_streamed_data(sealed, tmp_path):
    source, objects, version = sealed
    probe = """
import errno, os
data = os.environ["DATA"]
attempts = {
    "write": lambda: open(data + "/large", "r+b"),
    "append": lambda: open(data + "/large", "ab"),
    "truncate": lambda: os.truncate(data + "/large", 0),
    "reopen": lambda: os.open(f"/proc/self/fd/{os.open(data + '/large', os.O_RDONLY)}", os.O_RDWR),
    "make": lambda: open(data + "/new", "wb"),
    "folder": lambda: os.mkdir(data + "/new"),
    "remove": lambda: os.unlink(data + "/small-0"),
    "rename": lambda: os.rename(data + "/small-0", data + "/small-9"),
    "link": lambda: os.link(data + "/small-0", data + "/new"),
    "symlink": lambda: os.symlink("/etc", data + "/new"),
    "mode": lambda: os.chmod(data + "/small-0", 0o777),
    "owner": lambda: os.chown(data + "/small-0", os.getuid(), os.getgid()),
    "time": lambda: os.utime(data + "/small-0", (0, 0)),
    "attribute": lambda: os.setxattr(data + "/small-0", "user.a", b"b"),
    "allocate": lambda: os.posix_fallocate(os.open(data + "/large", os.O_RDONLY), 0, 10),
}
for name, attempt in attempts.items():
    try: attempt(); print(name, "worked")
    except OSError as error: print(name, errno.errorcode[error.errno])
import mmap
file = os.open(data + "/small-0", os.O_RDONLY)
private = mmap.mmap(file, 0, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ | mmap.PROT_WRITE)
private[:4] = b"mine"
print("private", os.pread(file, 4, 0) != b"mine")
try: mmap.mmap(file, 0, flags=mmap.MAP_SHARED, prot=mmap.PROT_READ | mmap.PROT_WRITE); print("shared worked")
except OSError as error: print("shared", errno.errorcode[error.errno])
"""
    for room in (True, False):
        result = stream(version, objects, tmp_path / f"room-{room}", probe, room=room)
        said = dict(line.split(" ", 1) for line in result["stdout"].splitlines())
        assert len(said) == 17, result
        assert said.pop("private") == "True"
        assert set(said.values()) <= {"EROFS", "EACCES", "EPERM", "EBADF"}
    assert json.loads(stream(version, objects, tmp_path / "after", READ_ALL)["stdout"]) == truth(source)


@pytest.mark.parametrize("uid", [0, FIRST_UID + 1, 65534], ids=["root", "another run", "nobody"])
def test_nobody_but_the_runs_user_may_look_into_streamed_data(sealed, tmp_path, uid):
    _, objects, version = sealed
    probe = """
import errno, os
inside = os.environ["DATA"] + "/large"
for attempt in (os.listdir, os.stat, lambda data: os.stat(inside), lambda data: open(inside).read()):
    try: attempt(os.environ["DATA"]); print("worked")
    except OSError as error: print(errno.errorcode[error.errno])
"""
    refused = stream(version, objects, tmp_path / "other", probe, uid=uid)
    assert refused["stdout"].split() == ["EACCES"] * 4, refused
    allowed = stream(version, objects, tmp_path / "own", "import os; print(sorted(os.listdir(os.environ['DATA'])))")
    assert "large" in allowed["stdout"]


def test_no_other_process_of_the_machine_sees_the_mount(sealed, tmp_path):
    _, objects, version = sealed
    probe = """
import os, time
launcher = os.getppid()
while os.getppid() == launcher: time.sleep(0.05)
"""
    with streamer(version, objects, tmp_path / "run", probe) as process:
        assert process.stdout.readline() == "started\n"
        mounted = tmp_path / "run" / "mounted"
        assert list(mounted.iterdir()) == []
        assert str(mounted) not in Path("/proc/self/mountinfo").read_text()
        assert f" {mounted} " in Path(f"/proc/{process.pid}/mountinfo").read_text()


def connections(process="[0-9]*"):
    """Numbers of FUSE connections, by the device numbers of mounts a process sees; without one, anybody here."""
    found = set()
    for info in Path("/proc").glob(f"{process}/mountinfo"):
        try:
            found |= {line.split()[2] for line in info.read_text().splitlines() if " - fuse kifabrik " in line}
        except OSError:
            continue
    return found


@pytest.mark.parametrize("hang", [None, 4])
def test_a_launcher_killed_at_any_moment_leaves_no_mount_and_no_process_that_waits(sealed, tmp_path, hang):
    _, objects, version = sealed
    probe = """
import os, time
print("up", flush=True)
while True:
    try: open(os.environ["DATA"] + "/large", "rb").read()
    except OSError: pass
    time.sleep(0.01)
"""
    wishes = {} if hang is None else {"hang": hang}
    with streamer(version, objects, tmp_path / "run", probe, **wishes) as process:
        assert process.stdout.readline() == "started\n"
        eventually(lambda: alive(FIRST_UID))
        time.sleep(0.7)  # in the midst of reading, or of waiting for a store that never answers
        mine = connections(process.pid)  # others on this machine may stream as well
        assert mine
        process.kill()
        process.wait()
        deadline = time.monotonic() + 60
        for pid in alive(FIRST_UID):  # the probe has no room around it that would end it: it must be killable
            os.kill(pid, signal.SIGKILL)
        while (left := alive(FIRST_UID) or connections() & mine) and time.monotonic() < deadline:
            time.sleep(0.02)
    assert not left


def test_a_store_that_hangs_does_not_keep_a_job_from_being_ended(sealed, tmp_path):
    _, objects, version = sealed
    probe = """
import os, signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("reading", flush=True)
open(os.environ["DATA"] + "/small-0", "rb").read()
"""
    # opening the shard takes two reads; one that fails makes the kernel read again, in the reader's own name,
    # and then it lets nobody die who waits for the answer
    wishes = {"room": True, "hang": 2, "fail": 1, "stop_after": "reading", "grace_s": 0.3}
    ended = stream(version, objects, tmp_path / "run", probe, **wishes)
    assert ended["status"] != 0
    without = stream(version, objects, tmp_path / "without", probe, **wishes, without_abort=True)
    assert without["alive_after_kill"]  # so the defence is needed


@pytest.mark.parametrize("number", [errno.ENOENT, errno.EINTR, errno.EBADF, errno.EIO])
def test_an_error_of_the_nodes_disk_is_answered_and_is_not_taken_for_one_of_the_device(sealed, tmp_path, number):
    """The device's own errors say that a request was taken back, or that the mount is gone: those get no answer."""
    _, objects, version = sealed
    probe = """
import errno, os, signal
signal.alarm(20)  # whoever gets no answer waits for ever
try: open(os.environ["DATA"] + "/large", "rb", buffering=0).read(10)
except OSError as error: print(errno.errorcode[error.errno], flush=True)
print(len(os.listdir(os.environ["DATA"])))
"""
    found = stream(version, objects, tmp_path / "run", probe, hang=0, fail=10**6, errno=number)
    assert (found["stdout"].split(), found["status"]) == (["EIO", "4"], 0)
    assert "not now" in found["fault"]


@pytest.mark.parametrize("kind", list(ShardKind))
def test_a_flipped_bit_is_an_error_where_it_lies_and_never_a_wrong_byte(sealed, tmp_path, kind):
    source, objects, version = sealed
    path, digest = body(objects, version, kind)
    data = bytearray(path.read_bytes())
    at = 16 + 7 * (CHUNK + 16) + 1234 if kind is ShardKind.FILE else 16 + 600
    data[at] ^= 1
    path.write_bytes(data)
    result = stream(version, objects, tmp_path / "run", READ_ALL)
    expected = truth(source)
    broken = {"large@458752"} if kind is ShardKind.FILE else {f"small-{number}@0" for number in range(3)}
    assert json.loads(result["stdout"]) == expected | dict.fromkeys(broken, "EIO")
    assert result["fault"].startswith(f"shard {digest[:16]} is damaged | ")


def cut(data):
    return data[: -CHUNK - 16]


def cut_within(data):
    return data[:-100]


def append(data):
    return data + bytes(CHUNK + 16)


def swap_chunks(data):
    size = CHUNK + 16
    first, second = data[16 : 16 + size], data[16 + size : 16 + 2 * size]
    return data[:16] + second + first + data[16 + 2 * size :]


def other_nonce(data):
    return bytes(16) + data[16:]


def nothing(_data):
    return b""


@pytest.mark.parametrize("change", [cut, cut_within, append, swap_chunks, other_nonce, nothing])
def test_a_body_that_was_changed_gives_no_wrong_byte(sealed, tmp_path, change):
    source, objects, version = sealed
    path, digest = body(objects, version, ShardKind.FILE)
    path.write_bytes(change(path.read_bytes()))
    result = stream(version, objects, tmp_path / "run", READ_ALL)
    expected = truth(source)
    got = json.loads(result["stdout"])
    assert {name: got[name] for name in got if got[name] != "EIO"}.items() <= expected.items()
    assert "EIO" in got.values()
    assert got["small-0@0"] == expected["small-0@0"]  # other shards go on
    assert result["fault"].startswith(f"shard {digest[:16]} is damaged")


def test_a_missing_body_is_named(sealed, tmp_path):
    _, objects, version = sealed
    path, digest = body(objects, version, ShardKind.FILE)
    path.unlink()
    result = stream(version, objects, tmp_path / "run", READ_ALL)
    assert set(json.loads(result["stdout"]).values()) >= {"EIO"}
    assert result["fault"].startswith(f"shard {digest[:16]} is missing")


def test_a_shard_of_another_version_in_its_place_gives_no_byte(sealed, tmp_path):
    source, objects, version = sealed
    old, digest = body(objects, version, ShardKind.FILE)
    (source / "large").write_bytes(random.Random(6).randbytes(LARGE))
    newer = seal_folder(source, tmp_path / "objects", tmp_path / "spool")
    new, _ = body(objects, newer, ShardKind.FILE)
    old.write_bytes(new.read_bytes())  # same size, well sealed, but under a key of its own
    result = stream(version, objects, tmp_path / "run", READ_ALL)
    assert {value for name, value in json.loads(result["stdout"]).items() if "large" in name} == {"EIO"}
    assert result["fault"].startswith(f"shard {digest[:16]} is damaged")


def test_contents_that_promise_more_than_their_shard_holds_give_nothing(sealed, tmp_path):
    source, objects, version = sealed
    shards = list(version.contents.shards)
    number = next(n for n, shard in enumerate(shards) if shard.kind is ShardKind.FILE)
    (entry,) = shards[number].files
    longer = replace(entry, size=LARGE + CHUNK)
    shards[number] = replace(shards[number], files=(longer,), plain_size=LARGE + CHUNK)
    lying = replace(version, contents=replace(version.contents, shards=tuple(shards)))
    result = stream(lying, objects, tmp_path / "run", READ_ALL)
    got = json.loads(result["stdout"])
    assert {value for name, value in got.items() if "large" in name} == {"EIO"}
    assert got["small-0@0"] == truth(source)["small-0@0"]


def test_the_job_has_no_way_to_the_device(sealed, tmp_path):
    _, objects, version = sealed
    probe = """
import os
print(os.path.exists("/dev/fuse"), [os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")
      if os.path.exists(f"/proc/self/fd/{fd}") and "fuse" in os.readlink(f"/proc/self/fd/{fd}")])
"""
    assert stream(version, objects, tmp_path / "run", probe, room=True)["stdout"] == "False []\n"
    assert subprocess.run(["test", "-e", "/dev/fuse"], check=False).returncode == 0
