"""Bodies written by `BodyWriter` and `seal_bytes`, opened in every way there is."""

import hashlib
import io
import mmap
import os
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kifabrik.errors import CapacityError, IntegrityError, NotFoundError, UnavailableError, UsageError
from kifabrik.seals.opening import BodyReader, copy_opened, open_body_into, open_bytes
from kifabrik.seals.sealing import BodyWriter, seal_bytes
from kifabrik.seals.stream import BATCH, PLAIN_CHUNK, SEALED_CHUNK, plaintext_size, sealed_size

FILE_KEY = bytes(range(16))
CHUNK = PLAIN_CHUNK
EDGES = [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, BATCH * CHUNK, BATCH * CHUNK + 1, 40 * CHUNK + 7]
PLAIN = os.urandom(1 << 20) * 3


def written(plain: bytes, pieces: list[int], threads: int = 1) -> tuple[bytes, BodyWriter]:
    sink = io.BytesIO()
    with BodyWriter(sink, FILE_KEY, threads=threads) as writer:
        start = 0
        for piece in [*pieces, len(plain)]:
            writer.write(plain[start : start + piece])
            start += piece
    return sink.getvalue(), writer


def streamed(body: bytes, threads: int = 1) -> bytes:
    sink = io.BytesIO()
    assert copy_opened(io.BytesIO(body), sink, FILE_KEY, threads=threads) == len(sink.getvalue())
    return sink.getvalue()


@pytest.mark.parametrize("size", EDGES)
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_every_way_of_opening_returns_what_was_sealed(tmp_path: Path, size: int, threads: int) -> None:
    plain = PLAIN[:size]
    body, writer = written(plain, [], threads)
    assert len(body) == writer.size == sealed_size(size)
    assert plaintext_size(len(body)) == size
    path = tmp_path / "body"
    path.write_bytes(body)
    assert open_bytes(body, FILE_KEY) == plain
    assert streamed(body, threads) == plain
    room = bytearray(size + 5)
    assert open_body_into(path, None, FILE_KEY, room, threads=threads) == size
    assert room == plain + bytes(5)
    with (tmp_path / "plain").open("wb") as target:
        assert open_body_into(body, len(body), FILE_KEY, target.fileno(), threads=threads) == size
    assert (tmp_path / "plain").read_bytes() == plain
    with BodyReader(path, None, FILE_KEY) as reader:
        assert reader.read() == plain


@settings(max_examples=40)
@given(st.integers(0, 3 * CHUNK), st.lists(st.integers(0, 2 * CHUNK), max_size=8), st.integers(1, 3))
def test_how_data_is_cut_into_writes_does_not_matter(size: int, pieces: list[int], threads: int) -> None:
    body, writer = written(PLAIN[:size], pieces, threads)
    assert open_bytes(body, FILE_KEY) == PLAIN[:size]
    assert writer.sha256 == hashlib.sha256(body).hexdigest()
    assert writer.size == len(body)


@pytest.fixture(scope="module")
def long_body() -> bytes:
    return seal_bytes(PLAIN, FILE_KEY)


@settings(max_examples=80)
@given(
    st.lists(
        st.tuples(st.integers(0, len(PLAIN) + 9), st.integers(0, 30 * CHUNK) | st.integers(0, 300)),
        min_size=1,
        max_size=6,
    )
)
def test_reads_anywhere_return_the_bytes_there(long_body: bytes, reads: list[tuple[int, int]]) -> None:
    with BodyReader(long_body, None, FILE_KEY) as reader:
        for offset, size in reads:
            assert reader.read_at(offset, size) == PLAIN[offset : offset + size]
            room = bytearray(size)
            count = reader.read_into_at(offset, room)
            assert room[:count] == PLAIN[offset : offset + size]


