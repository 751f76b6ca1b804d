"""What is said to the kernel about a read-only folder, byte by byte, and whether this machine can be spoken to."""

import struct

import pytest

from kifabrik.errors import UnavailableError
from kifabrik.sandbox import fuse_protocol as fuse
from kifabrik.sandbox.check import Verdict, check_sandbox
from kifabrik.sandbox.fuse_protocol import Attributes, Request
from kifabrik.sandbox.streamed import cannot_stream

EVERYTHING = 0xFFFF_FFFF


def offer(major=7, minor=45, abilities=EVERYTHING):
    """What the kernel says first."""
    return memoryview(struct.pack("=IIII", major, minor, 131072, abilities) + bytes(48))


def test_answers_have_the_sizes_of_the_kernels_structs():
    attributes = Attributes(7, folder=False, size=1000, mtime=5).to_bytes(1, 2)
    assert len(attributes) == 88  # struct fuse_attr
    assert len(fuse.attributes_answer(attributes)) == 104  # struct fuse_attr_out
    assert len(fuse.entry_answer(7, attributes)) == 128  # struct fuse_entry_out
    assert len(fuse.init_answer(offer())) == 64  # struct fuse_init_out
    assert len(fuse.statfs_answer(10, 1)) == 80  # struct fuse_kstatfs
    assert fuse.answer_head(9, 100) == struct.pack("=IiQ", 116, 0, 9)
    assert fuse.answer_head(9, 0, 5) == struct.pack("=IiQ", 16, -5, 9)


@pytest.mark.parametrize("size", range(1, 20))
def test_names_in_a_listing_are_padded_to_eight_bytes(size):
    entry = fuse.listed_name(b"n" * size, Attributes(7, folder=True), 3)
    assert len(entry) % 8 == 0
    assert struct.unpack_from("=QQII", entry) == (7, 3, size, 4)  # DT_DIR
    assert entry[24 : 24 + size] == b"n" * size
    assert entry[24 + size :].strip(b"\0") == b""


def test_nothing_is_writable_whatever_it_is():
    for attributes in (
        Attributes(1, folder=True),
        Attributes(2, folder=False),
        Attributes(2, folder=False, executable=True),
    ):
        assert attributes.mode & 0o7222 == 0


@pytest.mark.parametrize("said", [{"minor": 30}, {"major": 6}, {"abilities": 0}, {"abilities": EVERYTHING & ~1}])
def test_a_kernel_that_lacks_something_is_refused(said):
    with pytest.raises(UnavailableError, match="too old"):
        fuse.init_answer(offer(**said))


def test_no_newer_protocol_is_claimed_than_is_spoken():
    assert struct.unpack_from("=II", fuse.init_answer(offer(minor=99))) == (7, 38)
    assert struct.unpack_from("=II", fuse.init_answer(offer(minor=31))) == (7, 31)


def test_requests_are_read_as_the_kernel_writes_them():
    head = struct.pack("=IIQQIIIHH", 40 + 6, 1, 77, 3, 0, 0, 0, 0, 0)
    lookup = Request.from_bytes(memoryview(head + b"a.txt\0" + b"behind"))
    assert (lookup.opcode, lookup.unique, lookup.inode, lookup.name) == (1, 77, 3, b"a.txt")
    read = Request(15, 1, 2, memoryview(struct.pack("=QQIIQII", 0, 4096, 131072, 0, 0, 0, 0)))
    assert read.extent == (4096, 131072)


def test_doctor_says_whether_data_can_be_streamed(monkeypatch, tmp_path):
    def streaming():
        return next(check for check in check_sandbox() if check.name == "streaming")

    assert (streaming().verdict is Verdict.OK) == (cannot_stream() == "")
    for device, words in ((tmp_path / "none", "There is no"), (tmp_path, "is not a device")):
        monkeypatch.setattr("kifabrik.sandbox.streamed.DEVICE", device)
        assert streaming().verdict is Verdict.NOTICE
        assert words in streaming().sentence
        assert "modprobe fuse" in streaming().advice
