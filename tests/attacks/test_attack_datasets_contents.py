"""Hostile contents and manifests: what is signed by a member may still be made to harm."""

import json
import zlib

import pytest

from kifabrik.datasets.contents import Contents, FileEntry, ShardContents, ShardKind
from kifabrik.datasets.encoding import MOST_ENCODED_BYTES, decode_contents
from kifabrik.errors import IntegrityError
from kifabrik.values import sha256_hex

DIGEST = sha256_hex(b"x")


def encoded(files=(), *, kind="tar", size=10_240, directories=(), shards=None):
    one = {"kind": kind, "sha256": DIGEST, "size": size, "files": list(files), "directories": list(directories)}
    body = {"format": "kifabrik-contents/v1", "name": "x", "description": "", "shards": shards or [one]}
    return json.dumps(body).encode()


def row(path="a", offset=512, size=100, sha256=DIGEST):
    return [path, offset, size, sha256, False, 0]


def test_the_forms_used_here_are_valid_unless_changed():
    decode_contents(encoded([row(), row("b", 1536)], directories=["c"]))
    decode_contents(encoded([row(offset=0)], kind="file", size=100))


@pytest.mark.parametrize(
    "path",
    ["../x", "/etc/passwd", "a/../../x", "a//b", "", ".", "..", "a\\..\\b", "a\0b", "\x1b[2J", "a/", "\udcff"],
)
def test_path_traversal_in_contents_is_refused(path):
    with pytest.raises(IntegrityError):
        decode_contents(encoded([row(path)]))
    with pytest.raises(IntegrityError):
        decode_contents(encoded(directories=[path]))


@pytest.mark.parametrize(
    ("files", "directories"),
    [
        ([row("a"), row("a", 1536)], []),
        ([row("a"), row("a/b", 1536)], []),
        ([row("a/b/c"), row("a/b", 1536)], []),
        ([row("a")], ["a"]),
        ([row("a/b")], ["a"]),
        ([row("a")], ["a/b"]),
        ([], ["a", "a"]),
        ([], ["a", "a/b"]),
    ],
)
def test_a_path_that_is_two_things_is_refused(files, directories):
    with pytest.raises(IntegrityError):
        decode_contents(encoded(files, directories=directories))


def test_a_path_in_two_shards_is_refused():
    one = {"kind": "tar", "sha256": DIGEST, "size": 2048, "files": [row()], "directories": []}
    with pytest.raises(IntegrityError, match="twice"):
        decode_contents(encoded(shards=[one, one]))


@pytest.mark.parametrize(
    "files",
    [
        [row("a", 512, 600), row("b", 1024)],
        [row("a", 512, 100), row("b", 512)],
        [row("a", 1536), row("b", 512)],
        [row("a", 512, 100), row("b", 1024)],  # no room for its header
        [row("a", 0)],
        [row("a", 513)],
        [row("a", 512, 10_000)],
        [row("a", 10_240, 0), row("b", 10_752, 0)],
        [row("a", 2**52 - 2**52 % 512)],
    ],
)
def test_overlapping_misplaced_or_outlying_files_are_refused(files):
    with pytest.raises(IntegrityError):
        decode_contents(encoded(files))


@pytest.mark.parametrize(
    "files",
    [
        [],
        [row(offset=512)],
        [row(offset=0, size=99)],
        [row(offset=0, sha256=sha256_hex(b"y"))],
        [row(offset=0), row("b", 0)],
    ],
)
def test_a_file_shard_that_is_not_one_whole_file_is_refused(files):
    with pytest.raises(IntegrityError, match="exactly one file"):
        decode_contents(encoded(files, kind="file", size=100))


def test_a_deflate_bomb_is_not_unpacked_beyond_the_limit():
    deflater = zlib.compressobj(9)
    zeros = bytes(2**24)
    pieces = [deflater.compress(zeros) for _ in range(MOST_ENCODED_BYTES // len(zeros) + 1)]
    bomb = b"".join(pieces) + deflater.flush()
    assert len(bomb) < 2**20
    with pytest.raises(IntegrityError, match="larger than"):
        decode_contents(bomb)


def test_directories_without_end_do_not_fit_their_shard():
    with pytest.raises(IntegrityError, match="outside"):
        decode_contents(encoded(directories=[f"d{i}" for i in range(21)]))


def test_deeply_nested_json_is_refused_without_a_crash():
    with pytest.raises(IntegrityError):
        decode_contents(b'{"shards":' + b"[" * 200_000)


def test_duplicate_keys_cannot_show_two_readers_two_things():
    text = encoded([row()]).replace(b'"name"', b'"name": "y", "name"')
    with pytest.raises(IntegrityError):
        decode_contents(text)


def test_case_and_normal_forms_are_different_names_on_the_node_and_kept_apart():
    names = ("A", "a", "\u00e9", "e\u0301")
    entries = tuple(FileEntry(name, 512 + 1024 * i, 1, DIGEST, False, 0) for i, name in enumerate(names))
    contents = Contents("x", "", (ShardContents(ShardKind.TAR, DIGEST, 10_240, entries),))
    assert contents.file_count == 4


@pytest.mark.parametrize("text", ["\ud800", "a" * 4097])
def test_a_description_that_cannot_be_shown_is_refused(text):
    """JSON brings in lone surrogates that no terminal and no file takes; found by fuzzing."""
    body = json.loads(encoded([row()]))
    decode_contents(json.dumps(body | {"description": "a\u00fc"}).encode())
    with pytest.raises(IntegrityError, match="description"):
        decode_contents(json.dumps(body | {"description": text}).encode())