@settings(max_examples=40)
@given(st.lists(st.integers(0, 3 * CHUNK), max_size=20), st.integers(0, len(PLAIN)))
def test_reading_on_from_a_position_is_reading_a_file(long_body: bytes, sizes: list[int], start: int) -> None:
    with BodyReader(long_body, None, FILE_KEY) as reader:
        file = io.BytesIO(PLAIN)
        assert reader.seek(start) == file.seek(start)
        for size in sizes:
            assert reader.read(size) == file.read(size)
            assert reader.tell() == file.tell()


def test_a_reader_is_a_file_to_the_standard_library(long_body: bytes) -> None:
    with io.BufferedReader(BodyReader(long_body, None, FILE_KEY)) as file:
        assert file.seek(-10, io.SEEK_END) == len(PLAIN) - 10
        assert file.read() == PLAIN[-10:]
        file.seek(5)
        file.seek(7, io.SEEK_CUR)
        assert file.read(100) == PLAIN[12:112]
        assert (file.readable(), file.seekable(), file.writable()) == (True, True, False)


def sources(body: bytes, tmp_path: Path) -> dict[str, object]:
    path = tmp_path / "body"
    path.write_bytes(body)
    with path.open("rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    return {
        "path": path,
        "text path": str(path),
        "bytes": body,
        "bytearray": bytearray(body),
        "memoryview": memoryview(body),
        "map": mapped,
        "stream": io.BytesIO(body),
        "function": lambda offset, size: body[offset : offset + size],
    }


def test_a_body_may_lie_anywhere(tmp_path: Path) -> None:
    body = seal_bytes(PLAIN[: 5 * CHUNK + 3], FILE_KEY)
    for name, source in sources(body, tmp_path).items():
        with BodyReader(source, len(body), FILE_KEY) as reader:
            assert reader.read_at(CHUNK - 1, 2 * CHUNK) == PLAIN[CHUNK - 1 : 3 * CHUNK - 1], name
            assert reader.read() == PLAIN[: 5 * CHUNK + 3], name
        if name == "map":
            source.close()  # raises while a view of it is left


def test_many_threads_may_read_one_body_at_once(tmp_path: Path, long_body: bytes) -> None:
    for name, source in sources(long_body, tmp_path).items():
        failures = []

        def read_around(reader: BodyReader, first: int, failures: list = failures) -> None:
            for i in range(12):
                offset = (first * 7919 + i * 104729 * 3) % len(PLAIN)
                if reader.read_at(offset, 150_000) != PLAIN[offset : offset + 150_000]:
                    failures.append(offset)

        with BodyReader(source, len(long_body), FILE_KEY) as reader:
            threads = [threading.Thread(target=read_around, args=(reader, i)) for i in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        assert failures == [], name


def test_the_size_must_be_right_and_known(tmp_path: Path) -> None:
    body = seal_bytes(b"x", FILE_KEY)
    with pytest.raises(IntegrityError, match="33 bytes where 34"):
        BodyReader(body, 34, FILE_KEY)
    with pytest.raises(UsageError, match="size"):
        BodyReader(lambda offset, size: body[offset : offset + size], None, FILE_KEY)
    with pytest.raises(IntegrityError, match="missing"):
        BodyReader(lambda offset, size: body[offset : offset + size], 40, FILE_KEY)
    with pytest.raises(NotFoundError, match="no such file"):
        BodyReader(tmp_path / "absent", None, FILE_KEY)
    read, write = os.pipe()
    os.close(write)
    with os.fdopen(read, "rb") as pipe, pytest.raises(UsageError, match="cannot seek"):
        BodyReader(pipe, 40, FILE_KEY)


def test_a_file_cut_off_under_the_reader_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "body"
    path.write_bytes(seal_bytes(PLAIN[: 3 * CHUNK], FILE_KEY))
    with BodyReader(path, None, FILE_KEY) as reader:
        os.truncate(path, CHUNK)
        with pytest.raises(IntegrityError, match="missing"):
            reader.read_at(0, 10)


def test_a_pipe_can_be_opened_as_it_comes() -> None:
    body = seal_bytes(PLAIN[: 5 * CHUNK], FILE_KEY)
    read, write = os.pipe()

    def feed() -> None:
        with os.fdopen(write, "wb") as pipe:
            pipe.write(body)

    feeder = threading.Thread(target=feed)
    feeder.start()
    sink = io.BytesIO()
    with os.fdopen(read, "rb", buffering=0) as pipe:
        copy_opened(pipe, sink, FILE_KEY)
    feeder.join()
    assert sink.getvalue() == PLAIN[: 5 * CHUNK]


class Trickle(io.RawIOBase):
    """A raw sink that takes a few bytes at a time, as sockets do."""

    def __init__(self) -> None:
        self.taken = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: memoryview) -> int:
        self.taken += data[:10_000]
        return min(len(data), 10_000)


