"""Header and body to plaintext, for those who hold an identity.

Invariants:
- a file key counts only after the MAC of its header is verified with it;
- a header with a passphrase stanza beside others is refused, whoever opens it;
- what is written to a sink or a file was verified before, chunk by chunk; that a body is whole is
  known only at its end, so callers of the streaming forms publish nothing before they return.
"""

import os
from collections import defaultdict
from collections.abc import Callable, Sequence
from mmap import mmap
from typing import BinaryIO

from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from kifabrik.errors import FULL_DISK, CapacityError, IntegrityError, UnavailableError, UsageError
from kifabrik.seals.armor import is_armored, remove_armor
from kifabrik.seals.header import Header, parse_header, parse_whole_header
from kifabrik.seals.identities import AnyIdentity
from kifabrik.seals.lanes import Lanes, pool_beside, write_all
from kifabrik.seals.reading import BodyReader, explain, open_chunks
from kifabrik.seals.recipients import AnyRecipient
from kifabrik.seals.sealing import make_header
from kifabrik.seals.sources import Buffer, SourceLike, WritableBuffer, fill
from kifabrik.seals.stream import (
    BATCH,
    NONCE_BYTES,
    PLAIN_CHUNK,
    SEALED_CHUNK,
    TAG_BYTES,
    chunk_count,
    payload_cipher,
    plaintext_size,
)

__all__ = [
    "BodyReader",
    "copy_opened",
    "open_body_into",
    "open_bytes",
    "open_file",
    "open_header",
    "plaintext_size",
    "rewrap",
]


def open_header(header: bytes, identities: Sequence[AnyIdentity], *, owner: str = "") -> bytes:
    """Return the file key.

    Args:
        header: A whole one.
        identities: To be tried.
        owner: What the header must say that its body belongs to; empty if that does not matter.

    Raises:
        IntegrityError: Malformed, changed, not sealed to any of these identities, or of another owner.
    """
    parsed = parse_whole_header(header)
    file_key = _file_key(parsed, identities)
    if owner and parsed.owner != owner:
        raise IntegrityError(f"age header: its body does not belong to {owner}")
    return file_key


def rewrap(
    header: bytes, identities: Sequence[AnyIdentity], recipients: Sequence[AnyRecipient], *, owner: str = ""
) -> bytes:
    """Return a new header that lets other recipients open the same bodies.

    Args:
        header: The old one.
        identities: To open it with.
        recipients: Of the new one.
        owner: As for `open_header`.

    Raises:
        IntegrityError: The old header does not open, or is of another owner.
        UsageError: No recipient, or hybrid and plain ones mixed.
    """
    return make_header(open_header(header, identities, owner=owner), recipients)


def open_bytes(body: Buffer, file_key: bytes) -> bytes:
    """Return the plaintext of a body in memory.

    Raises:
        IntegrityError: The body does not verify.
    """
    with BodyReader(body, None, file_key) as reader:
        return reader.read_at(0, reader.size)


def open_file(data: bytes, identities: Sequence[AnyIdentity]) -> bytes:
    """Return the plaintext of a whole age file in memory, armored or not.

    Raises:
        IntegrityError: Malformed, changed, or not sealed to any of these identities.
    """
    if is_armored(data):
        data = remove_armor(data)
    header, end = parse_header(data)
    return open_bytes(memoryview(data)[end:], _file_key(header, identities))


def open_body_into(
    source: SourceLike, size: int | None, file_key: bytes, into: WritableBuffer | int, *, threads: int = 1
) -> int:
    """Open a whole body into a buffer or a file, in several threads if wanted.

    Args:
        source: As for `BodyReader`.
        size: As for `BodyReader`.
        file_key: 16 bytes, from the body's header.
        into: A buffer of at least the plaintext's size (a mapped file, say), or the descriptor of a
            file that can be written at any position (POSIX).
        threads: How many work at once, the calling one included.

    Returns:
        The size of the plaintext.

    Raises:
        IntegrityError: The body does not verify. `into` then holds no unverified byte, but not all of
            the plaintext either: throw it away.
        CapacityError: The file system is full.
        UsageError: The buffer is too small, or there are no threads.
    """
    with BodyReader(source, size, file_key) as reader, pool_beside(threads) as pool:
        place = _into_file(reader, into) if isinstance(into, int) else _into_buffer(reader, into)
        starts = iter(range(0, reader.chunks, BATCH))
        Lanes(lambda _: next(starts, None), place).run(pool, threads)
        return reader.size


