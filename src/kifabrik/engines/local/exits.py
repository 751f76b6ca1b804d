"""Telling at once when a process has ended, whoever started it.

A pidfd becomes readable when its process ends (pidfd_open(2), Linux 5.3); one thread waits for all.
"""

import os
import select
import threading
from collections.abc import Callable


class Exits:
    """Calls back when a watched process has ended.

    Args:
        on_exit: Called from a thread of this object; must return at once and not raise.
    """

    def __init__(self, on_exit: Callable[[], None]) -> None:
        self._on_exit = on_exit
        self._events = select.epoll()
        self._ending, self._end = os.pipe()
        self._events.register(self._ending, select.EPOLLIN)
        self._thread = threading.Thread(target=self._wait, name="exits", daemon=True)
        self._thread.start()

    def watch(self, pid: int) -> None:
        """Watch a process; one that is gone already counts as ended now."""
        try:
            process = os.pidfd_open(pid)
        except ProcessLookupError:
            self._on_exit()
            return
        self._events.register(process, select.EPOLLIN)

    def close(self) -> None:
        """Stop watching."""
        os.close(self._end)
        self._thread.join()
        os.close(self._ending)
        self._events.close()

    def _wait(self) -> None:
        while True:
            for descriptor, _ in self._events.poll():
                if descriptor == self._ending:
                    return
                self._events.unregister(descriptor)
                os.close(descriptor)
                self._on_exit()