def test_a_sink_that_takes_little_gets_everything() -> None:
    sealed, opened = Trickle(), Trickle()
    with BodyWriter(sealed, FILE_KEY) as writer:
        writer.write(PLAIN[:200_000])
    copy_opened(io.BytesIO(sealed.taken), opened, FILE_KEY)
    assert opened.taken == PLAIN[:200_000]


@pytest.mark.parametrize("threads", [1, 2])
def test_no_byte_is_lost_at_a_pipe_that_is_full_and_does_not_block(threads: int) -> None:
    """Its `write` returns None, which is also what writers say that have taken everything."""
    read, write = os.pipe()
    os.set_blocking(write, False)
    with os.fdopen(read, "rb", buffering=0), os.fdopen(write, "wb", buffering=0) as pipe:
        with pytest.raises(UnavailableError, match="does not block"), BodyWriter(pipe, FILE_KEY) as writer:
            writer.write(PLAIN)
        body = io.BytesIO(seal_bytes(PLAIN, FILE_KEY))
        with pytest.raises(UnavailableError, match="does not block"):
            copy_opened(body, pipe, FILE_KEY, threads=threads)


def test_a_sink_that_takes_nothing_is_an_error_and_not_waited_for_for_ever() -> None:
    class Full(Trickle):
        def write(self, _data: memoryview) -> int:
            return 0

    with pytest.raises(UnavailableError, match="takes no more"), BodyWriter(Full(), FILE_KEY) as writer:
        writer.write(PLAIN)


def test_a_pipe_that_is_empty_for_now_and_does_not_block_is_not_the_end_of_a_body() -> None:
    read, write = os.pipe()
    os.set_blocking(read, False)
    with os.fdopen(read, "rb", buffering=0) as pipe, os.fdopen(write, "wb", buffering=0) as feed:
        with pytest.raises(UnavailableError, match="does not block"):
            copy_opened(pipe, io.BytesIO(), FILE_KEY)
        feed.write(seal_bytes(b"x", FILE_KEY)[:20])
        with pytest.raises(UnavailableError, match="does not block"):
            copy_opened(pipe, io.BytesIO(), FILE_KEY)


@pytest.mark.parametrize("threads", [1, 3])
def test_progress_adds_up_to_the_plaintext(long_body: bytes, threads: int) -> None:
    steps = []
    total = copy_opened(io.BytesIO(long_body), io.BytesIO(), FILE_KEY, threads=threads, progress=steps.append)
    assert sum(steps) == total == len(PLAIN)
    assert len(steps) == 3


def test_bodies_under_one_file_key_have_keys_of_their_own() -> None:
    first, second = seal_bytes(b"same", FILE_KEY), seal_bytes(b"same", FILE_KEY)
    assert first[:16] != second[:16]
    assert first[16:] != second[16:]
    with pytest.raises(IntegrityError):
        open_bytes(first[:16] + second[16:], FILE_KEY)


@pytest.mark.parametrize("threads", [1, 2])
def test_a_body_given_up_half_way_never_opens(threads: int) -> None:
    class GivenUpError(Exception):
        pass

    sink = io.BytesIO()

    def give_up() -> None:
        with BodyWriter(sink, FILE_KEY, threads=threads) as writer:
            writer.write(PLAIN[: 5 * CHUNK])
            raise GivenUpError

    with pytest.raises(GivenUpError):
        give_up()
    assert len(sink.getvalue()) > 4 * CHUNK
    for end in range(16, len(sink.getvalue()) + 1, SEALED_CHUNK):
        with pytest.raises(IntegrityError):
            open_bytes(sink.getvalue()[:end], FILE_KEY)


