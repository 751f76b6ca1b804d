import io
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kifabrik.datasets.paths import fault_of
from kifabrik.datasets.tar import END_OF_TAR, Kind, header_size, member_header
from kifabrik.datasets.tar_reading import Member, MemberReader, read_header, read_pax_path
from kifabrik.errors import IntegrityError

PATHS = st.one_of(
    st.text(min_size=1, max_size=300),
    st.lists(st.text("abcä ", min_size=1, max_size=90), min_size=1, max_size=8).map("/".join),
).filter(lambda path: not fault_of(path))


def read_all(data, step=10**9):
    reader, members, at = MemberReader(), [], 0
    while at < len(data):
        taken, member = reader.take(memoryview(data)[at : at + step])
        at += taken
        if member is not None:
            members.append(member)
    return members


@given(PATHS, st.integers(0, 2**32), st.integers(0, 8**11 - 1), st.booleans())
def test_pythons_tarfile_reads_what_we_write(path, size, mtime, executable):
    data = member_header(path, size, mtime, executable=executable)
    assert len(data) == header_size(path)
    with tarfile.open(fileobj=io.BytesIO(data + END_OF_TAR)) as archive:
        info = archive.next()
    assert info is not None
    assert (info.name, info.size, info.mtime, info.isreg()) == (path, size, mtime, True)
    assert (info.mode, info.uid, info.gid, info.uname) == (0o755 if executable else 0o644, 0, 0, "")


@given(PATHS, st.integers(0, 2**32), st.integers(1, 600))
def test_a_header_reads_back_in_pieces_of_any_size(path, size, step):
    file = member_header(path, size, 0, executable=False)
    directory = member_header(path + "/", 0, 0, executable=True)
    assert read_all(file + directory + END_OF_TAR, step) == [
        Member(Kind.FILE, path, size),
        Member(Kind.DIRECTORY, path, 0),
        Member(Kind.END, "", 0),
        Member(Kind.END, "", 0),
    ]


@given(PATHS, st.sampled_from([tarfile.USTAR_FORMAT, tarfile.PAX_FORMAT]))
def test_headers_of_pythons_tarfile_are_read(path, form):
    info = tarfile.TarInfo(path)
    info.size = 7
    try:
        data = info.tobuf(form)
    except ValueError:
        return  # too long for ustar
    assert read_all(data) == [Member(Kind.FILE, path, 7)]


@pytest.mark.parametrize("length", [99, 100, 101, 155, 156, 255, 256, 257])
def test_ascii_paths_that_fit_take_one_block(length):
    path = ("d" * 60 + "/") * 4 + "f" * 200
    path = path[:length]
    prefix = path[:156].rpartition("/")[0]
    fits = length <= 100 or (prefix and length - len(prefix) - 1 <= 100)
    assert (len(member_header(path, 0, 0, executable=False)) == 512) == bool(fits)
    assert read_all(member_header(path, 0, 0, executable=False))[0].path == path


def test_a_pax_header_with_one_path_is_read():
    assert read_pax_path(b"9 path=x\n") == "x"
    assert read_pax_path("14 path=ä/ö\n".encode()) == "ä/ö"


@pytest.mark.parametrize(
    "payload", [b"", b"8 path=x\n", b"11 mtime=1\n", b"9 path=x\n9 path=y\n", b"9 path=xy", b"9 path=\xff\n"]
)
def test_a_pax_header_with_anything_else_is_refused(payload):
    with pytest.raises(IntegrityError):
        read_pax_path(payload)


@given(st.integers(0, 511), st.integers(1, 255))
def test_a_changed_byte_in_a_header_never_reads_as_the_same_member(position, change):
    block = bytearray(member_header("some/file.txt", 1234, 99, executable=False))
    block[position] ^= change
    try:
        member = read_header(bytes(block))
    except IntegrityError:
        return
    # the checksum field itself may be written in more than one way (spaces, zero bytes)
    assert 148 <= position < 156
    assert member == Member(Kind.FILE, "some/file.txt", 1234)
