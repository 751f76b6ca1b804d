"""Plaintext at any position of many shards, from few open bodies and in little memory."""

import random
import threading

import pytest

from kifabrik.datasets.grouping import ShardSizes
from kifabrik.transfer.opening import DamagedShardError
from kifabrik.transfer.streaming import SealedPlaintext, Workplaces
from sealed_folders import FolderOfObjects, seal_folder

FILES, SIZE = 12, 200_000


@pytest.fixture(scope="module")
def sealed(tmp_path_factory):
    """Twelve files, each a shard of its own."""
    base = tmp_path_factory.mktemp("many")
    (base / "source").mkdir()
    for number in range(FILES):
        (base / "source" / f"{number:02}").write_bytes(random.Random(number).randbytes(SIZE))
    sizes = ShardSizes(target=2**20, small_file=2**10)
    version = seal_folder(base / "source", base / "objects", base / "spool", sizes)
    assert len(version.contents.shards) == FILES
    return base, version


def read(plaintext, version, number, offset, size):
    """Bytes of a file and what they should be."""
    shard, entry = version.contents.find(f"{number:02}")
    with plaintext.read(shard, entry.offset + offset, size) as pieces:
        return b"".join(pieces), random.Random(number).randbytes(SIZE)[offset : offset + size]


def test_any_piece_of_any_shard_is_the_files_own_with_few_bodies_open(sealed):
    base, version = sealed
    store = FolderOfObjects(base / "objects")
    plaintext, draw = SealedPlaintext(version, store, Workplaces(1), bodies=2), random.Random(3)
    for _ in range(200):
        offset = draw.randrange(SIZE)
        got, wanted = read(
            plaintext, version, draw.randrange(FILES), offset, min(draw.randrange(SIZE), SIZE - offset)
        )
        assert got == wanted
    assert len(plaintext._readers) == 2
    assert store.opened > FILES  # bodies were closed and opened again


def test_a_body_that_is_given_up_while_it_is_read_is_closed_by_its_last_reader(sealed):
    base, version = sealed
    plaintext = SealedPlaintext(version, FolderOfObjects(base / "objects"), Workplaces(4), bodies=1)
    wrong = []

    def reader(seed):
        draw = random.Random(seed)
        for _ in range(60):
            got, wanted = read(plaintext, version, draw.randrange(FILES), draw.randrange(1000), 150_000)
            wrong.append(got != wanted)

    threads = [threading.Thread(target=reader, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(wrong) == 360
    assert not any(wrong)


def test_a_shard_of_another_size_than_its_contents_say_is_damaged(sealed):
    base, version = sealed
    body = version.manifest.shards[3]
    path = FolderOfObjects(base / "objects").path(body.sha256)
    whole = path.read_bytes()
    plaintext = SealedPlaintext(version, FolderOfObjects(base / "objects"), Workplaces(1))
    try:
        path.write_bytes(whole[:-5])
        with (
            pytest.raises(DamagedShardError, match=f"shard {body.sha256[:16]} is damaged"),
            plaintext.read(3, 0, 5),
        ):
            pass
    finally:
        path.write_bytes(whole)
    with plaintext.read(3, 0, 5) as pieces:
        assert sum(map(len, pieces)) == 5
