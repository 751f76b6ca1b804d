"""Running jobs ordered by when they end: binary heaps of job numbers that know where each job stands.

Jobs with the same key are ordered by number, so every run of a simulation is the same.
"""

from typing import Any

from kifabrik.plant.workload.nodes import jit


@jit
def _before(key: Any, one: int, other: int) -> bool:
    return bool(key[one] < key[other] or (key[one] == key[other] and one < other))


@jit
def _rise(heap: Any, at: Any, key: Any, place: int) -> None:
    job = heap[place]
    while place > 0:
        above = (place - 1) >> 1
        if not _before(key, job, heap[above]):
            break
        heap[place] = heap[above]
        at[heap[place]] = place
        place = above
    heap[place] = job
    at[job] = place


@jit
def _sink(heap: Any, at: Any, key: Any, size: int, place: int) -> None:
    job = heap[place]
    while True:
        below = 2 * place + 1
        if below >= size:
            break
        if below + 1 < size and _before(key, heap[below + 1], heap[below]):
            below += 1
        if not _before(key, heap[below], job):
            break
        heap[place] = heap[below]
        at[heap[place]] = place
        place = below
    heap[place] = job
    at[job] = place


@jit
def push(heap: Any, at: Any, key: Any, size: int, job: int) -> None:
    """Add a job to a heap of `size`."""
    heap[size] = job
    _rise(heap, at, key, size)


@jit
def remove(heap: Any, at: Any, key: Any, size: int, job: int) -> None:
    """Remove a job from a heap of `size`, wherever it stands."""
    place = at[job]
    last = heap[size - 1]
    if last == job:
        return
    heap[place] = last
    at[last] = place
    _rise(heap, at, key, place)
    _sink(heap, at, key, size - 1, at[last])


@jit
def walk_begin(front: Any, size: int) -> int:
    """Begin to visit a heap in order without changing it; gives how many places lie ahead."""
    if size == 0:
        return 0
    front[0] = 0
    return 1


@jit
def walk_next(heap: Any, key: Any, size: int, front: Any, ahead: int) -> int:
    """Step on from `front[0]`, whose job was just visited; gives how many places lie ahead then.

    `front` is a heap of places in `heap`: those not visited whose parent was.
    """
    place = front[0]
    ahead -= 1
    moved = front[ahead]
    at = 0
    while True:
        below = 2 * at + 1
        if below >= ahead:
            break
        if below + 1 < ahead and _before(key, heap[front[below + 1]], heap[front[below]]):
            below += 1
        if not _before(key, heap[front[below]], heap[moved]):
            break
        front[at] = front[below]
        at = below
    if ahead > 0:
        front[at] = moved
    for child in (2 * place + 1, 2 * place + 2):
        if child < size:
            at = ahead
            ahead += 1
            while at > 0:
                above = (at - 1) >> 1
                if not _before(key, heap[child], heap[front[above]]):
                    break
                front[at] = front[above]
                at = above
            front[at] = child
    return ahead
