"""The loop that drives runs looks at what waits whenever it may have changed, and after a while in any case.

How often it looks at most is held against the time that has really passed, which a machine may draw out: looks are
counted before the clock is read.
"""

import threading
import time
from contextlib import contextmanager

import pytest

from kifabrik.factory.hints import Hints
from kifabrik.factory.reconcile import _ORDERS_S, SWEEP_S, Reconciler
from kifabrik.factory.run_book import LAUNCHER_GONE, ORDERED, QUEUE

PATIENCE_S = 60


class Part:
    """What the loop asks to look; counts how often it did."""

    def __init__(self, then=lambda: None, more=False, crowded=False):
        self._then = then
        self.crowded = crowded
        self._more = more
        self._turn = threading.Condition()
        self.looks = 0

    def look(self, *_leadership):
        self._then()
        with self._turn:
            self.looks += 1
            self._turn.notify_all()
        return self._more

    def wait_for(self, looks):
        with self._turn:
            assert self._turn.wait_for(lambda: self.looks >= looks, PATIENCE_S)


class Alone:
    """The leadership of the only service."""

    def hold(self):
        return True

    def resign(self):
        return None


@contextmanager
def driving(*, hints, lives, queue):
    loop = Reconciler(hints, Alone(), lives, queue, Part())
    loop.start()
    try:
        yield loop
    finally:
        loop.close()


@pytest.mark.parametrize(
    ("heard", "looking"), [(QUEUE, "queue"), (ORDERED, "queue"), (LAUNCHER_GONE, "lives")], ids=str
)
def test_what_is_heard_is_answered_by_a_look_of_the_part_it_is_about(heard, looking):
    hints, parts = Hints(), {"lives": Part(), "queue": Part()}
    with driving(hints=hints, **parts):
        for looks in range(1, 20):
            parts[looking].wait_for(looks)
            hints.notify(heard)


def test_what_waits_is_looked_at_after_a_while_however_many_launchers_end():
    hints, lives, queue = Hints(), Part(), Part()
    with driving(hints=hints, lives=lives, queue=queue):
        queue.wait_for(1)
        until = time.monotonic() + PATIENCE_S
        while queue.looks < 3 and time.monotonic() < until:
            hints.notify(LAUNCHER_GONE)
            time.sleep(0.05)
        assert queue.looks >= 3


def test_what_waits_is_handed_over_without_a_pause_and_what_lives_is_not_looked_at_each_time():
    hints, lives, queue = Hints(), Part(), Part(more=True)
    began = time.monotonic()
    with driving(hints=hints, lives=lives, queue=queue):
        lives.wait_for(1)
        queue.wait_for(queue.looks + 10)
        looks = lives.looks
        assert looks <= 1 + (time.monotonic() - began) / SWEEP_S


def test_orders_that_come_while_others_wait_for_room_are_looked_at_together_and_what_frees_room_at_once():
    hints, lives, queue = Hints(), Part(), Part(crowded=True)
    with driving(hints=hints, lives=lives, queue=queue):
        queue.wait_for(1)
        for _ in range(100):
            hints.notify(ORDERED)
        queue.wait_for(2)
        began, looks = time.monotonic(), queue.looks
        for _ in range(50):
            hints.notify(ORDERED)
            time.sleep(0.01)
        looks = queue.looks - looks
        assert looks <= 2 + (time.monotonic() - began) / _ORDERS_S
        for looks in range(queue.looks + 1, queue.looks + 5):
            hints.notify(QUEUE)
            queue.wait_for(looks)


def test_a_service_that_does_not_drive_asks_only_now_and_then_whether_it_may():
    hints, lives, queue, asked, heard = Hints(), Part(), Part(), [], threading.Event()

    def hold():
        asked.append(1)
        heard.set()
        return False

    with driving(hints=hints, lives=lives, queue=queue) as loop:
        queue.wait_for(1)
        loop._leadership.hold = hold
        began, looks = time.monotonic(), queue.looks
        hints.notify(QUEUE)
        assert heard.wait(PATIENCE_S)
        time.sleep(0.5)
        times = len(asked)
        # Once for what was heard and once in a while, for what lives and for what waits.
        assert times <= 4 + 2 * (time.monotonic() - began) / SWEEP_S
    assert queue.looks <= looks + 1  # one was under way
