"""Reading a body: from the start, or anywhere.

Invariants:
- the last chunk is verified before anything else, so the size is authentic and a body that was cut
  off or appended to is refused before its first byte;
- a chunk that does not verify leaves no trace of itself in any buffer.
"""

import io
import threading

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from kifabrik.errors import IntegrityError, UsageError
from kifabrik.seals.sources import Source, SourceLike, WritableBuffer, source_of
from kifabrik.seals.stream import (
    BATCH,
    NONCE_BYTES,
    PLAIN_CHUNK,
    SEALED_CHUNK,
    TAG_BYTES,
    chunk_count,
    chunk_nonce,
    payload_cipher,
    plaintext_size,
)


def open_chunks(cipher: ChaCha20Poly1305, first: int, sealed: memoryview, plain: memoryview, *, last: bool) -> int:
    """Open consecutive chunks of a body into `plain` and return how many verified.

    If that is not all of them, the next one does not verify, and nothing of it is left in `plain`.

    Args:
        cipher: The body's own.
        first: Number of the first chunk.
        sealed: The chunks; only the last of the body may be short.
        plain: Room for their plaintext, at least.
        last: Whether these chunks go up to the end of the body.
    """
    decrypt_into = cipher.decrypt_into
    count = chunk_count(len(sealed))
    for i in range(count):
        chunk = sealed[i * SEALED_CHUNK : (i + 1) * SEALED_CHUNK]
        if len(chunk) <= TAG_BYTES and (first + i or len(chunk) < TAG_BYTES):
            return i  # without plaintext, in a body that is not empty
        room = plain[i * PLAIN_CHUNK : i * PLAIN_CHUNK + len(chunk) - TAG_BYTES]
        try:
            decrypt_into(chunk_nonce(first + i, last=last and i == count - 1), chunk, None, room)
        except InvalidTag:
            wipe(room)  # OpenSSL writes plaintext before it knows of the tag
            return i
    return count


def wipe(room: memoryview) -> None:
    """Overwrite a buffer with zeros."""
    room[:] = bytes(len(room))


def explain(
    cipher: ChaCha20Poly1305, number: int, chunk: memoryview, *, last: bool
) -> tuple[IntegrityError, bytes]:
    """Say why a chunk did not open, and return its plaintext if that is authentic nevertheless.

    It is if only the mark of the last chunk is wrong: then the body was cut off behind this chunk, or
    something was appended. Short chunks are the last or nothing.
    """
    if len(chunk) <= TAG_BYTES:
        return IntegrityError(f"age body: cut off at chunk {number}, which has no plaintext"), b""
    try:
        plain = cipher.decrypt(chunk_nonce(number, last=not last), chunk, None)
    except InvalidTag:
        hint = "It was changed, cut off, moved, or sealed under another key."
        return IntegrityError(f"age body: chunk {number} does not verify", hint=hint), b""
    if last:
        return IntegrityError(f"age body: cut off after chunk {number}, which is not its last"), (
            plain if len(chunk) == SEALED_CHUNK else b""
        )
    return IntegrityError(f"age body: something follows chunk {number}, which is its last"), plain


class _Workspace(threading.local):
    """Buffers of one thread, so that many may read at once; `plain` holds the chunks `holds`.

    Args:
        rooms: Gets the buffer for plaintext of each thread, by its number, so that any thread can wipe all.
    """

    def __init__(self, rooms: dict[int, memoryview]) -> None:
        self._rooms = rooms
        self.sealed = self.plain = memoryview(bytearray())
        self.holds = range(0)

    def scratch(self, size: int) -> memoryview:
        """Return room for sealed bytes."""
        if len(self.sealed) < size:
            self.sealed = memoryview(bytearray(size))
        return self.sealed[:size]

    def room(self, chunks: int) -> memoryview:
        """Return room for plaintext; what was held is lost."""
        self.holds = range(0)
        if len(self.plain) < chunks * PLAIN_CHUNK:
            self.plain = memoryview(bytearray(chunks * PLAIN_CHUNK))
            thread = threading.get_ident()  # perhaps that of one that has ended
            wipe(self._rooms.get(thread, memoryview(bytearray())))
            self._rooms[thread] = self.plain
        return self.plain


