"""Work in order and in several threads: the cipher runs without the interpreter lock, so they run at once."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from threading import Event, Lock
from typing import BinaryIO, TypeVar

from kifabrik.errors import UsageError

T = TypeVar("T")


def pool_of(workers: int) -> AbstractContextManager[ThreadPoolExecutor | None]:
    """Return a pool of so many threads; none if the calling thread is to do the work itself.

    Raises:
        UsageError: A negative number of threads.
    """
    if workers < 0:
        raise UsageError("at least one thread is needed")
    return ThreadPoolExecutor(workers, "seals") if workers else nullcontext()


def in_order(pool: ThreadPoolExecutor | None, window: int, jobs: Iterable[Callable[[], T]]) -> Iterator[T]:
    """Run jobs in the pool and yield their results in the order of the jobs.

    At most `window` jobs are not yet done or their results not yet dealt with when the next one is
    made: so many buffers in rotation are enough.
    """
    if pool is None:
        yield from (job() for job in jobs)
        return
    waiting: deque[Future[T]] = deque()
    for job in jobs:
        waiting.append(pool.submit(job))
        if len(waiting) >= window:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def each(threads: int, items: Iterable[T], work: Callable[[T], None]) -> None:
    """Do the work on each item, in this thread and `threads - 1` others, until the first failure.

    Raises:
        UsageError: There are no threads.
    """
    iterator, lock, failed = iter(items), Lock(), Event()

    def drain() -> None:
        while not failed.is_set():
            with lock:
                item = next(iterator, None)
            if item is None:
                return
            try:
                work(item)
            except BaseException:
                failed.set()
                raise

    with pool_of(threads - 1) as pool:
        others = [pool.submit(drain) for _ in range(threads - 1)] if pool else []
        drain()
        for other in others:
            other.result()


def write_all(sink: BinaryIO, data: memoryview) -> None:
    """Write every byte, also to a raw file that takes fewer at a time."""
    while len(data):
        written = sink.write(data)
        data = data[len(data) if written is None else written :]
