"""Hostile shards: whoever writes the bytes, only what the contents name comes out, inside the folder."""

import io
import os
import random
import tarfile

import pytest

from kifabrik.datasets.contents import FileEntry, ShardContents, ShardKind
from kifabrik.datasets.folders import open_folder
from kifabrik.datasets.tar import END_OF_TAR, member_header
from kifabrik.datasets.unpacking import ShardUnpacker
from kifabrik.errors import ConflictError, IntegrityError
from kifabrik.values import sha256_hex

HELLO = b"hello"


def entry(path, offset=512, content=HELLO):
    return FileEntry(path, offset, len(content), sha256_hex(content), False, 0)


def shard(data, *files, directories=()):
    return ShardContents(ShardKind.TAR, sha256_hex(data), len(data), files, directories)


def made_by_tarfile(*members, form=tarfile.PAX_FORMAT):
    """Return a tar as another program writes it: (name, type, content, changes)."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=form) as archive:
        for name, kind, content, changes in members:
            info = tarfile.TarInfo(name)
            info.type, info.size = kind, len(content)
            for attribute, value in changes.items():
                setattr(info, attribute, value)
            archive.addfile(info, io.BytesIO(content))
    return stream.getvalue()


def file(name, content=HELLO, **changes):
    return (name, tarfile.REGTYPE, content, changes)


def unpack(root, data, what, *, verify=True):
    folder = open_folder(root)
    try:
        with ShardUnpacker(folder, what, verify=verify) as unpacker:
            unpacker.feed(data)
    finally:
        folder.close()


def everything_under(place):
    return sorted(str(found.relative_to(place)) for found in place.rglob("*"))


@pytest.fixture
def root(tmp_path):
    place = tmp_path / "around/root"
    place.mkdir(parents=True)
    (place.parent / "victim").write_text("untouched")
    yield place
    assert (place.parent / "victim").read_text() == "untouched"
    assert {found.name for found in place.parent.iterdir()} == {"root", "victim"}


def test_an_honest_tar_of_another_program_is_unpacked(root):
    data = made_by_tarfile(file("a"))
    unpack(root, data, shard(data, entry("a")))
    assert (root / "a").read_bytes() == HELLO


@pytest.mark.parametrize("name", ["../victim", "/etc/passwd", "x/../../victim", "./a", "a/", "other"])
def test_a_member_with_another_path_than_the_contents_name_is_refused(root, name):
    data = made_by_tarfile(file(name))
    with pytest.raises(IntegrityError):
        unpack(root, data, shard(data, entry("a")))
    assert everything_under(root) == []


@pytest.mark.parametrize("name", ["../victim", "/etc/passwd"])
def test_a_pax_path_that_leads_elsewhere_is_refused(root, name):
    data = made_by_tarfile(file("a", pax_headers={"path": name}))
    with pytest.raises(IntegrityError):
        unpack(root, data, shard(data, entry("a", 1536)))
    assert everything_under(root) == []


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (tarfile.SYMTYPE, "symbolic link"),
        (tarfile.LNKTYPE, "hard link"),
        (tarfile.CHRTYPE, "character device"),
        (tarfile.BLKTYPE, "block device"),
        (tarfile.FIFOTYPE, "FIFO"),
        (tarfile.CONTTYPE, "contiguous"),
        (tarfile.GNUTYPE_SPARSE, "sparse"),
        (b"Z", "unknown type"),
    ],
)
def test_anything_but_a_file_or_directory_is_refused_by_its_kind(root, kind, said):
    data = made_by_tarfile(("a", kind, b"", {"linkname": "../victim"}), form=tarfile.USTAR_FORMAT)
    with pytest.raises(IntegrityError, match=said):
        unpack(root, data, shard(data, FileEntry("a", 512, 0, sha256_hex(b""), False, 0)))
    assert everything_under(root) == []


def test_gnu_long_names_and_global_headers_are_refused(root):
    for data in (
        made_by_tarfile(file("x" * 300), form=tarfile.GNU_FORMAT),
        tarfile.TarInfo.create_pax_global_header({"path": "../victim"}) + made_by_tarfile(file("a")),
    ):
        with pytest.raises(IntegrityError, match=r"not a POSIX tar|global header"):
            unpack(root, data, shard(data, entry("a")))
    assert everything_under(root) == []


@pytest.mark.parametrize("mode", [0o4755, 0o2755, 0o1777])
def test_special_mode_bits_are_refused(root, mode):
    data = made_by_tarfile(file("a", mode=mode))
    with pytest.raises(IntegrityError, match="set-user-id"):
        unpack(root, data, shard(data, entry("a")))


def test_mode_and_owner_in_the_tar_mean_nothing(root):
    data = made_by_tarfile(file("a", mode=0o777, uid=12345, gid=54321))
    unpack(root, data, shard(data, entry("a")))
    status = (root / "a").stat()
    assert (status.st_mode & 0o7777, status.st_uid) == (0o444, os.geteuid())


def test_a_member_twice_is_refused(root):
    data = made_by_tarfile(file("a"), file("a"))
    with pytest.raises(IntegrityError):
        unpack(root, data, shard(data, entry("a")))


def test_a_member_the_contents_do_not_name_is_refused_before_between_and_behind(root):
    for number, names in enumerate((["x", "a", "b"], ["a", "x", "b"], ["a", "b", "x"])):
        data = made_by_tarfile(*map(file, names))
        offsets = {name: 512 + 1024 * place for place, name in enumerate(names)}
        target = root / str(number)
        target.mkdir()
        with pytest.raises(IntegrityError, match="'x'"):
            unpack(target, data, shard(data, entry("a", offsets["a"]), entry("b", offsets["b"])))
        assert not (target / "x").exists()


def test_members_in_another_order_are_refused(root):
    data = made_by_tarfile(file("b"), file("a"))
    with pytest.raises(IntegrityError):
        unpack(root, data, shard(data, entry("a"), entry("b", 1536)))


@pytest.mark.parametrize("directory", ["x", "..", "../y", "/y", "."])
def test_a_directory_the_contents_do_not_name_is_refused(root, directory):
    data = member_header(directory + "/", 0, 0, executable=True) + END_OF_TAR
    with pytest.raises(IntegrityError):
        unpack(root, data, shard(data))
    assert everything_under(root) == []


def test_a_size_other_than_the_contents_say_is_refused_before_a_byte_is_written(root):
    for content in (b"", b"hell", b"hello!", bytes(2**20)):
        data = member_header("a", len(content), 0, executable=False) + content.ljust(512, b"\0") + END_OF_TAR
        with pytest.raises(IntegrityError, match="size"):
            unpack(root, data, shard(data, entry("a")))
        assert everything_under(root) == []


def test_a_bomb_stops_at_the_size_the_contents_say(root):
    data = made_by_tarfile(file("a"))
    what = shard(data, entry("a"))
    folder = open_folder(root)
    with ShardUnpacker(folder, what, verify=True) as unpacker:
        unpacker.feed(data)
        with pytest.raises(IntegrityError, match="longer"):
            unpacker.feed(b"\0")
    folder.close()


def test_an_endless_file_shard_writes_no_byte_too_many(root):
    what = ShardContents(ShardKind.FILE, sha256_hex(HELLO), 5, (entry("a", 0),))
    with pytest.raises(IntegrityError, match="longer"):
        unpack(root, b"hello, and more", what)
    assert everything_under(root) == []


@pytest.mark.parametrize(
    "size", [b"99999999999\0", b"\x80" + bytes(10) + b"\x05", b"-0000000005\0", b"0x000000005\0"]
)
def test_a_size_that_is_not_plain_octal_or_is_wrong_is_refused(root, size):
    header = bytearray(member_header("a", 5, 0, executable=False))
    header[124:136] = size
    header[148:156] = b"        "
    header[148:156] = b"%06o\0 " % sum(header)
    data = bytes(header) + HELLO.ljust(512, b"\0") + END_OF_TAR
    with pytest.raises(IntegrityError):
        unpack(root, data, shard(data, entry("a")))
    assert everything_under(root) == []


@pytest.mark.parametrize("size", [0, 6000, 2**33 - 1])
def test_an_impossible_pax_header_is_refused(root, size):
    header = bytearray(member_header("ä", 5, 0, executable=False)[:512])
    header[124:136] = b"%011o\0" % size
    header[148:156] = b"        "
    header[148:156] = b"%06o\0 " % sum(header)
    data = bytes(header) + END_OF_TAR
    with pytest.raises(IntegrityError, match="pax"):
        unpack(root, data, shard(data))


def test_a_truncated_shard_leaves_no_half_file(root):
    data = made_by_tarfile(file("a", b"x" * 3000))
    what = shard(data, entry("a", content=b"x" * 3000))
    for length in (0, 100, 512, 1000, 3512, len(data) - 1):
        with pytest.raises(IntegrityError, match="shorter"):
            unpack(root, data[:length], what)
        complete = length >= 512 + 3000
        assert everything_under(root) == (["a"] if complete else [])
        if complete:
            (root / "a").unlink()


def test_a_flipped_bit_in_a_file_is_found_by_its_digest_and_the_file_removed(root):
    data = bytearray(made_by_tarfile(file("a")))
    data[514] ^= 1
    what = shard(bytes(data), entry("a"))
    with pytest.raises(IntegrityError, match="digest"):
        unpack(root, bytes(data), what)
    assert everything_under(root) == []


def test_something_behind_the_end_of_the_tar_is_refused(root):
    data = made_by_tarfile(file("a"))[:1024] + END_OF_TAR + member_header("b", 0, 0, executable=False)
    with pytest.raises(IntegrityError, match="behind its end"):
        unpack(root, data, shard(data, entry("a")))


@pytest.mark.parametrize("planted", ["file", "link", "folder link", "dangling"])
def test_nothing_that_stands_there_is_overwritten_or_followed(root, planted):
    data = member_header("d/a", 5, 0, executable=False) + HELLO.ljust(512, b"\0") + END_OF_TAR
    if planted == "folder link":
        (root / "d").symlink_to("..")
    else:
        (root / "d").mkdir()
        if planted == "file":
            (root / "d/a").write_text("mine")
        else:
            (root / "d/a").symlink_to("../../victim" if planted == "link" else "../../new")
    with pytest.raises((ConflictError, IntegrityError)):
        unpack(root, data, shard(data, entry("d/a")))
    if planted == "file":
        assert (root / "d/a").read_text() == "mine"


def test_two_names_one_file_system_holds_for_one_do_not_overwrite_each_other(root):
    """Case-insensitive systems answer the second creation like a second unpacking does here."""
    data = made_by_tarfile(file("a"))
    unpack(root, data, shard(data, entry("a")))
    with pytest.raises(ConflictError, match="'a' is there already") as caught:
        unpack(root, data, shard(data, entry("a")))
    assert "other case" in caught.value.hint


def test_random_bytes_unpack_to_nothing(root):
    dice = random.Random(7)
    for _ in range(300):
        data = dice.randbytes(2048)
        with pytest.raises(IntegrityError):
            unpack(root, data, shard(data, entry("a")))
    assert everything_under(root) == []


def test_a_changed_byte_anywhere_in_the_headers_never_changes_what_comes_out(root):
    dice = random.Random(8)
    data = made_by_tarfile(file("a"), file("d/ü"))
    ends = [entry("a"), entry("d/ü", data.index(HELLO, 1024))]
    content = {place for end in ends for place in range(end.offset, end.offset + 5)}
    for turn in range(400):
        place = dice.choice([place for place in range(len(data)) if place not in content])
        changed = bytearray(data)
        changed[place] ^= dice.randrange(1, 256)
        target = root / str(turn)
        target.mkdir()
        try:
            unpack(target, bytes(changed), shard(bytes(changed), *ends))
        except IntegrityError:
            assert set(everything_under(target)) <= {"a", "d", "d/ü"}
        else:
            assert {name: (target / name).read_bytes() for name in ("a", "d/ü")} == {"a": HELLO, "d/ü": HELLO}


@pytest.mark.parametrize("tail", [b"x", b"\0", b"x" * 511, member_header("x", 0, 0, executable=False)[:300]])
def test_half_a_header_at_the_end_is_refused(root, tail):
    """Another reader of tars calls such a file cut off; found by fuzzing."""
    data = member_header("a", 5, 0, executable=False) + HELLO.ljust(512, b"\0") + tail
    with pytest.raises(IntegrityError, match="within a header"):
        unpack(root, data, shard(data, entry("a")))


def test_a_path_without_its_member_at_the_end_is_refused(root):
    path = member_header("ü" * 90, 0, 0, executable=False)[:1024]
    data = member_header("a", 5, 0, executable=False) + HELLO.ljust(512, b"\0") + path
    with pytest.raises(IntegrityError, match="within a header"):
        unpack(root, data, shard(data, entry("a")))
