import json
import zlib
from dataclasses import replace

import pytest

from kifabrik.datasets.contents import Contents, FileEntry, ShardContents, ShardKind, contents_digest
from kifabrik.datasets.encoding import decode_contents, encode_contents
from kifabrik.errors import IntegrityError, NotFoundError, UsageError
from kifabrik.values import sha256_hex

ONE, TWO = sha256_hex(b"one"), sha256_hex(b"two")


def entry(path="a", offset=512, size=100, sha256=ONE, executable=False, mtime=1_700_000_000):
    return FileEntry(path, offset, size, sha256, executable, mtime)


def tar(*files, size=10_240, directories=()):
    return ShardContents(ShardKind.TAR, TWO, size, files, directories)


def contents(*shards):
    return Contents("press-line-7", "Strokes of one press", shards)


SMALL = contents(
    tar(entry("a"), entry("b/ä", 1536, executable=True), directories=("empty",)),
    ShardContents(ShardKind.FILE, ONE, 10**12, (entry("large", 0, 10**12),)),
)


def test_contents_read_back_as_they_were():
    assert decode_contents(encode_contents(SMALL)) == SMALL


def test_large_contents_are_deflated_and_read_back():
    many = contents(tar(*(entry(f"x/{i:05}", 512 + 1024 * i) for i in range(2000)), size=2**22))
    data = encode_contents(many)
    assert data[:1] != b"{"
    assert decode_contents(data) == many


def test_a_file_is_found_with_its_shard():
    assert SMALL.find("large") == (1, entry("large", 0, 10**12))
    assert (SMALL.file_count, SMALL.files_size) == (3, 10**12 + 200)
    with pytest.raises(NotFoundError):
        SMALL.find("nothing")


def test_the_digest_is_that_of_the_tree_not_of_its_packing():
    apart = contents(tar(entry("b/ä", executable=True, mtime=1), directories=("empty",)), tar(entry("a")))
    one = contents(tar(entry("a"), entry("b/ä", 1536, executable=True), directories=("empty",)))
    assert contents_digest(apart) == contents_digest(replace(one, name="other", description=""))


def test_the_digest_is_the_documented_one():
    rows = f"f 100 {ONE} a\0d 0 - b\0".encode()
    one = contents(tar(entry("a"), directories=("b",)))
    assert contents_digest(one) == sha256_hex(b"kifabrik-tree/v1\n" + rows)


@pytest.mark.parametrize(
    "change", [{"path": "c"}, {"size": 101}, {"sha256": TWO}, {"executable": True}], ids=lambda c: next(iter(c))
)
def test_any_change_of_a_file_changes_the_digest(change):
    before = contents(tar(entry()))
    assert contents_digest(contents(tar(replace(entry(), **change)))) != contents_digest(before)


def test_a_name_or_description_out_of_bounds_is_refused():
    with pytest.raises(UsageError):
        Contents("Press", "", ())
    with pytest.raises(IntegrityError):
        Contents("press", "x" * 5000, ())


def body():
    return json.loads(encode_contents(SMALL))


def drop(key):
    def change(value):
        del value[key]

    return change


def put(*path, value):
    def change(target):
        for step in path[:-1]:
            target = target[step]
        target[path[-1]] = value

    return change


@pytest.mark.parametrize(
    "change",
    [
        drop("description"),
        put("more", value=1),
        put("format", value="kifabrik-contents/v2"),
        put("name", value=5),
        put("name", value="Upper"),
        put("shards", value={}),
        put("shards", 0, value=[]),
        put("shards", 0, value=7),
        put("shards", 0, "kind", value="zip"),
        put("shards", 0, "kind", value=[]),
        put("shards", 0, "size", value=True),
        put("shards", 0, "size", value=1.5),
        put("shards", 0, "directories", value=[1]),
        put("shards", 0, "files", 0, value=["a", 512, 100, ONE, False]),
        put("shards", 0, "files", 0, 1, value="512"),
        put("shards", 0, "files", 0, 2, value=-1),
        put("shards", 0, "files", 0, 3, value=ONE.upper()),
        put("shards", 0, "files", 0, 4, value=1),
        put("shards", 0, "files", 0, 5, value=8**11),
    ],
)
def test_contents_of_another_shape_are_refused(change):
    value = body()
    change(value)
    with pytest.raises(IntegrityError):
        decode_contents(json.dumps(value).encode())


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff",
        b'{"a":1,"a":1}',
        b'{"a":NaN}',
        b'{"a":' * 100_000,
        b'{"a":' + b"9" * 5000 + b"}",
        zlib.compress(b"{}"),
        zlib.compress(b'{"a":1}')[:-3],
        zlib.compress(b'{"a":1}') + b"x",
    ],
    ids=range(12),
)
def test_bytes_that_are_no_contents_are_refused(data):
    with pytest.raises(IntegrityError):
        decode_contents(data)
