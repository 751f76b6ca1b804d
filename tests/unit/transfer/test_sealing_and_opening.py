"""A folder sealed and opened again over a store in memory."""

import errno
import os
from dataclasses import replace
from pathlib import Path

import pytest

from kifabrik.datasets.grouping import ShardSizes
from kifabrik.datasets.index import Index, IndexWriter
from kifabrik.datasets.manifest import BodyRef
from kifabrik.datasets.packing import plan_shards
from kifabrik.errors import IntegrityError, UnavailableError
from kifabrik.seals.identities import Identity
from kifabrik.transfer.opening import open_contents, unpack
from kifabrik.transfer.sealing import Sealer, VersionHead
from memory_objects import MemoryObjects
from small_disk import small_disk

__all__ = ["small_disk"]

TENANT, DATASET = "t-" + "a" * 32, "d-" + "b" * 16
SIZES = ShardSizes(target=2**20, small_file=2**19)


class LimitedObjects(MemoryObjects):
    """After `full_after` uploads it stops answering."""

    def __init__(self, full_after=10**9):
        super().__init__()
        self.uploads = 0
        self.full_after = full_after

    def upload(self, source, digest, size, progress):
        if self.uploads >= self.full_after:
            raise UnavailableError("the factory is away")
        super().upload(source, digest, size, progress)
        self.uploads += 1


@pytest.fixture
def folder(tmp_path):
    source = tmp_path / "source"
    (source / "empty").mkdir(parents=True)
    for number in range(50):
        (source / f"part-{number}.csv").write_text(f"{number}\n" * number)
    (source / "large.bin").write_bytes(bytes(range(256)) * 20_000)
    return source


def tree(folder: Path):
    return {str(p.relative_to(folder)): p.read_bytes() if p.is_file() else None for p in folder.rglob("*")}


def seal(folder, store, tmp_path, identity, *, version=1, previous="", indexes=()):
    head = VersionHead(TENANT, DATASET, version, previous, identity.recipient)
    index_file = tmp_path / f"{version}.{len(list(tmp_path.glob('*.index')))}.index"
    with (
        plan_shards(folder, previous=indexes, sizes=SIZES) as plan,
        IndexWriter(index_file, owner=DATASET, recipient=identity.recipient.text) as index,
    ):
        return Sealer(head, store, tmp_path / "spool").seal(plan, index), index_file


def test_what_is_sealed_opens_to_the_same_tree(folder, tmp_path):
    identity, store = Identity.generate(), MemoryObjects()
    sealed, _ = seal(folder, store, tmp_path, identity)
    assert store.missing(sealed.manifest.objects()) == set()
    version = open_contents(sealed.manifest, store.objects[sealed.manifest.headers], [identity], store)
    target = tmp_path / "target"
    target.mkdir()
    counted = []
    unpack(version, target, store, verify=True, threads=2, progress=counted.append)
    assert tree(target) == tree(folder)
    assert sum(counted) == version.plain_size


def test_a_store_is_asked_again_for_what_it_has_got_so_that_it_keeps_it_until_all_is_there(folder, tmp_path):
    asked = []

    class Asked(MemoryObjects):
        def missing(self, digests):
            asked.append(set(digests))
            return super().missing(asked[-1])

    def seal_asking(every_s):
        asked.clear()
        head = VersionHead(TENANT, DATASET, 1, "", Identity.generate().recipient)
        with plan_shards(folder, sizes=SIZES) as plan:
            sealed = Sealer(head, Asked(), tmp_path / "spool", ask_again_s=every_s).seal(plan)
        return [body.sha256 for body in sealed.manifest.shards]

    shards = seal_asking(0)
    assert len(shards) > 1
    assert asked == [set(), *(set(shards[: n + 1]) for n in range(len(shards)))]
    seal_asking(3600)
    assert asked == [set()]


def test_no_plaintext_reaches_store_or_spool(folder, tmp_path):
    (folder / "needle-name.txt").write_bytes(b"needle-content" * 10)
    store = MemoryObjects()
    seal(folder, store, tmp_path, Identity.generate())
    assert not any(b"needle" in data for data in store.objects.values())
    assert list((tmp_path / "spool").iterdir()) == []


def test_unchanged_shards_are_shared_between_versions(folder, tmp_path):
    identity, store = Identity.generate(), MemoryObjects()
    first, index = seal(folder, store, tmp_path, identity)
    before = set(store.objects)
    (folder / "part-3.csv").write_text("changed")
    second, _ = seal(folder, store, tmp_path, identity, version=2, previous="0" * 64, indexes=[Index.load(index)])
    shared = set(first.manifest.shards) & set(second.manifest.shards)
    assert shared
    changed = {shard.sha256 for shard in set(second.manifest.shards) - shared}
    assert store.objects.keys() - before == {
        *changed,
        second.manifest.headers,
        second.manifest.sealed_manifest.sha256,
    }
    version = open_contents(second.manifest, store.objects[second.manifest.headers], [identity], store)
    target = tmp_path / "target"
    target.mkdir()
    unpack(version, target, store, verify=True)
    assert tree(target) == tree(folder)


