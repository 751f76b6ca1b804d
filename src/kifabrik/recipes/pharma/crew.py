"""Work through a stream in several processes, in order, whatever a single item does to its process.

Invariants:
    - Results come in the order of the items, and are the same for any number of processes.
    - An item that ends its process (a crash in compiled code, or memory that ran out) is tried again alone, then
      halved until the guilty part is found; that part is given up, all others are done.
    - At most two items for each process are held.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import Generic, Self, TypeVar

from kifabrik.recipes.pharma.processes import processes

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Task(Generic[T, R]):
    """What is done with each item.

    Attributes:
        do: Runs in another process.
        halve: Splits an item; empty if it is one whole.
        join: Puts the results of halves together.
        give_up: The result of a part that ends its process.
    """

    do: Callable[[T], R]
    halve: Callable[[T], tuple[T, ...]]
    join: Callable[[R, R], R]
    give_up: Callable[[T], R]


class Crew:
    """Processes that work through streams.

    Args:
        workers: Processes; with 1, this one does the work, and an item that ends it ends all.
    """

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._dismiss()

    def work(self, task: Task[T, R], items: Iterable[T]) -> Iterator[R]:
        """Results of items, in their order."""
        if self._workers <= 1:
            yield from map(task.do, items)
            return
        waiting: deque[tuple[T, Future[R]]] = deque()
        for item in items:
            waiting.append((item, self._submit(task, item)))
            if len(waiting) >= 2 * self._workers:
                yield self._next(task, waiting)
        while waiting:
            yield self._next(task, waiting)

    def _next(self, task: Task[T, R], waiting: "deque[tuple[T, Future[R]]]") -> R:
        item, future = waiting.popleft()
        try:
            return future.result()
        except BrokenProcessPool:
            self._dismiss()
            result = self._alone(task, item)
            again = [(one, self._submit(task, one)) for one, _ in waiting]
            waiting.clear()
            waiting.extend(again)
            return result

    def _alone(self, task: Task[T, R], item: T) -> R:
        """Do one item while no other is under way."""
        try:
            return self._submit(task, item).result()
        except BrokenProcessPool:
            self._dismiss()
        halves = task.halve(item)
        if not halves:
            return task.give_up(item)
        results = [self._alone(task, half) for half in halves]
        joined = results[0]
        for result in results[1:]:
            joined = task.join(joined, result)
        return joined

    def _submit(self, task: Task[T, R], item: T) -> "Future[R]":
        if self._pool is None:
            self._pool = processes(self._workers)
        try:
            return self._pool.submit(task.do, item)
        except BrokenProcessPool as error:
            broken: Future[R] = Future()
            broken.set_exception(error)
            return broken

    def _dismiss(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None
