"""Plaintext of a sealed version at any position, opened as it is asked for, in bounded memory.

Invariants:
- no byte is given that was not authenticated under its shard's own key: a chunk that does not verify, a
  body that is cut off, missing or of another size, is a `DamagedShardError`, and nothing of it is given;
- memory is bounded whatever is read: so many places to work, so many opened chunks, so many open bodies.
"""

import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from queue import LifoQueue
from typing import Final, Protocol

from kifabrik.errors import IntegrityError, NotFoundError
from kifabrik.seals.reading import BodyReader
from kifabrik.seals.sources import SourceLike
from kifabrik.seals.stream import PLAIN_CHUNK, SEALED_CHUNK
from kifabrik.transfer.opening import DamagedShardError, OpenedVersion

OPEN_BODIES: Final = 256
"""Bodies that are kept open for all inputs of a run together: a descriptor and 128 KiB each."""
_KEPT_CHUNKS: Final = 128
"""Opened chunks that are kept because the next read may begin or end in them: 8 MiB."""
_MOST_CHUNKS: Final = 16
"""Chunks opened at a time: 1 MiB, the most the kernel asks for at once."""


class RangeSource(Protocol):
    """A store of ciphertext that can be read at any position."""

    def at_any_position(self, digest: str, size: int) -> SourceLike:
        """Return an object as something to read from; its digest is not checked.

        Raises:
            NotFoundError: There is no such object.
        """


class Workplaces:
    """Room for opening, for so many readers at once; further ones wait.

    Args:
        count: How many, each of 2 MiB.
    """

    def __init__(self, count: int) -> None:
        self._free: LifoQueue[tuple[memoryview, memoryview] | None] = LifoQueue()
        for _ in range(count):
            self._free.put(None)

    @contextmanager
    def one(self) -> Iterator[tuple[memoryview, memoryview]]:
        """Lend room for `_MOST_CHUNKS` sealed chunks, and for their plaintext; made when first needed."""
        place = self._free.get()
        try:
            if place is None:
                place = (
                    memoryview(bytearray(_MOST_CHUNKS * SEALED_CHUNK)),
                    memoryview(bytearray(_MOST_CHUNKS * PLAIN_CHUNK)),
                )
            yield place
        finally:
            self._free.put(place)


class SealedPlaintext:
    """The plaintext of all shards of one version; may be read from several threads at once.

    Args:
        version: From `open_contents`.
        store: Where the bodies are.
        workplaces: Shared by everything that is streamed.
        bodies: How many are kept open.
    """

    def __init__(
        self, version: OpenedVersion, store: RangeSource, workplaces: Workplaces, *, bodies: int = OPEN_BODIES
    ) -> None:
        self._version = version
        self._store = store
        self._workplaces = workplaces
        self._bodies = bodies
        self._lock = threading.Lock()
        self._readers: OrderedDict[int, BodyReader] = OrderedDict()
        self._chunks: OrderedDict[tuple[int, int], memoryview] = OrderedDict()

    @contextmanager
    def read(self, shard: int, offset: int, size: int) -> Iterator[Sequence[memoryview]]:
        """Lend `size` bytes of a shard's plaintext, in pieces; they count as long as the block.

        Args:
            shard: Its number, from 0.
            offset: First byte in its plaintext.
            size: At most 1 MiB; all of it must lie inside.

        Raises:
            DamagedShardError: They are not what was sealed.
            UnavailableError: The store cannot be reached.
        """
        with self._workplaces.one() as (sealed, plain), self._named(shard):
            yield list(self._pieces(shard, offset, offset + size, sealed, plain))

    def _pieces(
        self, shard: int, position: int, end: int, sealed: memoryview, plain: memoryview
    ) -> Iterator[memoryview]:
        """Whole chunks are opened in the workplace; those at the edges are kept for whoever reads on."""
        reader = self._reader(shard)
        while position < end:
            chunk, skipped = divmod(position, PLAIN_CHUNK)
            whole = (end - position) // PLAIN_CHUNK
            if skipped or not whole:
                piece = self._edge(reader, shard, chunk, sealed)[skipped : skipped + end - position]
            else:
                size = reader.open_chunks_at(chunk, whole, plain, sealed)
                piece, plain = plain[:size], plain[size:]
            if not piece:
                raise IntegrityError("the shard ends before its files do")
            yield piece
            position += len(piece)

    def _edge(self, reader: BodyReader, shard: int, chunk: int, sealed: memoryview) -> memoryview:
        with self._lock:
            kept = self._chunks.get((shard, chunk))
            if kept is not None:
                self._chunks.move_to_end((shard, chunk))
                return kept
        room = memoryview(bytearray(PLAIN_CHUNK))
        opened = room[: reader.open_chunks_at(chunk, 1, room, sealed)].toreadonly()
        with self._lock:
            self._chunks[shard, chunk] = opened
            if len(self._chunks) > _KEPT_CHUNKS:
                self._chunks.popitem(last=False)
        return opened

    def _reader(self, shard: int) -> BodyReader:
        with self._lock:
            reader = self._readers.get(shard)
            if reader is not None:
                self._readers.move_to_end(shard)
                return reader
        body, said = self._version.manifest.shards[shard], self._version.contents.shards[shard]
        source = self._store.at_any_position(body.sha256, body.size)
        reader = BodyReader(source, body.size, self._version.file_keys[shard])
        if reader.size != said.plain_size:
            raise IntegrityError("the shard has another size than its contents say")
        with self._lock:
            self._readers[shard] = reader
            if len(self._readers) > self._bodies:
                self._readers.popitem(last=False)  # closes itself when its last reader lets go of it
        return reader

    @contextmanager
    def _named(self, shard: int) -> Iterator[None]:
        """Name the shard, by a digest its keeper knows, in what goes wrong with it."""
        digest = self._version.manifest.shards[shard].sha256
        try:
            yield
        except IntegrityError as error:
            raise DamagedShardError.of(digest, error) from error
        except NotFoundError as error:
            raise DamagedShardError(f"shard {digest[:16]} is missing", hint=error.hint) from error
