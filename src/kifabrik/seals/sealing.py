"""Plaintext to header and body.

Invariants:
- every body has a fresh random nonce, and so a payload key of its own;
- a body given up half-way has no last chunk, so it never opens;
- a header is sealed to one family of recipients: hybrid ones are not weakened by plain ones.
"""

import hashlib
import secrets
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from types import TracebackType
from typing import BinaryIO, Final, Self

from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from kifabrik.errors import UsageError
from kifabrik.seals.header import FILE_KEY_BYTES, HEADER_LIMIT, Header, owner_stanzas
from kifabrik.seals.lanes import pool_beside, write_all
from kifabrik.seals.recipients import AnyRecipient
from kifabrik.seals.sources import Buffer
from kifabrik.seals.stream import (
    BATCH,
    NONCE_BYTES,
    PLAIN_CHUNK,
    SEALED_CHUNK,
    chunk_nonce,
    payload_cipher,
    sealed_size,
)

_PLAIN_BATCH: Final = BATCH * PLAIN_CHUNK
_OUTS: Final = 4
"""Buffers of a writer with a second thread: enough that neither waits for the other's hiccups."""


def new_file_key() -> bytes:
    """Return 16 random bytes."""
    return secrets.token_bytes(FILE_KEY_BYTES)


def make_header(file_key: bytes, recipients: Sequence[AnyRecipient], *, owner: str = "") -> bytes:
    """Wrap a file key for each recipient: about 100 bytes each, and 70 more.

    Args:
        file_key: Of the body.
        recipients: Whom to wrap it for.
        owner: What the body belongs to, written under the header's MAC: nobody without the file key can say
            otherwise. Other age readers pass over it. Empty for none.

    Raises:
        UsageError: No recipient, too many, or hybrid and plain ones mixed; or an owner that is no word.
    """
    if len(file_key) != FILE_KEY_BYTES:
        raise UsageError(f"a file key has {FILE_KEY_BYTES} bytes, not {len(file_key)}")
    if not recipients:
        raise UsageError("nothing can be sealed to nobody", hint="Name at least one recipient.")
    if len({recipient.quantum_safe for recipient in recipients}) > 1:
        raise UsageError("hybrid and plain recipients cannot share a header", hint="Use age1pq1… recipients only.")
    stanzas = tuple(recipient.wrap(file_key) for recipient in recipients)
    header = Header.seal((*stanzas, *owner_stanzas(owner)), file_key).to_bytes()
    if len(header) > HEADER_LIMIT:
        raise UsageError(f"{len(recipients)} recipients are too many for one header")
    return header


def seal_bytes(data: Buffer, file_key: bytes) -> bytes:
    """Return the body of data that fits into memory, 16 bytes a chunk and 16 bytes larger.

    Raises:
        UsageError: The file key has not 16 bytes.
    """
    plain = memoryview(data).cast("B")
    nonce = secrets.token_bytes(NONCE_BYTES)
    cipher = payload_cipher(file_key, nonce)
    starts = range(0, max(1, len(plain)), PLAIN_CHUNK)
    chunks = (
        cipher.encrypt(
            chunk_nonce(number, last=number == len(starts) - 1), plain[start : start + PLAIN_CHUNK], None
        )
        for number, start in enumerate(starts)
    )
    return b"".join((nonce, *chunks))


def seal_file(plain: Buffer, recipients: Sequence[AnyRecipient]) -> bytes:
    """Return a whole age file: header and body.

    Raises:
        UsageError: No recipient, or hybrid and plain ones mixed.
    """
    file_key = new_file_key()
    return make_header(file_key, recipients) + seal_bytes(plain, file_key)


