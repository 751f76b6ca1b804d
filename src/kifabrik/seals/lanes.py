"""Several threads on one body: the cipher runs without the interpreter lock, so they run at once.

Each thread, a lane, takes a batch, works on it and gives the result, all in its own core's cache.
Taking and giving happen one lane at a time and in the same order, so streams stay streams.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, nullcontext
from threading import Condition, Lock
from typing import BinaryIO, Generic, TypeVar

from kifabrik.errors import UnavailableError, UsageError
from kifabrik.seals.sources import BLOCKING

T = TypeVar("T")
R = TypeVar("R")


def pool_beside(threads: int) -> AbstractContextManager[ThreadPoolExecutor | None]:
    """Return a pool of the threads there are to be beside the calling one; None if there are none.

    Raises:
        UsageError: Fewer than one thread.
    """
    if threads < 1:
        raise UsageError(f"at least one thread is needed, not {threads}")
    return ThreadPoolExecutor(threads - 1, "seals") if threads > 1 else nullcontext()


class Lanes(Generic[T, R]):
    """One piece of work for several lanes.

    Args:
        take: Returns the next item for the lane of this number, or None at the end.
        work: Turns an item into a result, in the lane of this number; runs in several lanes at once.
        give: Gets the results in the order of the items; None if the order does not matter.
    """

    def __init__(
        self,
        take: Callable[[int], T | None],
        work: Callable[[int, T], R],
        give: Callable[[R], None] | None = None,
    ) -> None:
        self._take, self._work, self._give = take, work, give
        self._taking = Lock()
        self._turns = Condition()
        self._taken = self._given = 0
        self._failed = False

    def run(self, pool: ThreadPoolExecutor | None, threads: int) -> None:
        """Work in the calling thread and `threads - 1` of the pool, up to the end or the first failure."""
        others = [pool.submit(self._lane, number) for number in range(1, threads)] if pool else []
        try:
            self._lane(0)
        finally:
            wait(others)
        for other in others:
            other.result()

    def _lane(self, number: int) -> None:
        try:
            while self._step(number):
                pass
        except BaseException:
            with self._turns:
                self._failed = True
                self._turns.notify_all()
            raise

    def _step(self, number: int) -> bool:
        with self._taking:
            item = None if self._failed else self._take(number)
            turn, self._taken = self._taken, self._taken + 1
        if item is None:
            return False
        result = self._work(number, item)
        if self._give is None:
            return True
        with self._turns:
            self._turns.wait_for(lambda: self._failed or self._given == turn)
            if self._failed:
                return False
            self._give(result)
            self._given += 1
            self._turns.notify_all()
        return True


def write_all(sink: BinaryIO, data: memoryview) -> None:
    """Write every byte, also to a raw file that takes fewer at a time.

    Raises:
        UnavailableError: The sink takes nothing: it does not block and has no room, or is broken.
    """
    while len(data):
        written: int | None = sink.write(data)  # None of a raw file that does not block: nothing was taken
        if written is None:
            raise UnavailableError("this file does not block, and has no room now", hint=BLOCKING)
        if written <= 0:
            raise UnavailableError("this file takes no more bytes")
        data = data[written:]