def copy_opened(
    source: BinaryIO,
    sink: BinaryIO,
    file_key: bytes,
    *,
    threads: int = 1,
    progress: Callable[[int], object] | None = None,
) -> int:
    """Open a body from a stream into another at constant memory, about 2 MiB a thread.

    Args:
        source: The body, up to its end; need not be seekable.
        sink: Where the plaintext goes, verified chunk by chunk.
        file_key: 16 bytes, from the body's header.
        threads: How many work at once, the calling one included; each reads, opens and writes batches,
            with source, sink and `progress` used by one of them at a time.
        progress: Called with the number of plaintext bytes each batch added.

    Returns:
        The size of the plaintext.

    Raises:
        IntegrityError: The body does not verify. What the sink got until then is authentic, but it is
            not the whole: throw it away.
    """
    nonce = bytearray(NONCE_BYTES)
    if fill(source, memoryview(nonce)) < NONCE_BYTES:
        raise IntegrityError("age body: cut off within its nonce")
    cipher = payload_cipher(file_key, bytes(nonce))
    total = 0

    def give(opened: tuple[memoryview, IntegrityError | None]) -> None:
        nonlocal total
        plain, error = opened
        write_all(sink, plain)
        if error is not None:
            raise error
        total += len(plain)
        if progress is not None:
            progress(len(plain))

    with pool_beside(threads) as pool:
        batches = _Batches(source, cipher, threads)
        Lanes(batches.take, batches.open, give).run(pool, threads)
    return total


class _Batches:
    """Reads a body's chunks from a stream in batches and opens them.

    A batch is the last when nothing follows, so one byte is always read ahead.
    """

    def __init__(self, source: BinaryIO, cipher: ChaCha20Poly1305, lanes: int) -> None:
        self._source, self._cipher = source, cipher
        # Of maps only what is used becomes memory; a bytearray of 1 MiB costs what opening one does.
        self._sealed = [memoryview(mmap(-1, BATCH * SEALED_CHUNK + 1)) for _ in range(lanes)]
        self._plain = [memoryview(mmap(-1, BATCH * PLAIN_CHUNK)) for _ in range(lanes)]
        self._ahead = b""
        self._next_chunk = 0
        self._ended = False

    def take(self, lane: int) -> tuple[int, memoryview] | None:
        """Return the number of a batch's first chunk, and the batch; a full one is not the last."""
        if self._ended:
            return None
        room, held = self._sealed[lane], len(self._ahead)
        room[:held] = self._ahead
        filled = held + fill(self._source, room[held:])
        first, self._next_chunk = self._next_chunk, self._next_chunk + BATCH
        self._ended = filled < len(room)
        self._ahead = bytes(room[-1:])
        return first, room[:filled]

    def open(self, lane: int, batch: tuple[int, memoryview]) -> tuple[memoryview, IntegrityError | None]:
        """Return the plaintext of the chunks that open, and what is wrong with the next one."""
        first, sealed = batch
        last = len(sealed) <= BATCH * SEALED_CHUNK
        sealed, room = sealed[: BATCH * SEALED_CHUNK], self._plain[lane]
        count = chunk_count(len(sealed))
        opened = open_chunks(self._cipher, first, sealed, room, last=last)
        if opened == count > 0:
            return room[: len(sealed) - count * TAG_BYTES], None
        failed = sealed[opened * SEALED_CHUNK : (opened + 1) * SEALED_CHUNK]
        error, plain = explain(self._cipher, first + opened, failed, last=last and opened + 1 >= count)
        size = opened * PLAIN_CHUNK + len(plain)
        room[opened * PLAIN_CHUNK : size] = plain
        return room[:size], error


def _file_key(header: Header, identities: Sequence[AnyIdentity]) -> bytes:
    if not identities:
        raise UsageError("nothing can be opened without an identity")
    for identity in identities:
        file_key = identity.unwrap(header.stanzas)
        if file_key is not None:
            header.verify_mac(file_key)
            return file_key
    raise IntegrityError(
        f"age header: sealed to none of the {len(identities)} identities tried",
        hint="Use the identity or passphrase it was sealed to, or ask for it to be sealed to yours.",
    )


def _into_buffer(reader: BodyReader, into: WritableBuffer) -> Callable[[int, int], None]:
    room = memoryview(into).cast("B")
    if len(room) < reader.size:
        raise UsageError(f"the buffer has {len(room)} bytes, the plaintext {reader.size}")

    def open_batch(_lane: int, chunk: int) -> None:
        reader.read_into_at(chunk * PLAIN_CHUNK, room[chunk * PLAIN_CHUNK : (chunk + BATCH) * PLAIN_CHUNK])

    return open_batch


def _into_file(reader: BodyReader, descriptor: int) -> Callable[[int, int], None]:
    rooms: defaultdict[int, memoryview] = defaultdict(lambda: memoryview(bytearray(BATCH * PLAIN_CHUNK)))

    def open_batch(lane: int, chunk: int) -> None:
        offset = chunk * PLAIN_CHUNK
        rest = rooms[lane][: reader.read_into_at(offset, rooms[lane])]
        try:
            while rest:
                written = os.pwrite(descriptor, rest, offset)
                rest, offset = rest[written:], offset + written
        except OSError as error:
            full = error.errno in FULL_DISK
            raise (CapacityError if full else UnavailableError)(f"cannot write: {error.strerror}") from None

    return open_batch
