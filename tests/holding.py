"""A request that is held open in the middle of its body."""

import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from urllib.parse import urlsplit

_OWN = ("host", "content-length")


class Held:
    """Half of a body is sent; `finish` sends the rest."""

    def __init__(self, line: socket.socket, rest: bytes) -> None:
        self._line = line
        self._rest = rest

    def finish(self) -> tuple[int, bytes]:
        """Send the rest; return status and what was answered."""
        self._line.sendall(self._rest)
        answer = b""
        while piece := self._line.recv(65536):
            answer += piece
        return int(answer.split(b" ", 2)[1]), answer


@contextmanager
def held(method: str, url: str, headers: Mapping[str, str], body: bytes) -> Iterator[Held]:
    """Send a request up to the middle of its body."""
    where = urlsplit(url)
    assert where.hostname
    query = f"?{where.query}" if where.query else ""
    lines = [f"{method} {where.path}{query} HTTP/1.1", f"host: {where.netloc}", "connection: close"]
    lines += [f"content-length: {len(body)}"]
    lines += [
        f"{name}: {value}" for name, value in headers.items() if name.lower() not in ("host", "content-length")
    ]
    with socket.create_connection((where.hostname, where.port or 80), timeout=60) as line:
        line.sendall(("\r\n".join(lines) + "\r\n\r\n").encode() + body[: len(body) // 2])
        yield Held(line, body[len(body) // 2 :])
