import os
import time

import pytest
from trees import build, pack, stored

from kifabrik.datasets.contents import Contents, contents_digest
from kifabrik.datasets.grouping import ShardSizes
from kifabrik.datasets.index import Index, IndexWriter
from kifabrik.datasets.packing import plan_shards
from kifabrik.errors import IntegrityError, NotFoundError

SIZES = ShardSizes(40_000, 20_000)
OLD = time.time() - 1000


def many(root, count=300):
    build(root, {f"d{i % 5}/{i:03}": (os.urandom(1000 + i), False) for i in range(count)} | {"e": None})
    for place in root.rglob("*"):
        os.utime(place, (OLD, OLD))


def seal(root, index, previous=(), rehashed=None):
    """Play a sealing: return contents and how many shards were written anew."""
    written, records = 0, []
    with (
        plan_shards(
            root, previous=previous, sizes=SIZES, on_rehash=([] if rehashed is None else rehashed).append
        ) as plan,
        IndexWriter(index, owner="d-x", recipient="age1x") as writer,
    ):
        for number, shard in enumerate(plan.shards):
            record = shard.reused
            if record is None:
                record = shard.record(shard.write_to(len), stored(f"{index.name} {number}"))
                written += 1
            writer.append(record)
            records.append(record)
        writer.finish("f" * 64)
    return Contents("test", "", tuple(record.shard for record in records)), written


def age_states(monkeypatch):
    """Let the states be kept at once: as if the files had not been touched for long."""
    monkeypatch.setattr("kifabrik.datasets.index.QUIET_NS", -(10**12))


def test_an_index_reads_back_as_it_was_written(tmp_path):
    many(tmp_path / "source")
    contents, written = seal(tmp_path / "source", tmp_path / "one")
    index = Index.load(tmp_path / "one")
    assert (index.owner, index.recipient, index.manifest) == ("d-x", "age1x", "f" * 64)
    assert tuple(record.shard for record in index.records) == contents.shards
    assert [record.stored for record in index.records] == [stored(f"one {n}") for n in range(written)]
    assert (tmp_path / "one").stat().st_mode & 0o777 == 0o600


def test_an_unchanged_folder_is_neither_written_nor_read_again(tmp_path, monkeypatch):
    age_states(monkeypatch)
    many(tmp_path / "source")
    first, written = seal(tmp_path / "source", tmp_path / "one")
    assert written > 5
    rehashed = []
    second, again = seal(tmp_path / "source", tmp_path / "two", [Index.load(tmp_path / "one")], rehashed)
    assert (again, rehashed) == (0, [])
    assert second == first


def test_files_touched_a_moment_ago_are_read_to_be_sure(tmp_path):
    many(tmp_path / "source")  # their inodes changed just now
    first, _ = seal(tmp_path / "source", tmp_path / "one")
    rehashed = []
    second, again = seal(tmp_path / "source", tmp_path / "two", [Index.load(tmp_path / "one")], rehashed)
    assert (again, len(rehashed)) == (0, 300)
    assert second == first


@pytest.mark.parametrize("change", ["content", "longer", "mode", "gone", "new", "directory"])
def test_a_change_seals_only_the_shards_it_touches(tmp_path, monkeypatch, change):
    age_states(monkeypatch)
    source = tmp_path / "source"
    many(source)
    _, all_of_them = seal(source, tmp_path / "one")
    place = source / "d2/152"
    if change == "content":
        place.write_bytes(os.urandom(place.stat().st_size))
        os.utime(place, (OLD, OLD))  # even with its time set back
    elif change == "longer":
        place.write_bytes(b"x" * 3000)
    elif change == "mode":
        place.chmod(0o755)
    elif change == "gone":
        place.unlink()
    elif change == "new":
        (source / "d2/152b").write_bytes(b"new")
    else:
        (source / "d2/hollow").mkdir()
    second, again = seal(source, tmp_path / "two", [Index.load(tmp_path / "one")])
    assert 1 <= again <= 4 < all_of_them
    assert contents_digest(second) == contents_digest(pack(source)[0])


def test_a_new_time_alone_seals_nothing_but_is_in_the_contents(tmp_path, monkeypatch):
    age_states(monkeypatch)
    source = tmp_path / "source"
    many(source)
    seal(source, tmp_path / "one")
    os.utime(source / "d2/152", (1_500_000_000, 1_500_000_000))
    second, again = seal(source, tmp_path / "two", [Index.load(tmp_path / "one")])
    assert again == 0
    assert second.find("d2/152")[1].mtime == 1_500_000_000


def test_an_interrupted_sealing_is_gone_on_with(tmp_path, monkeypatch):
    age_states(monkeypatch)
    source = tmp_path / "source"
    many(source)
    with (
        plan_shards(source, sizes=SIZES) as plan,
        IndexWriter(tmp_path / "half", owner="d-x", recipient="age1x") as writer,
    ):
        total = len(plan.shards)
        for number, shard in enumerate(plan.shards[:3]):
            writer.append(shard.record(shard.write_to(len), stored(str(number))))
    with (tmp_path / "half").open("ab") as stream:
        stream.write(b'{"shard": {"cut off by a cra')
    half = Index.load(tmp_path / "half")
    assert (len(half.records), half.manifest) == (3, "")
    _, again = seal(source, tmp_path / "one", [half])
    assert again == total - 3


def test_a_missing_index_is_not_found_and_a_foreign_file_is_refused(tmp_path):
    with pytest.raises(NotFoundError):
        Index.load(tmp_path / "none")
    for text in (
        b"",
        b"\n",
        b"x\n",
        b"{}\n",
        b'{"format":"kifabrik-index/v1","owner":"a","recipient":"b"}\n{}\n{"manifest":""}\n',
        b'{"format":"kifabrik-index/v1","owner":"a","recipient":"b"}\nnonsense\n{"manifest":""}\n',
    ):
        (tmp_path / "index").write_bytes(text)
        with pytest.raises(IntegrityError) as caught:
            Index.load(tmp_path / "index")
        assert caught.value.hint