def test_interrupted_sealing_goes_on_with_what_was_sealed(folder, tmp_path):
    identity, store = Identity.generate(), LimitedObjects(full_after=0)
    with pytest.raises(UnavailableError):
        seal(folder, store, tmp_path, identity)
    waiting = {path.stem for path in (tmp_path / "spool").glob("*.body")}
    assert waiting
    store.full_after = 10**9
    (unfinished,) = tmp_path.glob("*.index")
    sealed, _ = seal(folder, store, tmp_path, identity, indexes=[Index.load(unfinished)])
    assert waiting & {body.sha256 for body in sealed.manifest.shards}
    assert list((tmp_path / "spool").glob("*.body")) == []


def test_a_reused_shard_the_store_has_lost_is_sealed_again(folder, tmp_path):
    identity, store = Identity.generate(), MemoryObjects()
    _, index = seal(folder, store, tmp_path, identity)
    store.objects.clear()
    sealed, _ = seal(folder, store, tmp_path, identity, version=2, previous="0" * 64, indexes=[Index.load(index)])
    assert store.missing(sealed.manifest.objects()) == set()


def test_exchanged_bodies_are_refused(folder, tmp_path):
    identity, store = Identity.generate(), MemoryObjects()
    sealed, _ = seal(folder, store, tmp_path, identity)
    one, other = (body.sha256 for body in sealed.manifest.shards[:2])
    store.objects[one], store.objects[other] = store.objects[other], store.objects[one]
    version = open_contents(sealed.manifest, store.objects[sealed.manifest.headers], [identity], store)
    target = tmp_path / "target"
    target.mkdir()
    with pytest.raises(IntegrityError):
        unpack(version, target, store, verify=False)


def test_headers_for_another_number_of_shards_are_refused(folder, tmp_path):
    identity, store = Identity.generate(), MemoryObjects()
    sealed, _ = seal(folder, store, tmp_path, identity)
    more = replace(sealed.manifest, shards=(*sealed.manifest.shards, BodyRef("f" * 64, 100)))
    with pytest.raises(IntegrityError, match="headers"):
        open_contents(more, store.objects[sealed.manifest.headers], [identity], store)


def test_another_identity_opens_nothing(folder, tmp_path):
    store = MemoryObjects()
    sealed, _ = seal(folder, store, tmp_path, Identity.generate())
    with pytest.raises(IntegrityError):
        open_contents(sealed.manifest, store.objects[sealed.manifest.headers], [Identity.generate()], store)


def test_a_recovery_recipient_opens_what_was_sealed_to_it_as_well(folder, tmp_path):
    owner, safe, store = Identity.generate(), Identity.generate(), MemoryObjects()
    head = VersionHead(TENANT, DATASET, 1, "", owner.recipient, also=[safe.recipient])
    with plan_shards(folder, sizes=SIZES) as plan:
        sealed = Sealer(head, store, tmp_path / "spool").seal(plan)
    version = open_contents(sealed.manifest, store.objects[sealed.manifest.headers], [safe], store)
    target = tmp_path / "target"
    target.mkdir()
    unpack(version, target, store, verify=True)
    assert tree(target) == tree(folder)


def test_a_body_torn_by_a_power_cut_before_its_upload_is_sealed_again(folder, tmp_path):
    identity, store = Identity.generate(), LimitedObjects(full_after=0)
    with pytest.raises(UnavailableError):
        seal(folder, store, tmp_path, identity)
    waiting = sorted((tmp_path / "spool").glob("*.body"))
    os.truncate(waiting[0], 100)
    (unfinished,) = tmp_path.glob("*.index")
    store.full_after = 10**9
    sealed, _ = seal(folder, store, tmp_path, identity, indexes=[Index.load(unfinished)])
    assert waiting[0].stem not in {body.sha256 for body in sealed.manifest.shards}
    version = open_contents(sealed.manifest, store.objects[sealed.manifest.headers], [identity], store)
    target = tmp_path / "target"
    target.mkdir()
    unpack(version, target, store, verify=True)
    assert tree(target) == tree(folder)


def test_a_spool_without_room_is_named_and_nothing_is_left_in_it(folder, tmp_path, small_disk):
    """A small shard reaches the disk only when its file is closed."""
    disk = small_disk(tmp_path / "disk", "64k")
    small = tmp_path / "small"
    small.mkdir()
    (small / "a").write_bytes(b"some bytes")
    spool = disk.folder / "spool"
    spool.mkdir()
    for source in (small, folder):
        disk.fill()
        head = VersionHead(TENANT, DATASET, 1, "", Identity.generate().recipient)
        with plan_shards(source, sizes=SIZES) as plan, pytest.raises(OSError, match="No space left") as full:
            Sealer(head, LimitedObjects(), spool).seal(plan)
        assert (full.value.errno, full.value.filename) == (errno.ENOSPC, str(spool))
        assert list(spool.iterdir()) == []
        disk.empty()