class BodyWriter:
    """Writes one body to a sink as data comes in; memory stays constant, at most 5 MiB.

    Used as a context manager, it is closed at the end, or left without a last chunk if an exception
    passes through. The sink stays open, and its errors pass through. One writer belongs to one thread.

    Args:
        sink: Where the body goes.
        file_key: 16 bytes, from the header the body belongs to.
        threads: From 2 on, hashing and the sink's `write` happen in a thread beside the calling one,
            which encrypts; a third would find nothing to do, as hashing takes twice as long as
            encrypting. To seal several bodies at once, give each a writer and a thread.

    Raises:
        UsageError: The file key has not 16 bytes, or there are no threads.
    """

    def __init__(self, sink: BinaryIO, file_key: bytes, *, threads: int = 1) -> None:
        nonce = secrets.token_bytes(NONCE_BYTES)
        self._cipher = payload_cipher(file_key, nonce)
        self._sink = sink
        self._hash = hashlib.sha256()
        self._resources = ExitStack()
        self._beside = self._resources.enter_context(pool_beside(min(threads, 2)))
        self._outs = [bytearray() for _ in range(1 if self._beside is None else _OUTS)]
        self._under_way: deque[Future[None]] = deque()
        self._held = memoryview(bytearray(PLAIN_CHUNK))
        self._held_size = 0
        self._next_chunk = 0
        self._closed = False
        self.size = 0
        """Bytes of the body so far."""
        self._put(memoryview(nonce))

    @property
    def sha256(self) -> str:
        """SHA-256 of the body so far, in hex."""
        self._catch_up()
        return self._hash.hexdigest()

    def write(self, data: Buffer) -> int:
        """Take plaintext; return how much, which is all of it.

        A chunk is sealed only when more data follows, because the last one is marked.

        Raises:
            UsageError: The writer is closed.
        """
        if self._closed:
            raise UsageError("this body is closed")
        view = memoryview(data).cast("B")
        try:
            self._take(view)
        except BaseException:
            self._give_up()
            raise
        return len(view)

    def close(self) -> None:
        """Write the last chunk. Closing twice is fine."""
        if self._closed:
            return
        try:
            self._seal(self._held[: self._held_size], last=True)
            self._catch_up()
        finally:
            self._give_up()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self._give_up()

    def _take(self, view: memoryview) -> None:
        if self._held_size:
            taken = min(PLAIN_CHUNK - self._held_size, len(view))
            self._held[self._held_size : self._held_size + taken] = view[:taken]
            self._held_size += taken
            view = view[taken:]
            if not view:
                return
            self._seal(self._held, last=False)
        full = (len(view) - 1) // PLAIN_CHUNK * PLAIN_CHUNK if view else 0
        for start in range(0, full, _PLAIN_BATCH):
            self._seal(view[start : min(start + _PLAIN_BATCH, full)], last=False)
        self._held_size = len(view) - full
        self._held[: self._held_size] = view[full:]

    def _seal(self, plain: memoryview, *, last: bool) -> None:
        """Seal whole chunks, at most a batch, or the last chunk."""
        size = sealed_size(len(plain)) - NONCE_BYTES
        self._catch_up(len(self._outs) - 1)
        self._outs.append(self._outs.pop(0))
        if len(self._outs[-1]) < size:
            self._outs[-1] = bytearray(size)
        sealed = memoryview(self._outs[-1])[:size]
        self._next_chunk += _seal_chunks(self._cipher, self._next_chunk, plain, sealed, last=last)
        self._put(sealed)

    def _put(self, sealed: memoryview) -> None:
        self.size += len(sealed)
        if self._beside is None:
            self._emit(sealed)
        else:
            self._under_way.append(self._beside.submit(self._emit, sealed))

    def _emit(self, sealed: memoryview) -> None:
        self._hash.update(sealed)
        write_all(self._sink, sealed)

    def _catch_up(self, most: int = 0) -> None:
        """Wait until at most so many buffers are under way; raise what went wrong with one."""
        while len(self._under_way) > most:
            self._under_way.popleft().result()

    def _give_up(self) -> None:
        self._closed = True
        self._resources.close()


def _seal_chunks(cipher: ChaCha20Poly1305, first: int, plain: memoryview, sealed: memoryview, *, last: bool) -> int:
    """Seal consecutive chunks and return how many; only the last of the body may be short or empty."""
    encrypt_into = cipher.encrypt_into
    count = max(1, -(-len(plain) // PLAIN_CHUNK))
    for i in range(count):
        encrypt_into(
            chunk_nonce(first + i, last=last and i == count - 1),
            plain[i * PLAIN_CHUNK : (i + 1) * PLAIN_CHUNK],
            None,
            sealed[i * SEALED_CHUNK : (i + 1) * SEALED_CHUNK],
        )
    return count
