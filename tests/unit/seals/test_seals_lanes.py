import threading
import time

import pytest

from kifabrik.errors import UsageError
from kifabrik.seals.lanes import Lanes, pool_beside


def run(lanes: Lanes, threads: int) -> None:
    with pool_beside(threads) as pool:
        lanes.run(pool, threads)


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_results_are_given_in_order_one_at_a_time(threads: int) -> None:
    items = iter(range(200))
    given, inside = [], threading.Lock()

    def work(_lane: int, item: int) -> int:
        time.sleep((item * 37 % 5) / 10_000)
        return item

    def give(item: int) -> None:
        assert inside.acquire(blocking=False)
        given.append(item)
        inside.release()

    run(Lanes(lambda _: next(items, None), work, give), threads)
    assert given == list(range(200))


def test_each_lane_works_in_a_thread_of_its_own_at_the_same_time() -> None:
    together = threading.Barrier(3, timeout=60)
    items = iter(range(3))
    run(Lanes(lambda _: next(items, None), lambda _lane, _item: together.wait()), 3)
    assert together.n_waiting == 0
    assert next(items, None) is None


class BrokenError(Exception):
    pass


@pytest.mark.parametrize("threads", [1, 2, 4])
@pytest.mark.parametrize("place", ["take", "work", "give"])
def test_the_first_failure_stops_all_lanes_and_is_raised(threads: int, place: str) -> None:
    items, given = iter(range(100_000)), []

    def broken_at(here: str, item: int) -> int:
        if here == place and item == 20:
            raise BrokenError
        return item

    lanes = Lanes(
        lambda _: broken_at("take", next(items)),
        lambda _, item: broken_at("work", item),
        lambda item: given.append(broken_at("give", item)),
    )
    with pytest.raises(BrokenError):
        run(lanes, threads)
    assert given == list(range(len(given)))
    assert len(given) <= 20
    assert next(items) < 1000


@pytest.mark.parametrize("threads", [0, -3])
def test_work_needs_a_thread(threads: int) -> None:
    with pytest.raises(UsageError):
        pool_beside(threads)
