"""Ends a room that hoards sockets.

The memory that waits in a netlink socket is charged to no control group (`netlink_alloc_large_skb` and
`nlmsg_new` in net/netlink/af_netlink.c ask for unaccounted memory), and a process may have tens of thousands
of them. The kernel has no bound on their number; it only tells it, for each network namespace.
"""

import os
import threading
from collections.abc import Callable
from typing import Final

_PAUSE_S: Final = 0.2
_MOST_BYTES: Final = 4096
_COUNT: Final = b"sockets: used "


class SocketWatch:
    """Counts the sockets of a room in a thread of its own, and calls once when there are too many.

    Args:
        pid: A process of the room, alive now.
        most: Sockets a room may have at one time.

    Raises:
        OSError: The room's count is hidden from this process.
    """

    def __init__(self, pid: int, most: int) -> None:
        self._most = most
        # An open file means this room's namespace, whoever has the number later.
        self._file = os.open(f"/proc/{pid}/net/sockstat", os.O_RDONLY | os.O_CLOEXEC)
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, exceeded: Callable[[], None]) -> None:
        """Begin to count.

        Args:
            exceeded: Called from the thread; the watch ends with it.
        """
        self._thread = threading.Thread(target=self._watch, args=(exceeded,), name="sockets", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop counting."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()
        os.close(self._file)

    def _watch(self, exceeded: Callable[[], None]) -> None:
        while not self._ended.wait(_PAUSE_S):
            if count_sockets(os.pread(self._file, _MOST_BYTES, 0)) > self._most:
                exceeded()
                return


def count_sockets(text: bytes) -> int:
    """Read the number of sockets of every family from `sockstat`: `socket_seq_show` in net/socket.c."""
    line = next((line for line in text.splitlines() if line.startswith(_COUNT)), b"")
    return int(line[len(_COUNT) :] or 0)
