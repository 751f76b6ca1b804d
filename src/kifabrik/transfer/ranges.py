"""Ciphertext from far away, block by block, kept on the node's disk as long as there is room.

Invariants:
- only ciphertext is kept, and nobody believes it: whoever reads opens it with its key;
- the folder never holds more than it may: what was not read for longest goes first;
- a block is fetched by one reader; others that want it wait for that one.
"""

import contextlib
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from kifabrik.errors import IntegrityError, UnavailableError

BLOCK: Final = 8 * 2**20
"""Bytes asked for at a time: what a reader of a large file wants within milliseconds anyway."""
_FIRST_PAUSE_S: Final = 0.2
_LONGEST_PAUSE_S: Final = 10.0

Fetch = Callable[[str, int, int], bytes]
"""`fetch(digest, start, size)` returns that many bytes of an object, or raises."""
_Block = tuple[str, int]


@dataclass
class _Turn:
    """Who wants one block: they take turns."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    waiting: int = 0


class RangeCache:
    """Reads objects at any position.

    Args:
        fetch: Gets bytes from far away.
        folder: For blocks; made when first needed. Whoever made the cache removes it.
        limit: Most bytes in the folder.
        patience_s: How long to go on trying where the other side cannot be reached.
    """

    def __init__(self, fetch: Fetch, folder: Path, limit: int, *, patience_s: float) -> None:
        self._fetch = fetch
        self._folder = folder
        self._limit = limit
        self._patience_s = patience_s
        self._lock = threading.Lock()
        self._sizes: OrderedDict[_Block, int] = OrderedDict()
        self._held = 0
        self._fetching: dict[_Block, _Turn] = {}
        self._closed = threading.Event()

    def read(self, digest: str, size: int, offset: int, count: int) -> bytes:
        """Return `count` bytes of an object of `size` bytes, from `offset` on.

        Raises:
            NotFoundError: There is no such object.
            IntegrityError: It ends before that.
            UnavailableError: The other side could not be reached for too long.
        """
        pieces = []
        while count:
            number, skipped = divmod(offset, BLOCK)
            piece = self._read_block(digest, size, number, skipped, min(count, BLOCK - skipped))
            pieces.append(piece)
            offset, count = offset + len(piece), count - len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def close(self) -> None:
        """Let whoever waits give up."""
        self._closed.set()

    def _read_block(self, digest: str, size: int, number: int, skipped: int, count: int) -> bytes:
        block = (digest, number)
        with self._only_one(block):
            kept = self._open_kept(block)
            if kept is None:
                data = self._fetch_patiently(digest, number * BLOCK, min(BLOCK, size - number * BLOCK))
                self._keep(block, data)
                piece = data[skipped : skipped + count]
            else:
                with contextlib.closing(os.fdopen(kept, "rb", buffering=0)) as file:
                    piece = os.pread(file.fileno(), count, skipped)
        if len(piece) != count:
            raise IntegrityError(f"object {digest[:16]} ends within what was asked for")
        return piece

    @contextlib.contextmanager
    def _only_one(self, block: _Block) -> Iterator[None]:
        with self._lock:
            turn = self._fetching.setdefault(block, _Turn())
            turn.waiting += 1
        try:
            with turn.lock:
                yield
        finally:
            with self._lock:
                turn.waiting -= 1
                if not turn.waiting:
                    del self._fetching[block]

    def _open_kept(self, block: _Block) -> int | None:
        with self._lock:
            if block not in self._sizes:
                return None
            self._sizes.move_to_end(block)
            try:
                return os.open(self._path(block), os.O_RDONLY | os.O_CLOEXEC)
            except OSError:
                self._held -= self._sizes.pop(block)
                return None

    def _fetch_patiently(self, digest: str, start: int, size: int) -> bytes:
        until, pause = time.monotonic() + self._patience_s, _FIRST_PAUSE_S
        while True:
            try:
                data = self._fetch(digest, start, size)
            except UnavailableError:
                if self._closed.is_set() or time.monotonic() + pause > until:
                    raise
            else:
                if len(data) != size:
                    raise IntegrityError(f"object {digest[:16]} has other bytes than its size says")
                return data
            self._closed.wait(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_S)

    def _keep(self, block: _Block, data: bytes) -> None:
        """Put a block on the disk; a disk that is full keeps fewer, and nothing fails."""
        with self._lock:
            while self._sizes and self._held + len(data) > self._limit:
                old, size = self._sizes.popitem(last=False)
                self._held -= size
                self._path(old).unlink(missing_ok=True)
            if len(data) > self._limit:
                return
            path = self._path(block)
            try:
                self._folder.mkdir(mode=0o700, exist_ok=True)
                path.write_bytes(data)
            except OSError:
                with contextlib.suppress(OSError):
                    path.unlink()
                return
            self._sizes[block] = len(data)
            self._held += len(data)

    def _path(self, block: _Block) -> Path:
        return self._folder / f"{block[0]}.{block[1]}"
