"""Tiles: names and sizes as in the spec's examples, growth in any steps, hashes as in the tree."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sample_log import SampleLog, some_entries

from kifabrik.errors import IntegrityError, NotFoundError, UsageError
from kifabrik.ledger.merkle import (
    CompactTree,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    root_of,
    verify_consistency,
    verify_inclusion,
)
from kifabrik.ledger.tiles import (
    ENTRIES,
    Tile,
    TileReader,
    decode_bundle,
    decode_tile,
    encode_bundle,
    encode_tile,
    tiles_of,
    tiles_to_write,
)


@pytest.mark.parametrize(
    ("tile", "path"),
    [
        (Tile(0, 1234067), "tile/0/x001/x234/067"),  # the example of tlog-tiles
        (Tile(0, 0), "tile/0/000"),
        (Tile(0, 999), "tile/0/999"),
        (Tile(0, 1000), "tile/0/x001/000"),
        (Tile(2, 0, 1), "tile/2/000.p/1"),
        (Tile(ENTRIES, 273, 112), "tile/entries/273.p/112"),
        (Tile(63, 5, 255), "tile/63/005.p/255"),
    ],
)
def test_paths_are_those_of_the_spec(tile, path):
    assert tile.path == path
    assert Tile.from_path(path) == tile


@pytest.mark.parametrize(
    "path",
    [
        "tile/0/0",
        "tile/00/000",
        "tile/64/000",
        "tile/-1/000",
        "tile/0/x000/001",
        "tile/0/001/002",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/05",
        "tile/0/000/",
        "tile/0/../000",
        "/tile/0/000",
        "tile/entries/000\n",
        "tile/0/\u0660\u0660\u0660",
        "tile/0/" + "x001/" * 4000 + "000",
        "checkpoint",
    ],
)
def test_other_texts_are_not_paths_of_tiles(path):
    with pytest.raises(UsageError):
        Tile.from_path(path)


def test_a_tree_of_70000_has_the_tiles_the_spec_counts():
    tiles = list(tiles_of(70_000))
    full = [t for t in tiles if t.width == 256]
    assert sum(t.level == 0 for t in full) == 273
    assert sum(t.level == 1 for t in full) == 1
    assert {t for t in tiles if t.width < 256} == {
        Tile(ENTRIES, 273, 112),
        Tile(0, 273, 112),
        Tile(1, 1, 17),
        Tile(2, 0, 1),
    }


def test_a_tree_of_256_has_one_full_tile_and_one_hash_above_it():
    assert [t.path for t in tiles_of(256)] == ["tile/entries/000", "tile/0/000", "tile/1/000.p/1"]
    assert list(tiles_of(0)) == []


@given(steps=st.lists(st.integers(0, 300), min_size=1, max_size=6))
@settings(max_examples=25)
def test_the_tiles_of_a_size_do_not_depend_on_the_steps_that_led_there(steps):
    entries = some_entries(sum(steps))
    grown, at = SampleLog(), 0
    for step in steps:
        grown.append(entries[at : at + step])
        at += step
    at_once = SampleLog.of(entries)
    for tile in tiles_of(len(entries)):
        assert grown.files[tile.path] == at_once.files[tile.path]
    assert set(at_once.files) == {tile.path for tile in tiles_of(len(entries))}


def test_writing_the_same_tiles_again_changes_nothing():
    log = SampleLog.of(some_entries(300))
    before, files = log.tree.copy(), dict(log.files)
    new = some_entries(600)[300:]
    first = tiles_to_write(before, new, log.read)
    log.files |= first
    assert tiles_to_write(before, new, log.read) == first
    assert all(log.files[path] == data for path, data in files.items())
    assert tiles_to_write(before, [], log.read) == {}


def test_growing_across_three_levels_gives_the_tree():
    entries = [b"%d" % number for number in range(65_536 + 300)]
    log = SampleLog.of(entries[:65_500])
    log.append(entries[65_500:])
    assert log.tree.root() == root_of(map(leaf_hash, entries))
    assert log.reader.hash(16, 0) == root_of(map(leaf_hash, entries[:65_536]))
    assert log.files["tile/2/000.p/1"] == log.reader.hash(16, 0)


@given(size=st.integers(1, 1200), data=st.data())
@settings(max_examples=30)
def test_proofs_made_from_tiles_verify(size, data):
    entries = [b"%d" % number for number in range(size)]
    log = SampleLog.of(entries)
    reader, root = log.reader, log.tree.root()
    index, old = data.draw(st.integers(0, size - 1)), data.draw(st.integers(1, size))
    verify_inclusion(index, size, leaf_hash(entries[index]), inclusion_proof(size, index, reader.hash), root)
    before = root_of(map(leaf_hash, entries[:old]))
    verify_consistency(old, before, size, root, consistency_proof(old, size, reader.hash))
    start = data.draw(st.integers(0, size))
    assert reader.entries(start, size) == entries[start:]


def test_a_full_tile_stands_in_for_a_partial_one_that_was_deleted():
    log = SampleLog.of(some_entries(100))
    root = log.tree.root()
    log.append(some_entries(300)[100:])
    for path in [path for path in log.files if path.endswith(".p/100")]:
        del log.files[path]
    reader = TileReader(log.read, 100)
    assert reader.entries(90, 100) == log.entries[90:100]
    assert reader.bundle(0) == (log.entries[:100], b"")
    proof = inclusion_proof(100, 7, reader.hash)
    verify_inclusion(7, 100, leaf_hash(log.entries[7]), proof, root)


def test_nodes_and_entries_outside_the_log_are_refused():
    reader = SampleLog.of(some_entries(10)).reader
    for node in [(0, 10), (3, 1), (4, 0), (-1, 0), (0, -1)]:
        with pytest.raises(UsageError):
            reader.hash(*node)
    for bounds in [(0, 11), (5, 4), (-1, 3)]:
        with pytest.raises(UsageError):
            reader.entries(*bounds)
    with pytest.raises(NotFoundError):
        reader.tile(0, 1)


@pytest.mark.parametrize("path", ["tile/0/001.p/44", "tile/1/000.p/1", "tile/entries/001.p/44"])
def test_a_damaged_partial_tile_is_not_grown(path):
    log = SampleLog.of(some_entries(300))
    data = bytearray(log.files[path])
    data[40 % len(data)] ^= 1
    log.files[path] = bytes(data)
    with pytest.raises(IntegrityError):
        tiles_to_write(log.tree, [b"new"], log.read)


def test_a_missing_partial_tile_is_named():
    log = SampleLog.of(some_entries(300))
    del log.files["tile/0/001.p/44"]
    with pytest.raises(NotFoundError, match=r"tile/0/001\.p/44"):
        tiles_to_write(log.tree, [b"new"], log.read)


def test_tiles_and_bundles_of_another_width_are_refused():
    hashes = [leaf_hash(b"%d" % n) for n in range(5)]
    assert decode_tile(encode_tile(hashes), 5) == hashes
    entries = [b"", b"a", b"x" * 65535]
    assert decode_bundle(encode_bundle(entries), 3) == entries
    for width in (4, 6):
        with pytest.raises(IntegrityError):
            decode_tile(encode_tile(hashes), width)
    for data, width in [
        (encode_bundle(entries), 2),
        (encode_bundle(entries), 4),
        (encode_bundle(entries) + b"\0", 3),
    ]:
        with pytest.raises(IntegrityError):
            decode_bundle(data, width)
    with pytest.raises(UsageError):
        encode_bundle([b"x" * 65536])


def test_a_tree_that_is_not_the_stored_one_is_not_grown():
    log = SampleLog.of(some_entries(300))
    other = CompactTree()
    other.extend(leaf_hash(b"%d" % n) for n in range(300))
    with pytest.raises(IntegrityError, match="the stored tiles are not those"):
        tiles_to_write(other, [b"new"], log.read)


def test_a_bundle_that_holds_too_few_entries_gives_none_of_them():
    stored = {"tile/entries/000.p/3": encode_bundle([b"a", b"b"])}
    reader = TileReader(stored.__getitem__, 3)
    for start, end in ((0, 3), (2, 3), (0, 1)):
        with pytest.raises(IntegrityError, match="holds 2 entries, not 3"):
            reader.entries(start, end)


@pytest.mark.parametrize("index", [-1, 1, 2**40])
def test_tiles_beside_the_log_are_not_there(index):
    reader = TileReader(lambda path: pytest.fail(f"{path} was asked for"), 3)
    for ask in (lambda: reader.tile(0, index), lambda: reader.bundle(index), lambda: reader.path(0, index)):
        with pytest.raises(NotFoundError):
            ask()
