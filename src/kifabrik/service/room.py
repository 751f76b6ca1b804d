"""Memory for what is on its way in: so much for all, and so much for each, whoever came first.

Invariants:
- what is held at one time is never more than there is, for all together and for each owner;
- who finds no room waits, holding nothing; who waits too long is told to come again.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from kifabrik.errors import UnavailableError


class Room:
    """Room for bodies, or for what is sent, used within one event loop.

    Args:
        most_bytes: For all together.
        most_each: For one owner.
        patience_s: How long one waits for room.
    """

    def __init__(self, most_bytes: int, most_each: int, patience_s: float) -> None:
        self._most_bytes = most_bytes
        self._most_each = most_each
        self._patience_s = patience_s
        self._held: Counter[str] = Counter()
        self._waiting: dict[asyncio.Event, None] = {}  # in the order they came

    @asynccontextmanager
    async def held(self, owner: str, size: int) -> AsyncIterator[None]:
        """Hold room for `size` bytes while the block runs.

        Raises:
            UnavailableError: There was none for too long.
        """
        try:
            async with asyncio.timeout(self._patience_s):
                await self._wait(owner, size)
        except TimeoutError:
            raise UnavailableError(
                "too much is under way to or from the factory at once", hint="Do less at a time, or try again."
            ) from None
        try:
            yield
        finally:
            self._held[owner] -= size
            if not self._held[owner]:
                del self._held[owner]
            for event in self._waiting:  # each looks whether there is room for it now
                event.set()

    async def _wait(self, owner: str, size: int) -> None:
        event = asyncio.Event()
        while self._held[owner] + size > self._most_each or self._held.total() + size > self._most_bytes:
            event.clear()
            self._waiting[event] = None
            try:
                await event.wait()
            finally:
                self._waiting.pop(event)
        self._held[owner] += size
