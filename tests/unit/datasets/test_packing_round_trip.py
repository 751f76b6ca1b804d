import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from trees import TREES, build, pack, read, unpack

from kifabrik.datasets.contents import ShardKind, contents_digest
from kifabrik.datasets.grouping import ShardSizes
from kifabrik.datasets.packing import plan_shards
from kifabrik.values import sha256_hex

SIZES = st.sampled_from([ShardSizes(), ShardSizes(4096, 4096), ShardSizes(2**20, 1), ShardSizes(6000, 1500)])
FRESH = settings(
    max_examples=60,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


@FRESH
@given(tree=TREES, sizes=SIZES, step=st.sampled_from([1, 7, 512, 1000, 2**20]), verify=st.booleans())
def test_any_tree_unpacks_as_it_was_packed(tmp_path, tree, sizes, step, verify):
    shutil.rmtree(tmp_path)
    written = build(tmp_path / "source", tree)
    contents, plaintexts = pack(tmp_path / "source", sizes=sizes)
    assert read(unpack(contents, plaintexts, tmp_path / "target", step=step, verify=verify)) == written
    for shard, plaintext in zip(contents.shards, plaintexts, strict=True):
        assert shard.sha256 == sha256_hex(plaintext)
        for entry in shard.files:
            content = plaintext[entry.offset : entry.offset + entry.size]
            assert (content, entry.executable) == written[entry.path]
            assert entry.sha256 == sha256_hex(content)


@FRESH
@given(tree=TREES)
def test_gnu_tar_unpacks_our_shards_without_a_warning(tmp_path, tree):
    shutil.rmtree(tmp_path)
    written = build(tmp_path / "source", tree)
    contents, plaintexts = pack(tmp_path / "source", sizes=ShardSizes(8192, 8192))
    target = tmp_path / "target"
    target.mkdir()
    for shard, plaintext in zip(contents.shards, plaintexts, strict=True):
        assert shard.kind is ShardKind.TAR
        done = subprocess.run(["tar", "-x", "-C", target], input=plaintext, capture_output=True, check=True)
        assert done.stderr == b""
    assert read(target) == written


def test_pythons_tarfile_reads_our_shards_with_their_times(tmp_path):
    build(tmp_path / "source", {"a": (b"one", False), "b/c": (b"two", True)})
    os.utime(tmp_path / "source/a", (1, 1_600_000_000))
    contents, (plaintext,) = pack(tmp_path / "source")
    (tmp_path / "x.tar").write_bytes(plaintext)
    with tarfile.open(tmp_path / "x.tar") as archive:
        members = {member.name: (member.mode, member.mtime) for member in archive}
    assert members["a"] == (0o644, 1_600_000_000)
    assert members["b/c"][0] == 0o755
    assert contents.find("a")[1].mtime == 1_600_000_000


def test_unpacked_files_are_read_only_have_their_time_and_ignore_the_umask(tmp_path):
    build(tmp_path / "source", {"a": (b"one", False), "d/b": (b"two", True)})
    os.utime(tmp_path / "source/a", (1, 1_600_000_000))
    packed = pack(tmp_path / "source")
    before = os.umask(0o077)
    try:
        target = unpack(*packed, tmp_path / "target")
    finally:
        os.umask(before)
    assert (target / "a").stat().st_mode & 0o7777 == 0o444
    assert (target / "d/b").stat().st_mode & 0o7777 == 0o555
    assert (target / "d").stat().st_mode & 0o7777 == 0o755
    assert (target / "a").stat().st_mtime == 1_600_000_000


def test_large_files_are_shards_of_their_own_and_plain_copies(tmp_path):
    large = os.urandom(3 * 2**20 + 17)
    build(tmp_path / "source", {"a": (b"x", False), "m": (large, False), "z": (b"y", False)})
    contents, plaintexts = pack(tmp_path / "source", sizes=ShardSizes(2**20, 2**20))
    assert [shard.kind for shard in contents.shards] == [ShardKind.TAR, ShardKind.FILE]
    assert plaintexts[1] == large
    assert read(unpack(contents, plaintexts, tmp_path / "target", step=2**16))["m"] == (large, False)


def test_blocks_are_whole_mebibytes_except_the_last(tmp_path):
    build(tmp_path / "source", {f"{i}": (os.urandom(400_000), False) for i in range(10)})
    sizes = []
    with plan_shards(tmp_path / "source") as plan:
        plan.shards[0].write_to(lambda block: sizes.append(len(block)))
    assert sizes[:-1] == [2**20] * 3
    assert 0 < sizes[-1] <= 2**20


def test_a_single_file_is_a_dataset_too(tmp_path):
    build(tmp_path / "source", {"data.csv": (b"1,2\n", False), "other": (b"", False)})
    contents, plaintexts = pack(tmp_path / "source/data.csv")
    assert read(unpack(contents, plaintexts, tmp_path / "target")) == {"data.csv": (b"1,2\n", False)}


@FRESH
@given(tree=TREES)
def test_the_digest_of_a_plan_is_that_of_its_contents_however_divided(tmp_path, tree):
    shutil.rmtree(tmp_path)
    build(tmp_path / "source", tree)
    with plan_shards(tmp_path / "source") as plan:
        digest = plan.digest()
    for sizes in (ShardSizes(), ShardSizes(3000, 1000)):
        assert contents_digest(pack(tmp_path / "source", sizes=sizes)[0]) == digest


def test_shards_can_be_written_in_several_threads_and_again(tmp_path):
    from concurrent.futures import ThreadPoolExecutor

    build(tmp_path / "source", {f"d{i % 7}/{i}": (os.urandom(i * 10), False) for i in range(300)})
    with plan_shards(tmp_path / "source", sizes=ShardSizes(40_000, 40_000)) as plan:
        once = [shard.write_to(len) for shard in plan.shards]
        with ThreadPoolExecutor(4) as pool:
            again = list(pool.map(lambda shard: shard.write_to(len), plan.shards))
    assert len(once) > 5
    assert once == again


def test_an_error_of_the_sink_reaches_the_caller(tmp_path):
    build(tmp_path / "source", {"a": (bytes(5 * 2**20), False)})

    def full(_: object) -> None:
        raise OSError("sink is full")

    with plan_shards(tmp_path / "source") as plan, pytest.raises(OSError, match="sink is full"):
        plan.shards[0].write_to(full)


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="only Linux shows its descriptors")
def test_packing_leaves_no_descriptor_open(tmp_path):
    build(tmp_path / "source", {f"a/b/c{i}/d": (b"x", False) for i in range(5)})
    open_now = Path("/proc/self/fd")
    before = len(list(open_now.iterdir()))
    unpack(*pack(tmp_path / "source"), tmp_path / "target")
    assert len(list(open_now.iterdir())) == before
