"""A streamed folder is the folder that would be opened into memory, in bounded memory."""

import hashlib
import json
import random

import pytest

from kifabrik.datasets.grouping import ShardSizes
from kifabrik.transfer.opening import unpack
from sealed_folders import FolderOfObjects, seal_folder
from streamers import HAS_FUSE, MIB, stream

pytestmark = pytest.mark.skipif(not HAS_FUSE, reason="needs root and /dev/fuse")

WALK = """
import hashlib, json, os, stat
found = {}
for root, folders, files in os.walk(os.environ["DATA"]):
    for name in folders + files:
        path = os.path.join(root, name)
        status = os.lstat(path)
        content = None if stat.S_ISDIR(status.st_mode) else [
            hashlib.sha256(open(path, "rb").read()).hexdigest(), status.st_size, oct(status.st_mode),
            int(status.st_mtime)]
        found[os.path.relpath(path, os.environ["DATA"])] = content
print(json.dumps(found))
"""


def make(folder):
    """Make a folder with everything a dataset can have."""
    draw = random.Random(7)
    (folder / "empty" / "deep").mkdir(parents=True)
    (folder / "ünï" / "päth").mkdir(parents=True)
    (folder / "ünï" / "päth" / "größe.txt").write_text("grün")
    for size in (0, 1, 511, 512, 513, 65535, 65536, 65537, 200_000, 499_999, 600_000, 1_500_000, 3_000_001):
        (folder / f"size-{size}").write_bytes(draw.randbytes(size))
    (folder / "many").mkdir()
    for number in range(1500):
        (folder / "many" / f"{number:05}-{'x' * (number % 60)}").write_bytes(draw.randbytes(number % 300))
    (folder / "tool").write_text("#!/bin/sh\n")
    (folder / "tool").chmod(0o755)
    return folder


@pytest.fixture(scope="module")
def sealed(tmp_path_factory):
    base = tmp_path_factory.mktemp("sealed")
    (base / "source").mkdir()
    version = seal_folder(make(base / "source"), base / "objects", base / "spool")
    return base / "source", base / "objects", version


def test_a_streamed_folder_is_the_folder_that_is_opened_into_memory(sealed, tmp_path):
    _, objects, version = sealed
    streamed = stream(version, objects, tmp_path / "streamed", WALK)
    assert (streamed["status"], streamed["stderr"], streamed["fault"]) == (0, "", "")
    (tmp_path / "opened").mkdir()
    unpack(version, tmp_path / "opened", FolderOfObjects(objects), verify=True)
    walk = {}
    for path in (tmp_path / "opened").rglob("*"):
        status = path.stat()
        content = [hashlib.sha256(path.read_bytes()).hexdigest()] if path.is_file() else None
        facts = content and [*content, status.st_size, oct(status.st_mode), int(status.st_mtime)]
        walk[str(path.relative_to(tmp_path / "opened"))] = facts
    assert json.loads(streamed["stdout"]) == walk
    assert len(walk) > 1500


def test_reads_anywhere_by_many_threads_and_by_mapping_give_the_files_own_bytes(sealed, tmp_path):
    source, objects, version = sealed
    names = [path.name for path in source.glob("size-*")]
    digests = {name: hashlib.sha256((source / name).read_bytes()).hexdigest() for name in names}
    probe = f"""
import hashlib, mmap, os, random, threading
data, digests, wrong = os.environ["DATA"], {digests!r}, []
whole = {{name: open(f"{{data}}/{{name}}", "rb").read() for name in digests}}
wrong += [name for name in digests if hashlib.sha256(whole[name]).hexdigest() != digests[name]]
def reader(seed):
    draw = random.Random(seed)
    for _ in range(300):
        name = draw.choice(sorted(digests))
        with open(f"{{data}}/{{name}}", "rb", buffering=0) as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            offset, size = draw.randrange(len(whole[name]) + 1), draw.randrange(150_000)
            if os.pread(file.fileno(), size, offset) != whole[name][offset:offset + size]:
                wrong.append((name, offset, size))
            if whole[name]:
                mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
                if mapped[offset:offset + 5000] != whole[name][offset:offset + 5000]:
                    wrong.append((name, offset, "mapped"))
threads = [threading.Thread(target=reader, args=(seed,)) for seed in range(8)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print(wrong)
"""
    result = stream(version, objects, tmp_path / "streamed", probe)
    assert (result["stdout"], result["stderr"], result["fault"]) == ("[]\n", "", "")


def test_a_file_larger_than_the_memory_of_the_run_is_read_in_bounded_memory(tmp_path):
    limit, size = 64 * MIB, 192 * MIB
    (tmp_path / "source").mkdir()
    block = random.Random(3).randbytes(MIB)
    with (tmp_path / "source" / "large").open("wb") as file:
        for number in range(size // MIB):
            file.write(number.to_bytes(4, "big") + block[4:])
    version = seal_folder(tmp_path / "source", tmp_path / "objects", tmp_path / "spool", ShardSizes())
    probe = f"""
import os
block = 2**20
with open(os.environ["DATA"] + "/large", "rb", buffering=0) as file:
    for epoch in range(2):
        for number in range({size // MIB}):
            if int.from_bytes(os.pread(file.fileno(), block, number * block)[:4], "big") != number:
                print("wrong", number)
print("read")
"""
    result = stream(
        version,
        tmp_path / "objects",
        tmp_path / "streamed",
        probe,
        room=True,
        limits={"memory_bytes": limit},
    )
    assert (result["stdout"], result["status"], result["oom"]) == ("read\n", 0, False)
    assert limit // 2 < result["peak_memory_bytes"] <= limit  # opened pages count as the run's own
    assert result["grown_bytes"] < 40 * MIB


def test_a_program_that_reads_one_file_from_start_to_end_has_several_threads_open_it(tmp_path):
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "long").write_bytes(random.Random(5).randbytes(12 * MIB))
    version = seal_folder(tmp_path / "source", tmp_path / "objects", tmp_path / "spool", ShardSizes())
    probe = """
import os
with open(os.environ["DATA"] + "/long", "rb", buffering=0) as file:
    print(sum(len(piece) for piece in iter(lambda: file.read(100_000), b"")))
"""
    found = stream(version, tmp_path / "objects", tmp_path / "streamed", probe, meet=3)
    assert (found["stdout"], found["status"], found["fault"]) == (f"{12 * MIB}\n", 0, "")


def test_nothing_is_left_mounted_after_the_end(sealed, tmp_path):
    _, objects, version = sealed
    assert stream(version, objects, tmp_path / "streamed", "print('here')")["left"] == []
