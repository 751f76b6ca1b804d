"""Ciphertext objects: looked up, fetched and uploaded by digest, piece by piece, resumable.

Uploading follows the tus idea (tus.io, protocol 1.0.0): ask for the offset, send from there.
"""

import hashlib
import io
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import BinaryIO, Final

from kifabrik.client.connection import Connection
from kifabrik.client.direct import LEAST, Direct, NoWayError
from kifabrik.errors import IntegrityError, UnavailableError
from kifabrik.wire.datasets import MOST_DIGESTS, PIECE, Digests, SmallObjects

SMALL: Final = 64 * 2**10
"""Up to here bytes are sent without asking first what has arrived: the question costs more than the bytes."""
_TRIES: Final = 6
_TOLD_AFTER: Final = 3
_LONG_PAUSE_S: Final = 10.0
_DIRECT_TRIES: Final = 2
"""Then what is left goes through the service, which goes on where a line broke."""
Progress = Callable[[int], None]


def _ignore(_size: int) -> None:
    return


class Objects:
    """The sealed bodies and headers of one tenant.

    Args:
        connection: To the factory.
        direct: Moves larger ones past the service where there is a way; None if all goes through it.
        patience_s: How long to go on with an object while tries bring nothing, beyond a few of them.
        waits: Told after a few tries why it waits, and by None when it goes on.
    """

    def __init__(
        self,
        connection: Connection,
        direct: Direct | None = None,
        *,
        patience_s: float = 0,
        waits: Callable[[UnavailableError | None], None] = lambda _why: None,
    ) -> None:
        self._http = connection
        self._direct = direct
        self._turns = partial(_Turn, patience_s, waits)

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
        reach, turn = _Reach(progress), self._turns()
        first = size <= SMALL
        if size > LEAST and self._sent_directly(source, digest, size, reach):
            return
        while True:
            try:
                offset = 0 if first else self._offset(digest)
                first = False
                reach(offset)
                while offset < size or size == 0:
                    source.seek(offset)
                    answer = self._http.patch(
                        f"/v1/uploads/{digest}", source.read(PIECE), {"upload-offset": str(offset)}, size=size
                    )
                    offset = _advanced(answer, offset, size)
                    reach(offset)
                    turn.went_well()
                    if offset == size:
                        break
            except UnavailableError as error:
                turn.pause(error)
            else:
                return

    def _sent_directly(self, source: BinaryIO, digest: str, size: int, reach: "_Reach") -> bool:
        """Whether an object went to the object store itself; a line that breaks has another try."""
        if self._direct is None:
            return False
        for _ in range(_DIRECT_TRIES):
            try:
                self._direct.send(source, digest, size, reach)
            except NoWayError as error:
                if not error.worth_another:
                    return False
            except UnavailableError:
                return False
            else:
                return True
        return False

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
        for piece in self._pieces(digest, 0, None):
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
        with self._arriving(self._direct, digest, start, start + size) as arriving:
            for piece in arriving:
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
        return self._pieces(digest, start, self._direct)

    def _pieces(self, digest: str, at: int, direct: Direct | None) -> Iterator[bytes]:
        turn = self._turns()
        while True:
            try:
                with self._arriving(direct, digest, at) as arriving:
                    for piece in arriving:
                        at += len(piece)
                        turn.went_well()
                        yield piece
            except UnavailableError as error:
                turn.pause(error)
            else:
                return

    @contextmanager
    def _arriving(
        self, direct: Direct | None, digest: str, start: int, end: int | None = None
    ) -> Iterator[Iterator[bytes]]:
        """Lend the bytes of an object from the object store itself, or through the service if need be."""
        with ExitStack() as held:
            try:
                if direct is None:
                    raise NoWayError("everything goes through the service")  # noqa: TRY301
                pieces = held.enter_context(direct.fetched(digest, start, end))
            except NoWayError:
                wanted = {"range": f"bytes={start}-{'' if end is None else end - 1}"}
                headers = wanted if start or end is not None else {}
                answer = held.enter_context(self._http.stream(f"/v1/objects/{digest}", headers))
                pieces = answer.iter_bytes(0 if end is None else PIECE)
            yield pieces


class _Reach:
    """Turns how far an upload has come into what was added; going back and over it again adds nothing."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._furthest = 0

    def __call__(self, offset: int) -> None:
        if offset > self._furthest:
            self._progress(offset - self._furthest)
            self._furthest = offset


class _Turn:
    """Tries in a row that brought nothing.

    Args:
        patience_s: How long to go on, beyond a few of them.
        waits: Told why, and by None that it goes on.
    """

    def __init__(self, patience_s: float, waits: Callable[[UnavailableError | None], None]) -> None:
        self._patience_s = patience_s
        self._waits = waits
        self._failed = 0
        self.went_well()

    def went_well(self) -> None:
        """Count anew."""
        if self._failed >= _TOLD_AFTER:
            self._waits(None)
        self._failed = 0
        self._until = time.monotonic() + self._patience_s

    def pause(self, error: UnavailableError) -> None:
        """Wait before another try, and count the last one.

        Raises:
            UnavailableError: How that one ended, if there were enough tries.
        """
        if self._failed >= _TRIES - 1 and time.monotonic() >= self._until:
            raise error
        time.sleep(min(2**self._failed * 0.2, 5) if self._failed < _TRIES else _LONG_PAUSE_S)
        self._failed += 1
        if self._failed == _TOLD_AFTER:
            self._waits(error)


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
