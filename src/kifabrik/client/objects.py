"""Ciphertext objects: looked up, fetched and uploaded by digest, piece by piece, resumable.

Uploading follows the tus idea (tus.io, protocol 1.0.0): ask for the offset, send from there.
"""

import hashlib
import io
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import BinaryIO, Final

from kifabrik.client.connection import Connection
from kifabrik.errors import IntegrityError, UnavailableError
from kifabrik.wire.datasets import MOST_DIGESTS, PIECE, Digests, SmallObjects

SMALL: Final = 64 * 2**10
"""Up to here bytes are sent without asking first what has arrived: the question costs more than the bytes."""
_TRIES: Final = 6
Progress = Callable[[int], None]


def _ignore(_size: int) -> None:
    return


class Objects:
    """The sealed bodies and headers of one tenant."""

    def __init__(self, connection: Connection) -> None:
        self._http = connection

    def missing(self, digests: Iterable[str]) -> set[str]:
        """Which of these the store lacks."""
        wanted, found = sorted(set(digests)), set[str]()
        for at in range(0, len(wanted) or 1, MOST_DIGESTS):
            body = Digests(digests=wanted[at : at + MOST_DIGESTS])
            found |= set(self._http.post("/v1/objects/missing", body, Digests).digests)
        return found

    def upload(self, source: BinaryIO, digest: str, size: int, progress: Progress = _ignore) -> None:
        """Upload a seekable source from wherever an earlier try stopped; `progress` gets bytes sent.

        What is there already, or was begun by somebody else, costs a small source one call and changes nothing.

        Raises:
            UnavailableError: The factory could not be reached for too long.
            IntegrityError: What arrived does not have this digest.
        """
        reported, turn = 0, 0
        first = size <= SMALL
        while True:
            try:
                offset = 0 if first else self._offset(digest)
                first = False
                if offset > reported:
                    progress(offset - reported)
                    reported = offset
                while offset < size or size == 0:
                    source.seek(offset)
                    answer = self._http.patch(
                        f"/v1/uploads/{digest}", source.read(PIECE), {"upload-offset": str(offset)}, size=size
                    )
                    offset = _advanced(answer, offset, size)
                    progress(offset - reported)
                    reported, turn = offset, 0
                    if offset == size:
                        break
            except UnavailableError as error:
                turn = _pause(turn, error)
            else:
                return

    def upload_bytes(self, data: bytes) -> str:
        """Upload a small object and return its digest."""
        digest = hashlib.sha256(data).hexdigest()
        if len(data) <= SMALL or digest in self.missing([digest]):
            self.upload(io.BytesIO(data), digest, len(data))
        return digest

    def upload_small(self, bodies: Sequence[bytes]) -> None:
        """Upload small objects in one call.

        Raises:
            UnavailableError: The factory could not be reached for too long.
        """
        left = set(self._http.post("/v1/objects", SmallObjects(objects=list(bodies)), Digests).digests)
        for data in bodies:
            digest = hashlib.sha256(data).hexdigest()
            if digest in left:
                self.upload(io.BytesIO(data), digest, len(data))

    def fetch(self, digest: str, limit: int) -> bytes:
        """Fetch a small object of at most `limit` bytes and check its digest.

        Raises:
            IntegrityError: It is larger, or not what the digest names.
        """
        pieces, total = [], 0
        for piece in self.pieces(digest, 0):
            total += len(piece)
            if total > limit:
                raise IntegrityError(f"object {digest[:16]} is larger than {limit} bytes")
            pieces.append(piece)
        data = b"".join(pieces)
        if hashlib.sha256(data).hexdigest() != digest:
            raise IntegrityError(f"the factory returned other bytes than object {digest[:16]}")
        return data

    def _offset(self, digest: str) -> int:
        answer = self._http.head(f"/v1/uploads/{digest}")
        return _stated(answer) if answer is not None else 0

    def read(self, digest: str, start: int, size: int) -> bytes:
        """Return `size` bytes of an object from `start` on, or what there is of them; nothing is checked.

        One try: whoever reads a large object piece by piece knows best how long to go on.

        Raises:
            NotFoundError: There is no such object.
            UnavailableError: The factory cannot be reached.
            IntegrityError: It sent more than was asked for.
        """
        pieces, total = [], 0
        with self._http.stream(f"/v1/objects/{digest}", {"range": f"bytes={start}-{start + size - 1}"}) as answer:
            for piece in answer.iter_bytes(PIECE):
                total += len(piece)
                if total > size:
                    raise IntegrityError(f"the factory sent more of object {digest[:16]} than was asked for")
                pieces.append(piece)
        return b"".join(pieces)

    def pieces(self, digest: str, start: int = 0) -> Iterator[bytes]:
        """Yield an object's bytes from an offset on, also over a line that breaks; nothing is checked.

        Raises:
            NotFoundError: There is no such object.
            UnavailableError: Several tries in a row brought not a byte.
        """
        at, turn = start, 0
        while True:
            headers = {"range": f"bytes={at}-"} if at else {}
            try:
                with self._http.stream(f"/v1/objects/{digest}", headers) as answer:
                    for piece in answer.iter_bytes():
                        at, turn = at + len(piece), 0
                        yield piece
            except UnavailableError as error:
                turn = _pause(turn, error)
            else:
                return


def _pause(turn: int, error: UnavailableError) -> int:
    """Wait before another try, and count it.

    Args:
        turn: Tries in a row that brought nothing, before the last one.
        error: How that one ended.

    Raises:
        UnavailableError: The error itself, if there were enough tries.
    """
    if turn == _TRIES - 1:
        raise error
    time.sleep(min(2**turn * 0.2, 5))
    return turn + 1


def _stated(headers: Mapping[str, str]) -> int:
    try:
        return int(headers["upload-offset"])
    except (KeyError, ValueError):
        raise IntegrityError("the factory does not say how much of an upload has arrived") from None


def _advanced(headers: Mapping[str, str], before: int, size: int) -> int:
    """Return the new offset; one that does not grow would never end."""
    offset = _stated(headers)
    if not (before < offset <= size or offset == size == 0):
        raise IntegrityError(f"the factory says that {offset} of {size} bytes have arrived after {before}")
    return offset
