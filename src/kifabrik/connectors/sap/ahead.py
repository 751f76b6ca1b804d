"""Fetch the next items in a thread while this one is worked on.

Invariants:
- items come in order, and what the source raises comes after them;
- what waits is bounded: by a number of items, and beyond it by what they weigh.
"""

import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from threading import Condition, Thread
from typing import Final, Generic, TypeVar

T = TypeVar("T")
_PATIENCE_S: Final = 2.0
"""For a thread that waits for somebody else; it is a daemon, and what it may still bring nobody reads."""


class _End:
    pass


class _Ahead(Generic[T]):
    def __init__(self, source: Iterator[T], depth: int, weigh: Callable[[T], int], most: int) -> None:
        self._source = source
        self._depth, self._weigh, self._most = depth, weigh, most
        self._items: deque[tuple[T | BaseException | _End, int]] = deque()
        self._weight = 0
        self._stopped = False
        self._changed = Condition()
        self._thread = Thread(target=self._run, name="kifabrik-ahead", daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[T]:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._items)
                item, weight = self._items.popleft()
                self._weight -= weight
                self._changed.notify_all()
            if isinstance(item, _End):
                return
            if isinstance(item, BaseException):
                raise item
            yield item

    def close(self) -> None:
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        until = time.monotonic() + _PATIENCE_S
        self._thread.join(max(0.0, until - time.monotonic()))

    def _run(self) -> None:
        try:
            for item in self._source:
                if not self._put(item, self._weigh(item)):
                    break
            else:
                self._put(_End())
        except BaseException as error:  # noqa: BLE001 - whoever reads on gets it
            self._put(error)
        finally:
            if isinstance(self._source, Generator):
                self._source.close()

    def _put(self, item: T | BaseException | _End, weight: int = 0) -> bool:
        """Let an item wait for its reader; False if nobody reads on."""

        def has_room() -> bool:
            return self._stopped or len(self._items) < self._depth or self._weight + weight <= self._most

        with self._changed:
            self._changed.wait_for(has_room)
            self._items.append((item, weight))
            self._weight += weight
            self._changed.notify_all()
            return not self._stopped


def _nothing(_item: object) -> int:
    return 1


@contextmanager
def ahead(
    source: Iterator[T], depth: int = 2, *, weigh: Callable[[T], int] = _nothing, most: int = 0
) -> Iterator[Iterator[T]]:
    """Go through an iterator in a thread, ahead of whoever reads.

    What the iterator raises, the reader gets; leaving the block ends the thread.

    Args:
        source: What to go through.
        depth: So many items may always wait.
        weigh: Returns what an item weighs.
        most: More items than `depth` may wait, as long as all of them together weigh no more.
    """
    reader = _Ahead(source, depth, weigh, most)
    try:
        yield iter(reader)
    finally:
        reader.close()
