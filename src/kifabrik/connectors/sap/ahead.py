"""Fetch the next item in a thread while this one is worked on."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from queue import Empty, Queue
from threading import Event, Thread
from typing import Final, Generic, TypeVar

T = TypeVar("T")
_WAIT_S: Final = 0.05
_PATIENCE_S: Final = 2.0
"""For a thread that waits for somebody else; it is a daemon, and what it may still bring nobody reads."""


class _End:
    pass


class _Ahead(Generic[T]):
    def __init__(self, source: Iterator[T], depth: int) -> None:
        self._source = source
        self._items: Queue[T | BaseException | _End] = Queue(depth)
        self._stop = Event()
        self._thread = Thread(target=self._run, name="kifabrik-ahead", daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[T]:
        while True:
            item = self._items.get()
            if isinstance(item, _End):
                return
            if isinstance(item, BaseException):
                raise item
            yield item

    def close(self) -> None:
        self._stop.set()
        until = time.monotonic() + _PATIENCE_S
        while self._thread.is_alive() and time.monotonic() < until:
            with suppress(Empty):
                self._items.get(timeout=_WAIT_S)

    def _run(self) -> None:
        try:
            for item in self._source:
                self._items.put(item)
                if self._stop.is_set():
                    return
            self._items.put(_End())
        except BaseException as error:  # noqa: BLE001 - whoever reads on gets it
            self._items.put(error)


@contextmanager
def ahead(source: Iterator[T], depth: int = 2) -> Iterator[Iterator[T]]:
    """Go through an iterator in a thread, at most `depth` items ahead of whoever reads.

    What the iterator raises, the reader gets; leaving the block ends the thread.
    """
    reader = _Ahead(source, depth)
    try:
        yield iter(reader)
    finally:
        reader.close()