class BodyReader(io.RawIOBase):
    """A body as a readable, seekable binary file of its plaintext.

    `read_at` and `read_into_at` may be called from several threads at once; `read`, `readinto` and
    `seek` share one position, as files do.

    Args:
        source: A path, bytes in memory, a seekable stream, or a function `read(offset, size)`.
        size: Size of the body in bytes; None unless the source is a function.
        file_key: 16 bytes, from the body's header.

    Raises:
        IntegrityError: Cut off, appended to, not under this key, or no body at all.
        NotFoundError: There is no such file.
        UnavailableError: The source cannot be read.
        UsageError: The size is missing, or the file key has not 16 bytes.
    """

    def __init__(self, source: SourceLike, size: int | None, file_key: bytes) -> None:
        super().__init__()
        self._rooms: dict[int, memoryview] = {}
        self._own = _Workspace(self._rooms)
        self._source: Source = source_of(source)
        try:
            self.body_size = _known_size(self._source, size)
            self.size = plaintext_size(self.body_size)
            nonce = self._source.fetch(0, memoryview(bytearray(NONCE_BYTES)))
            self._cipher = payload_cipher(file_key, bytes(nonce))
            self.chunks = max(1, -(-self.size // PLAIN_CHUNK))
            self._held(max(0, self.size - 1), self.size)
        except BaseException:
            self._source.close()
            raise
        self._position = 0

    def read_at(self, offset: int, size: int) -> bytes:
        """Return the plaintext from `offset` on: `size` bytes, or fewer at the end.

        Raises:
            IntegrityError: A chunk in the range does not verify.
        """
        self._check(offset)
        end = min(offset + size, self.size)
        if offset < end <= (offset // PLAIN_CHUNK + BATCH) * PLAIN_CHUNK:
            piece = self._held(offset, end)
            if len(piece) == end - offset:
                return bytes(piece)
        room = bytearray(max(0, end - offset))
        self.read_into_at(offset, room)
        return bytes(room)

    def read_into_at(self, offset: int, into: WritableBuffer) -> int:
        """Fill `into` with the plaintext from `offset` on; return how many bytes there were.

        Raises:
            IntegrityError: A chunk in the range does not verify.
            UsageError: A negative offset, or the reader is closed.
        """
        self._check(offset)
        view = memoryview(into).cast("B")
        position, end = offset, min(offset + len(view), self.size)
        while position < end:
            rest = view[position - offset : end - offset]
            whole = self._whole_chunks(position, end)
            if whole:
                position += self._open(
                    position // PLAIN_CHUNK, whole, rest, self._own.scratch(whole * SEALED_CHUNK)
                )
            else:
                piece = self._held(position, end)
                rest[: len(piece)] = piece
                position += len(piece)
        return max(0, position - offset)

    def open_chunks_at(self, chunk: int, count: int, into: memoryview, scratch: memoryview) -> int:
        """Open whole chunks into the caller's buffer, with the caller's room for the sealed ones.

        Nothing of them is kept here, so that who reads many bodies by turns decides how much memory that takes.

        Args:
            chunk: Number of the first.
            count: How many, all of which exist.
            into: Room for `count * PLAIN_CHUNK` bytes of plaintext.
            scratch: Room for `count * SEALED_CHUNK` bytes.

        Returns:
            The size of their plaintext.

        Raises:
            IntegrityError: One of them does not verify; nothing of it is left in `into`.
            UsageError: There are no such chunks.
        """
        if not 0 <= chunk < chunk + count <= self.chunks:
            raise UsageError(f"chunks {chunk} to {chunk + count} of a body of {self.chunks}")
        return self._open(chunk, count, into, scratch)

    def readable(self) -> bool:
        """Bodies can be read."""
        return True

    def seekable(self) -> bool:
        """Bodies can be sought in."""
        return True

    def readinto(self, into: WritableBuffer) -> int:  # type: ignore[override]
        """Fill `into` from the position on; 0 at the end."""
        count = self.read_into_at(self._position, into)
        self._position += count
        return count

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move the position.

        Raises:
            UsageError: To before the start.
        """
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self.size}[whence]
        if start + offset < 0:
            raise UsageError("cannot seek to before the start of a body")
        self._position = start + offset
        return self._position

    def close(self) -> None:
        """Let go of the source, if it was opened here, and wipe the plaintext held for small reads."""
        if not self.closed and hasattr(self, "_position"):
            for plain in self._rooms.values():
                wipe(plain)
            self._source.close()
        super().close()

    def _check(self, offset: int) -> None:
        if offset < 0 or self.closed:
            raise UsageError("cannot read before the start of a body or after closing it")

    def _whole_chunks(self, start: int, end: int) -> int:
        """Return how many chunks to open straight into the caller's buffer: none within a chunk."""
        chunk, skipped = divmod(start, PLAIN_CHUNK)
        if skipped or chunk in self._own.holds:
            return 0
        behind = self.chunks if end == self.size else end // PLAIN_CHUNK
        return min(BATCH, behind - chunk)

    def _held(self, start: int, end: int) -> memoryview:
        """Return plaintext from `start` to `end` or less, kept at hand so that small reads share it."""
        own, chunk = self._own, start // PLAIN_CHUNK
        if chunk not in own.holds:
            count = min(BATCH, max(1, -(-end // PLAIN_CHUNK) - chunk))
            self._open(chunk, count, own.room(count), own.scratch(count * SEALED_CHUNK))
            own.holds = range(chunk, chunk + count)
        base = own.holds.start * PLAIN_CHUNK
        return own.plain[start - base : min(end, own.holds.stop * PLAIN_CHUNK) - base]

    def _open(self, chunk: int, count: int, into: memoryview, scratch: memoryview) -> int:
        """Open `count` chunks from number `chunk` on and return the size of their plaintext."""
        start = NONCE_BYTES + chunk * SEALED_CHUNK
        size = min(start + count * SEALED_CHUNK, self.body_size) - start
        sealed = self._source.fetch(start, scratch[:size])
        opened = open_chunks(self._cipher, chunk, sealed, into, last=chunk + count == self.chunks)
        if opened < count:
            failed = sealed[opened * SEALED_CHUNK : (opened + 1) * SEALED_CHUNK]
            raise explain(self._cipher, chunk + opened, failed, last=chunk + opened + 1 == self.chunks)[0]
        return size - count * TAG_BYTES


def _known_size(source: Source, size: int | None) -> int:
    known = source.size()
    if size is None:
        size = known
    if size is None:
        raise UsageError("the size of the body must be given for such a source")
    if known is not None and known != size:
        raise IntegrityError(f"age body: {known} bytes where {size} are expected")
    return size
