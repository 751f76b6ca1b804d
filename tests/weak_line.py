"""A line to a factory that breaks: a TCP proxy on the loopback that cuts, stalls or talks nonsense."""

import select
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

PAGE = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/html; charset=utf-8\r\ncontent-length: 27\r\n\r\n"
    b"<html>Please sign in</html>"
)


class WeakLine:
    """Passes bytes on, as far as it is told to.

    Args:
        behind: URL of the factory.
    """

    def __init__(self, behind: str) -> None:
        self._behind = (urlsplit(behind).hostname, urlsplit(behind).port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.lasts: int | None = None
        """Bytes in either direction after which a connection breaks; None for ever."""
        self.stalls = False
        """Whether it falls silent then, instead of being cut."""
        self.loses_answers = False
        """Whether what is asked arrives, and what is answered does not."""
        self.says: bytes | None = None
        """Said to every caller, whatever it asks, instead of passing it on."""
        self.breaks = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Take no more callers."""
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                caller, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(caller,), daemon=True).start()

    def _serve(self, caller: socket.socket) -> None:
        # Either side may be gone at any moment, by a test's own hand.
        with suppress(ConnectionError), caller, socket.create_connection(self._behind) as factory:
            if self.says is not None:
                caller.recv(2**16)
                caller.sendall(self.says.replace(b"\r\n", b"\r\nconnection: close\r\n", 1))
                caller.shutdown(socket.SHUT_WR)
                caller.settimeout(60)
                while caller.recv(2**14):  # closing with something unread would take the answer back
                    continue
                return
            other, passed, lasts = {caller: factory, factory: caller}, 0, self.lasts
            while True:
                for side in select.select(list(other), [], [])[0]:
                    data = side.recv(2**14)
                    passed += len(data)
                    if (lasts is not None and passed > lasts) or (self.loses_answers and side is factory):
                        self.breaks += 1
                        if self.stalls:
                            caller.settimeout(60)
                            while caller.recv(2**14):
                                continue
                        return
                    if not data:
                        return
                    other[side].sendall(data)


@contextmanager
def weak_line(behind: str) -> Iterator[WeakLine]:
    """A line to a factory, whole until a test breaks it."""
    line = WeakLine(behind)
    try:
        yield line
    finally:
        line.close()