@pytest.mark.parametrize("threads", [1, 3])
def test_a_sink_that_fails_closes_the_writer(threads: int) -> None:
    class FullError(Exception):
        pass

    class Full(io.BytesIO):
        def write(self, data: memoryview) -> int:
            if self.tell() > 2 << 20:
                raise FullError
            return super().write(data)

    sink = Full()
    writer = BodyWriter(sink, FILE_KEY, threads=threads)
    with pytest.raises(FullError):
        writer.write(PLAIN * 3)
    with pytest.raises(UsageError, match="closed"):
        writer.write(b"more")
    writer.close()
    with pytest.raises(IntegrityError):
        open_bytes(sink.getvalue(), FILE_KEY)


def test_a_closed_writer_takes_nothing_and_closes_twice() -> None:
    sink = io.BytesIO()
    writer = BodyWriter(sink, FILE_KEY)
    assert writer.write(b"all") == 3
    writer.close()
    writer.close()
    with pytest.raises(UsageError, match="closed"):
        writer.write(b"more")
    assert open_bytes(sink.getvalue(), FILE_KEY) == b"all"


def test_arguments_that_make_no_sense_are_refused(tmp_path: Path) -> None:
    body = seal_bytes(b"x", FILE_KEY)
    for key in (b"", bytes(32)):
        for act in (
            lambda key=key: BodyWriter(io.BytesIO(), key),
            lambda key=key: seal_bytes(b"", key),
            lambda key=key: open_bytes(body, key),
            lambda key=key: copy_opened(io.BytesIO(body), io.BytesIO(), key),
        ):
            with pytest.raises(UsageError, match="16 bytes"):
                act()
    for threads in (0, -1):
        with pytest.raises(UsageError, match="thread"):
            BodyWriter(io.BytesIO(), FILE_KEY, threads=threads)
        with pytest.raises(UsageError, match="thread"):
            copy_opened(io.BytesIO(body), io.BytesIO(), FILE_KEY, threads=threads)
        with pytest.raises(UsageError, match="thread"):
            open_body_into(body, None, FILE_KEY, bytearray(1), threads=threads)
    with pytest.raises(UsageError, match="buffer"):
        open_body_into(body, None, FILE_KEY, bytearray(0))
    reader = BodyReader(body, None, FILE_KEY)
    for wrong in (lambda: reader.read_at(-1, 1), lambda: reader.seek(-1), lambda: reader.seek(-2, io.SEEK_END)):
        with pytest.raises(UsageError):
            wrong()
    reader.close()
    with pytest.raises(UsageError):
        reader.read_at(0, 1)


def test_a_full_disk_is_a_lack_of_capacity() -> None:
    body = seal_bytes(b"x", FILE_KEY)
    with Path("/dev/full").open("wb", buffering=0) as full, pytest.raises(CapacityError):
        open_body_into(body, None, FILE_KEY, full.fileno())


@given(st.integers(0, 10**13))
def test_sizes_of_plaintext_and_body_belong_together(size: int) -> None:
    assert plaintext_size(sealed_size(size)) == size
    assert sealed_size(size) == 16 + size + 16 * max(1, -(-size // CHUNK))


@given(st.integers(-10, 5 * SEALED_CHUNK))
def test_sizes_no_body_has_are_refused(size: int) -> None:
    tail = (size - 16) % SEALED_CHUNK
    if size == 32 or (size > 32 and (tail == 0 or tail > 16)):
        assert sealed_size(plaintext_size(size)) == size
    else:
        with pytest.raises(IntegrityError):
            plaintext_size(size)


def test_closing_wipes_what_was_held_for_the_small_reads_of_every_thread(long_body: bytes) -> None:
    reader, held = BodyReader(long_body, None, FILE_KEY), []
    together = threading.Barrier(3)

    def read(offset: int, size: int) -> None:
        together.wait(20)  # numbers of threads that have ended are given again
        reader.read_at(offset, size)
        held.append(reader._own.plain)
        together.wait(20)

    reads = [(10, 10), (5 * CHUNK + 1, 3 * CHUNK), (CHUNK + 7, 2)]
    threads = [threading.Thread(target=read, args=one) for one in reads]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    reader.read_at(20, 20)
    held.append(reader._own.plain)
    reader.read_at(CHUNK + 30, CHUNK + 20)  # more room than before: what was held is wiped at once
    held.append(reader._own.plain)
    assert [any(plain) for plain in held] == [True, True, True, False, True]
    reader.close()
    assert not any(any(plain) for plain in held)


def test_a_reader_can_be_closed_by_a_thread_that_never_read(tmp_path):
    path, key = tmp_path / "body", bytes(16)
    path.write_bytes(seal_bytes(b"plaintext", key))
    reader = BodyReader(path, None, key)
    failed = []

    def close():
        try:
            reader.close()
        except Exception as error:  # noqa: BLE001 - a finalizer would swallow it and leave the file open
            failed.append(error)

    thread = threading.Thread(target=close)
    thread.start()
    thread.join()
    assert failed == []
    assert reader.closed


@pytest.mark.parametrize(("chunk", "count"), [(0, 1), (0, 3), (2, 2), (46, 2), (47, 1), (0, 48)])
def test_whole_chunks_are_opened_into_the_callers_own_buffers(long_body: bytes, chunk: int, count: int) -> None:
    plain = open_bytes(long_body, FILE_KEY)
    into, scratch = memoryview(bytearray(count * CHUNK)), memoryview(bytearray(count * SEALED_CHUNK))
    with BodyReader(long_body, None, FILE_KEY) as reader:
        assert reader.chunks == 48
        size = reader.open_chunks_at(chunk, count, into, scratch)
    assert into[:size] == plain[chunk * CHUNK : (chunk + count) * CHUNK]


@pytest.mark.parametrize(("chunk", "count"), [(-1, 1), (-1, 2), (0, 0), (47, 2), (48, 1), (0, 49), (3, -1)])
def test_chunks_that_a_body_does_not_have_are_refused(long_body: bytes, chunk: int, count: int) -> None:
    room = memoryview(bytearray(49 * SEALED_CHUNK))
    with BodyReader(long_body, None, FILE_KEY) as reader, pytest.raises(UsageError, match="of a body of 48"):
        reader.open_chunks_at(chunk, count, room, room)


def test_of_a_chunk_that_does_not_verify_nothing_is_left_in_the_callers_buffer(long_body: bytes) -> None:
    broken = bytearray(long_body)
    broken[16 + SEALED_CHUNK + 5] ^= 1
    into, scratch = memoryview(bytearray(3 * CHUNK)), memoryview(bytearray(3 * SEALED_CHUNK))
    with (
        BodyReader(broken, None, FILE_KEY) as reader,
        pytest.raises(IntegrityError, match="chunk 1 does not verify"),
    ):
        reader.open_chunks_at(0, 3, into, scratch)
    assert not any(into[CHUNK:])


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("chunks", [1, BATCH - 1, BATCH, BATCH + 1])
@pytest.mark.parametrize("more", [1, SEALED_CHUNK, 3 * BATCH * SEALED_CHUNK])
def test_what_follows_the_last_chunk_is_told_wherever_a_batch_ends(threads: int, chunks: int, more: int) -> None:
    plain, sink = PLAIN[: chunks * CHUNK], io.BytesIO()
    with pytest.raises(IntegrityError, match=f"something follows chunk {chunks - 1}, which is its last"):
        copy_opened(io.BytesIO(seal_bytes(plain, FILE_KEY) + bytes(more)), sink, FILE_KEY, threads=threads)
    assert sink.getvalue() == plain
